"""Records of a run: its folder, record, history, provenance, and its mirror in W&B."""
