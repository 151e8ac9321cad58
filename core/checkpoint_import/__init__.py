"""Import of checkpoints of JEREX and of the memory authors."""
