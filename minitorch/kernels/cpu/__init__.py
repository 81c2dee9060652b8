"""The loops that Numba compiles for the processor, one family a file."""
