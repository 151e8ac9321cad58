"""Display of a search: trials and the best so far, live in a terminal, a line per event elsewhere; its last summary."""

import shlex
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from core.progress import say
from core.records.record import SCORED
from studies.estimate import format_duration
from studies.search.trials import SearchRecord, SearchTrial, StorageLost
from sweeps.run_states import BAD, RUNNING, RunState
from sweeps.search import SearchLoop

SHOWN = 12
"""Trials that the live table holds: the open ones and the last that ended."""
COLOURS = {"running": "cyan", "finished": "green", "stopped": "dim", "failed": "red"}


class SearchScreen:
    """Tells of runs and trials, validation scores alone."""

    def __init__(self, loop: SearchLoop, *, slots: int) -> None:
        self.loop, self.slots = loop, slots
        self.live: Live | None = None

    def tell(self, state: RunState) -> None:
        """A run has changed its state."""
        if self.live is not None:
            self.live.refresh()
        elif state.status != RUNNING:
            self.note(self._run_line(state))

    def hear(self, trial: SearchTrial) -> None:
        """A trial has begun, or was judged."""
        if self.live is not None:
            self.live.refresh()
            if trial.state == "failed":
                self.note(trial_line(trial))
        else:
            self.note(trial_line(trial) + self._left())

    def reached(self, lost: StorageLost | None) -> None:
        """The storage does not answer, or does again."""
        again = "the trials can be reached again"
        self.note(again if lost is None else f"{lost}; running runs go on and are told when it answers")

    def note(self, line: str) -> None:
        """A line between the others."""
        if self.live is not None:
            self.live.console.print(Text(line), soft_wrap=True)
        else:
            say(line)

    def _run_line(self, state: RunState) -> str:
        parts = [f"{state.run.row} seed {state.run.seed}", state.status]
        if state.status in SCORED:
            score = state.summary.f1(self.loop.run_states.study.metric, splits=["validation"])
            parts.append(f"{state.summary.seconds:.0f} s")
            parts += [f"validation F1 {score:.2f}"] if score is not None else []
        if state.error:
            parts.append(state.error.strip().splitlines()[-1])
        return "  ".join(parts)

    def _left(self) -> str:
        seconds = seconds_left(self.loop, self.slots)
        return f"  about {format_duration(seconds)} left" if seconds else ""

    def __rich__(self) -> Group:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for heading in ("trial", "seeds", "validation F1", ""):
            table.add_column(heading, no_wrap=heading != "")
        best = self.loop.best
        for trial in shown(self.loop.trials, best):
            mark = "*" if best is not None and trial.number == best.number else " "
            colour = COLOURS[trial.state]
            why = trial.why or trial.state
            table.add_row(
                Text(f"{trial.number}{mark}", colour), f"{trial.n}/{trial.rung}", trial.told(), Text(why, colour)
            )
        return Group(table, Text(self.foot()))

    def foot(self) -> str:
        """How far it is: trials, running runs, the best, time left."""
        loop = self.loop
        ended = sum(not trial.is_open for trial in loop.trials)
        parts = [f"{ended} of {loop.search.trials} trials", f"{len(loop.run_states.with_status(RUNNING))} runs running"]
        if loop.best is not None:
            parts.append(f"best: trial {loop.best.number}, {loop.best.told()}")
        failed = loop.run_states.with_status(*BAD)
        if failed:
            parts.append(f"{len(failed)} runs failed")
        if loop.lost is not None:
            parts.append("the trials cannot be reached")
        return ", ".join(parts) + self._left()


def shown(trials: list[SearchTrial], best: SearchTrial | None) -> list[SearchTrial]:
    """The best trial, the open ones and the last that ended, as many as the table holds, by number."""
    known = {trial.number: trial for trial in trials if trial.is_open}
    if best is not None:
        known[best.number] = best
    for trial in reversed(trials):
        if len(known) >= SHOWN:
            break
        known.setdefault(trial.number, trial)
    return [known[number] for number in sorted(known)]


def trial_line(trial: SearchTrial) -> str:
    """A trial in a line: what it is when it begins, then what was decided."""
    if not trial.why:
        params = ", ".join(f"{name}={label}" for name, label in trial.params.items())
        return f"trial {trial.number} begins: {params}"
    return f"trial {trial.number}  {trial.told()}  {trial.why if trial.state != 'failed' else 'failed: ' + trial.why}"


def seconds_left(loop: SearchLoop, slots: int) -> float | None:
    """How long the rest takes, if coming trials need as many runs as the ended ones; None before a run has ended."""
    seconds = [state.summary.seconds for state in loop.run_states.with_status(*SCORED)]
    ended = [trial for trial in loop.trials if not trial.is_open]
    if not seconds or not ended:
        return None
    runs = sum(trial.rung for trial in ended) / len(ended)
    begun = sum(trial.rung - trial.n for trial in loop.trials if trial.is_open)
    left = 0 if loop.gave_up_because else max(0, loop.search.trials - len(loop.trials))
    return (left * runs + begun) * sum(seconds) / len(seconds) / slots


@contextmanager
def search_screen(loop: SearchLoop, *, slots: int, console: Console | None = None) -> Iterator[SearchScreen]:
    """The screen while a search runs, on stderr where no console is given."""
    console = console or Console(stderr=True)
    screen = SearchScreen(loop, slots=slots)
    if not console.is_terminal:
        yield screen
        return
    with Live(screen, console=console, refresh_per_second=2) as live:
        screen.live = live
        yield screen


BEST_SHOWN = 5
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
    best = ranked(record)[:BEST_SHOWN]
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
