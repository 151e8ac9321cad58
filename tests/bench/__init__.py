"""Benchmarks: ratios of a joint step and of decoding to the encoder alone. `python -m tests.bench --help`."""
