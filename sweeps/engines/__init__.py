"""Engines: where runs are computed, behind one protocol."""
