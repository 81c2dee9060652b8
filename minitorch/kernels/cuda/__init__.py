"""Loops for an NVIDIA GPU: the same arithmetic as :mod:`minitorch.kernels.cpu`, one thread or block for each result."""
