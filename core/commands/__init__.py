"""Commands on one run or file: functions with typed keyword parameters, a module per noun.

The front door (`engram.py`) turns each into a command. Results go to stdout, progress to stderr.
"""
