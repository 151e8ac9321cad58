"""Search for the best config of a study's axes: Optuna proposes, seeds are replicates."""
