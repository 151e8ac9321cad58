"""WHICH runs: axes and studies, and the statistics of their records."""
