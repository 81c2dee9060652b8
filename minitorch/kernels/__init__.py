"""Loops over arrays. Nothing here knows of tensors, shapes that broadcast, or derivatives."""
