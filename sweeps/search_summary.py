"""What a search says on stdout when it ends: its best configs, on which seeds, and how to look at its trials."""

import shlex
from collections import Counter

from studies.search_record import SearchRecord, SearchTrial

SHOWN = 5
MATTERS = 0.01
"""Smallest importance that is told."""


def summary_of(record: SearchRecord) -> list[str]:
    """The lines."""
    counts = Counter(trial.state for trial in record.trials)
    told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    runs = sum(len(trial.scores) for trial in record.trials)
    seeds = sorted({seed for trial in record.trials for seed in trial.scores})
    lines = [
        f"{record.label}: {len(record.trials)} trials ({told or 'none'}), {runs} runs with a score on seeds "
        f"{', '.join(map(str, seeds)) or 'none'}"
    ]
    best = ranked(record)[:SHOWN]
    if best:
        lines.append(f"best by validation {record.metric} F1, mean ± std (n seeds):")
        width = max(len(trial.told()) for trial in best)
        lines += [f"  trial {trial.number:<4} {trial.told():<{width}}  {params(trial)}" for trial in best]
    if record.importance:
        shares = [f"{name} {share:.2f}" for name, share in record.importance.items() if share >= MATTERS]
        lines.append(f"what mattered (PED-ANOVA): {', '.join(shares)}")
    lines.append(f"look at the trials: optuna-dashboard {shlex.quote(record.storage)}")
    return lines


def ranked(record: SearchRecord) -> list[SearchTrial]:
    """The trials with a score, best first: more seeds before a higher mean, as the best one is chosen."""
    scored = [trial for trial in record.trials if trial.value is not None and trial.state != "failed"]
    return sorted(scored, key=lambda trial: (-trial.n, -(trial.value or 0.0), trial.number))


def params(trial: SearchTrial) -> str:
    """What a trial was."""
    return ", ".join(f"{name}={label}" for name, label in trial.params.items())
