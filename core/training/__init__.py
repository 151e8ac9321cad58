"""Training: loss, optimiser, loop, checkpoints, scores on held-out documents."""
