"""Scores of predictions against gold: micro-F1 of the tasks and diagnostics beyond them."""
