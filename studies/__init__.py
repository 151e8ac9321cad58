"""WHICH runs: the ablation axes, studies as rows of cells, their plan without repeats, and what the numbers say."""
