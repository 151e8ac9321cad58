"""The verbs of one run as plain functions with typed keyword parameters, one module per noun.

The front door (`engram.py`) turns each into a command with tyro. Results go to stdout, progress to stderr.
"""
