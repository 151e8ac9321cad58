"""Run: one run folder computed from its config to its record."""
