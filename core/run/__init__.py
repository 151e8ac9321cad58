"""Computing one run folder from its config to its record."""
