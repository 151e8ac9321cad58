"""Heads: the scorers of the four tasks, one a file; they do not know one another."""
