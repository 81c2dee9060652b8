"""A training step as one program: traced once, simplified, fused, divided over the cores, written as Python, compiled.

One pass a file, in this order: :mod:`~minitorch.compiler.trace` records a run of the step as a
:mod:`~minitorch.compiler.graph`; :mod:`~minitorch.compiler.simplify` makes it smaller; :mod:`~minitorch.compiler.fuse`
joins operations that one kernel does better; :mod:`~minitorch.compiler.split` divides the batch over the cores;
:mod:`~minitorch.compiler.memory` gives every result its place; :mod:`~minitorch.compiler.emit` writes the program, with
the calls of :mod:`~minitorch.compiler.families`; :mod:`~minitorch.compiler.machine` compiles and runs it. What a user
sees is in :mod:`~minitorch.compiler.compiled`.
"""
