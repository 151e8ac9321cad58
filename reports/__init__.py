"""WHAT the records say: one tidy frame, tables, figures and a page; nothing here computes a run."""
