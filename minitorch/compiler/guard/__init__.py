"""What a program depends on besides its inputs: found when a step is traced, looked at before every call."""
