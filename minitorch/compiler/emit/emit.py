"""Write the program: a list of calls of kernels, and the tasks that they are shared out as (pass 6).

Kernels of the library, such as convolutions, are there already; loops are written for the step (``loops.py``). A
result that lives in the scratch of a thread is addressed as if its chunk were part of the whole batch, so that every
kernel counts images from the first of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from itertools import pairwise
from typing import Any

import numpy as np

from ...kernels.cpu.vectors import LANES
from ..graph import Node, describe
from ..passes.memory import HEAD, OPERANDS, aligned, plan_memory
from ..passes.simplify import POINTWISE
from .entries import written
from .families import FAMILIES, Family
from .grouping import Kernels, read_by
from .loops import LoopOperand, Text, Writer
from .program import SCRATCH, Call, Operand, Program, Task, Wave

__all__ = ["emit"]

# Tasks are shared out over the cores where they have this many additions, multiplications and bytes to do: less is done
# before a second core has begun.
PARALLEL_WORK = 1 << 17

# Outside regions, a kernel with more work than this is divided, into no more parts than that. How many depends on the
# shapes alone, like everything that bits depend on.
BLOCK_WORK, BLOCKS = 1 << 18, 8


def emit(kernels: Kernels, states: Collection[int] = ()) -> Program:
    """Write the program of a schedule that is divided into kernels.

    Args:
        kernels: the schedule.
        states: the outputs, by place, that stay for the next call.
    """
    return _Emitter(kernels, states).run()


class _Emitter:
    def __init__(self, kernels: Kernels, states: Collection[int]) -> None:
        self.schedule, self.inside, self.groups = kernels.schedule, kernels.inside, kernels.stages
        self.moments = kernels.moments
        self.graph = kernels.schedule.graph
        self.states = {self.graph.outputs[place].node.number for place in states}
        self.program = Program()
        self.slots: dict[int, int] = {}  # of the table, by node number
        self.families: dict[int, Family] = {}  # of kernels of the library, by node number
        self.texts: dict[str, str] = {}  # of written kernels, by name
        self.lines: list[str] = []  # of the text's function ``program``

    # --- the whole -----------------------------------------------------------------------------------------------

    def run(self) -> Program:
        program, schedule = self.program, self.schedule
        for node in self.graph:
            if node.op == "input":
                self.slots[node.number] = len(program.inputs)
                program.inputs.append(node.args[0])
        program.outputs = [ref.node for ref in self.graph.outputs]
        for i, node in enumerate(program.outputs):
            self.slots[node.number] = len(program.inputs) + i
        self.local = self._local(self.groups)
        needs: dict[int, int] = {}
        for group in (group for stage in self.groups for group in stage):
            node = group[0]
            if node.op in FAMILIES:
                images = schedule.chunk if schedule.is_batched(node) or self._is_partial(node) else _images(node)
                family = self.families[node.number] = FAMILIES[node.op](node, images)
                needs[node.number] = family.scratch
                if family.other is not None and len(group) == 1:
                    needs[node.number] = aligned(family.scratch) + node.size * family.other.dtype.itemsize
        program.memory = plan_memory(schedule, self.groups, self.moments, {*self.slots, *self.local}, needs)
        for stage, groups, moments in zip(schedule.stages, self.groups, self.moments, strict=True):
            self._stage(stage.parallel, groups, moments)
        program.parallel = any(wave.parallel for wave in program.waves)
        whole = "\n".join(["def program():", *(self.lines or ["    pass"])])
        program.source = "\n\n".join([*self.texts.values(), whole])
        return program

    def _local(self, groups: list[list[list[Node]]]) -> set[int]:
        """Find the results that only their own kernel reads, and that are never written."""
        users = self.graph.users()
        home = {n.number: group[0].number for stage in groups for group in stage for n in group}
        # What is computed inside another loop belongs to its reader's kernel.
        for node in reversed(self.graph.nodes):
            if node.number not in home and users[node.number]:
                home[node.number] = home.get(users[node.number][0].number, -1)
        several = [n for stage in groups for group in stage if group[0].op in POINTWISE for n in group]
        return {
            node.number
            for node in several
            if node.number not in self.slots
            and users[node.number]
            and all(home[user.number] == home[node.number] for user in users[node.number])
        }

    # --- stages and tasks ----------------------------------------------------------------------------------------

    def _stage(self, region: bool, groups: list[list[Node]], moments: list[int]) -> None:
        """Make the calls of a stage of the schedule, and its tasks."""
        program, schedule = self.program, self.schedule
        first = len(program.calls)
        at_once: dict[int, list[int]] = {}  # the numbers of calls, by moment
        for group, moment in zip(groups, moments, strict=True):
            if call := self._call(group):
                at_once.setdefault(moment, []).append(len(program.calls))
                program.calls.append(call)
        calls = program.calls[first:]
        if not calls:
            return
        if region:
            tasks = [Task(first, len(program.calls), c, *schedule.bounds(c)) for c in range(schedule.chunks)]
            wave = Wave(tasks, parallel=_work(calls) >= PARALLEL_WORK)
            program.waves.append(wave)
            self._heading(wave, "chunks of the batch")
            self.lines.append(f"    for chunk in {'prange' if wave.parallel else 'range'}({schedule.chunks}):")
            b0, b1 = (f"{c} * {schedule.batch} // {schedule.chunks}" for c in ("chunk", "(chunk + 1)"))
            self.lines.append(f"        b0, b1 = {b0}, {b1}")
            self.lines += [f"        {line}" for call in calls for line in _lines(call, "b0, b1")]
        else:
            for _, numbers in sorted(at_once.items()):
                self._side_by_side(numbers)

    def _side_by_side(self, numbers: list[int]) -> None:
        """Share out calls that no batch divides and that do not read each other's results."""
        program = self.program
        calls = [program.calls[number] for number in numbers]
        tasks: list[Task] = []
        for number, call in zip(numbers, calls, strict=True):
            bounds = _bounds(call.extent, call.blocks) if call.blocks > 1 else [0, -1]
            for begin, end in pairwise(bounds):
                tasks.append(Task(number, number + 1, 0, begin, end))
        parallel = _work(calls) >= PARALLEL_WORK and len(tasks) > 1
        if parallel:
            # First parts first: each core begins with its share of the list, so it has the same part of a weight in all
            # waves. Of these the largest first: what is left for cores that are done is small.
            share = {number: _work([call]) // call.blocks for number, call in zip(numbers, calls, strict=True)}
            ends = {number: max(1, call.extent) for number, call in zip(numbers, calls, strict=True)}
            tasks.sort(key=lambda task: (task.begin / ends[task.first], -share[task.first]))
        waves = program.waves
        if not parallel and waves and not waves[-1].parallel:
            waves[-1].tasks += tasks
        else:
            waves.append(Wave(tasks, parallel))
            self._heading(waves[-1], "tasks that do not read each other's results")
        for call in calls:
            self.lines += [f"    {line}" for line in _lines(call, f"0, {call.extent}", call.blocks)]

    def _heading(self, wave: Wave, tasks: str) -> None:
        """Write which core runs the calls below."""
        how = f"the cores share {len(wave.tasks)} {tasks}" if wave.parallel else "one core, one call after the other"
        self.lines.append(f"    # --- wave {len(self.program.waves)}: {how}")

    # --- calls ---------------------------------------------------------------------------------------------------

    def _is_partial(self, node: Node) -> bool:
        return node.number in self.schedule.partial

    def _call(self, group: list[Node]) -> Call | None:
        """Make the call that computes the results of a group; None where there is nothing to do."""
        node = group[0]
        if node.op in FAMILIES:
            return self._library(group)
        chunked = self.schedule.is_batched(node) or self._is_partial(node)
        batch = self.schedule.batch if chunked else 0
        text = Writer(group, self.inside, self.local, self.states, batch, self._is_partial(node)).write()
        if not text.lines:
            return None
        assert len(text.parameters) <= OPERANDS
        shape = node.shape[1:] if self._is_partial(node) else node.shape
        written_bytes = sum(math.prod(shape) * n.dtype.itemsize for n in group if n.number not in self.local)
        reads = read_by(group, self.inside)
        size = sum(n.size * n.dtype.itemsize for n in reads.values()) + written_bytes
        return Call(
            name=f"{text.title}_{node.number}",
            kernel=self._kernel(text),
            entry=written(text.function("kernel"), text.functions),
            operands=[self._operand(p) for p in text.parameters],
            title=_title(", ".join(dict.fromkeys(text.names)) or node.op, shape, node.dtype),
            bytes=size,
            flops=text.flops,
            extent=text.extent,
            blocks=_blocks(size + text.flops, text.extent) if text.divisible else 1,
        )

    def _kernel(self, text: Text) -> str:
        """Give a written kernel a name in the program's text; equal texts have one."""
        title = f"{text.title or 'copy'}_loop"
        name, count = title, 1
        while self.texts.get(name, text.function(name)) != text.function(name):
            count += 1
            name = f"{title}_{count}"
        self.texts[name] = text.function(name)
        return name

    def _library(self, group: list[Node]) -> Call | None:
        """Call a kernel of the library."""
        node, second = group[0], group[1] if len(group) > 1 else None
        family = self.families[node.number]
        shape = node.shape[1:] if self._is_partial(node) else node.shape
        if family.entry is None:
            return None
        results = [self._result(node)]
        inputs = [self._place(ref.node) for ref in node.inputs]
        if second is not None:
            results.append(self._result(second))
            known = {ref.node.number for ref in node.inputs}
            inputs += [self._place(ref.node) for ref in second.inputs if ref.node.number not in known]
        tables = [self.program.fault()] if family.checks_places else []
        tables += [self.program.constant(table) for table in family.tables]
        start = HEAD + self.program.memory.scratch.get(-1 - node.number, 0)
        work = Operand("work", SCRATCH, start)
        if family.other is not None and second is None:
            unread = self._unread(node, family.other.dtype, start + aligned(family.scratch))
            results.insert(family.other.place, unread)
        self.program.holds_blas = self.program.holds_blas or family.holds_blas
        reads = read_by(group, self.inside)
        size = sum(n.size * n.dtype.itemsize for n in reads.values()) + math.prod(shape) * node.dtype.itemsize
        extent = family.extent
        return Call(
            name=f"{node.op}_{node.number}",
            kernel=family.name,
            entry=family.entry,
            operands=family.arrange(results, inputs, tables, work),
            title=_title(describe(node), shape, node.dtype),
            bytes=size,
            flops=family.flops,
            extent=extent,
            blocks=_blocks(size + family.flops, extent // family.strip) if family.strip else 1,
        )

    # --- operands ------------------------------------------------------------------------------------------------

    def _operand(self, parameter: LoopOperand) -> Operand:
        """Find what a written kernel expects."""
        if parameter.kind == "number":
            return self.program.number(parameter.value)
        if parameter.kind == "stream":
            return self.program.stream(parameter.value)
        if parameter.kind == "lanes":
            return Operand("lanes", SCRATCH, 8 * OPERANDS)
        if parameter.kind == "part":
            return self._result(parameter.value)
        place = self._place(parameter.value)
        if not parameter.start:
            return place
        return place.plus(parameter.start * parameter.dtype.itemsize, f"{place.name}[{parameter.start}:]")

    def _result(self, node: Node) -> Operand:
        """Find where a kernel writes: for a partial sum, the chunk's part."""
        place = self._place(node)
        if not self._is_partial(node):
            return place
        part = math.prod(node.shape[1:]) * node.dtype.itemsize
        return Operand(f"{node.name}[chunk]", place.slot, place.offset, by_chunk=part)

    def _place(self, node: Node) -> Operand:
        """Find where a result begins."""
        if node.number in self.slots:
            return Operand(node.name, self.slots[node.number])
        memory = self.program.memory
        if node.number in memory.scratch:
            image = node.size // self.schedule.batch * node.dtype.itemsize
            return Operand(node.name, SCRATCH, HEAD + memory.scratch[node.number], by_image=-image)
        return Operand(node.name, self.program.arena, memory.arena[node.number])

    def _unread(self, node: Node, dtype: np.dtype[Any], start: int) -> Operand:
        """Find memory for the half of a kernel's results that nobody reads: the next kernel writes over it."""
        image = dtype.itemsize * (node.size // self.schedule.batch) if self.schedule.is_batched(node) else 0
        return Operand("unread", SCRATCH, start, by_image=-image)


def _images(node: Node) -> int:
    ref = node.inputs[0]
    return ref.shape[0] if ref.shape else 1


def _blocks(work: int, most: int) -> int:
    """Choose how many parts a range is divided into."""
    return max(1, min(BLOCKS, work // BLOCK_WORK, most))


def _bounds(extent: int, parts: int) -> list[int]:
    """Divide a range; long parts begin at whole vectors, so that only the last one has a remainder.

    >>> _bounds(1000, 3), _bounds(100, 3)
    ([0, 320, 656, 1000], [0, 33, 66, 100])
    """
    unit = LANES if extent >= 4 * LANES * parts else 1
    return [extent // unit * i // parts * unit for i in range(parts)] + [extent]


def _work(calls: list[Call]) -> int:
    return sum(call.flops + call.bytes for call in calls)


# --- text ------------------------------------------------------------------------------------------------------------


def _lines(call: Call, bounds: str, blocks: int = 1) -> list[str]:
    cost = f"{_amount(call.bytes)}B" + (f", {_amount(call.flops)}flop" if call.flops else "")
    if blocks > 1:
        cost += f"; {blocks} tasks, each a part of 0 to {call.extent}"
    return [f"# {call.title}; {cost}", f"{call.kernel}({', '.join(o.name for o in call.operands)}, {bounds})"]


def _title(what: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    return f"{what}: {' x '.join(map(str, shape)) or '1'} {dtype.name}"


def _amount(n: float) -> str:
    for unit in ("", "k", "M", "G"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} T"
