"""A step's run, written down: tensors without numbers, on a backend that records (pass 1)."""
