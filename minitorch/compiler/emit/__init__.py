"""The program: the library's kernels and those that are written for it, and the list of their calls (pass 6)."""
