"""The program at work: kernels called one behind the other, and what a call needs in Python around them (pass 7)."""
