"""Display of a search: trials and the best so far, live in a terminal, a line per event elsewhere; its last summary."""

import shlex

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from core.records.record import SCORED
from studies.estimate import format_duration
from studies.search.storage import StorageLost
from studies.search.trials import SearchRecord, SearchTrial
from sweeps.display import Screen, describe_run
from sweeps.run_states import BAD, RUNNING, RunState
from sweeps.search_loop import SearchLoop

MAX_LAST_TRIALS = 10
"""Trials that the live table holds, besides the best one and those that are open."""
COLOURS = {"running": "cyan", "finished": "green", "stopped": "dim", "failed": "red"}
MAX_BEST_TRIALS = 5
"""Trials that the last summary names."""
MIN_IMPORTANCE = 0.01
"""Smallest importance that the last summary names."""


class SearchScreen(Screen):
    """What happens to the trials of a search and their runs, with validation scores only."""

    def __init__(self, loop: SearchLoop, *, slots: int) -> None:
        super().__init__(loop.run_states, slots=slots)
        self.loop = loop

    def show_trial(self, trial: SearchTrial) -> None:
        """A trial has started, or was judged."""
        if self.live is not None:
            self.live.refresh()
        elif trial.why:
            self.note(f"trial {trial.number}  {trial.score_text}  {trial.decision_text}{self._left()}")
        else:
            self.note(f"trial {trial.number} starts: {trial.params_text}{self._left()}")

    def show_storage(self, lost: StorageLost | None) -> None:
        """The storage does not answer, or does again."""
        again = "the trials can be reached again"
        self.note(again if lost is None else f"{lost}; running runs continue, and are entered when it answers")

    def _line(self, state: RunState) -> str:
        score = state.summary.f1(self.run_states.study.metric, splits=["validation"])
        return describe_run(state, "validation", score)

    def _left(self) -> str:
        seconds = seconds_left(self.loop, self.slots)
        return f"  about {format_duration(seconds)} left" if seconds else ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for heading in ("trial", "seeds", "validation F1", ""):
            table.add_column(heading, no_wrap=heading != "")
        best = self.loop.best
        for trial in self.loop.trials:
            is_best = best is not None and trial.number == best.number
            if is_best or trial.is_open or trial.number >= len(self.loop.trials) - MAX_LAST_TRIALS:
                number, decision = f"{trial.number}{'*' if is_best else ' '}", trial.decision_text
                colour = COLOURS[trial.state]
                table.add_row(Text(number, colour), f"{trial.n}/{trial.rung}", trial.score_text, Text(decision, colour))
        yield table
        yield Text(self._foot())

    def _foot(self) -> str:
        parts = [self.loop.record.progress]
        for status, states in (("running", [RUNNING]), ("failed", BAD)):
            if runs := self.run_states.with_status(*states):
                parts.append(f"{status} runs: {len(runs)}")
        if self.loop.lost is not None:
            parts.append("the trials cannot be reached")
        return "; ".join(parts) + self._left()


def seconds_left(loop: SearchLoop, slots: int) -> float | None:
    """How long the rest takes, if coming trials need as many runs as the ended ones; None before a run has ended."""
    seconds = [state.summary.seconds for state in loop.run_states.with_status(*SCORED)]
    ended = [trial for trial in loop.trials if not trial.is_open]
    if not seconds or not ended:
        return None
    runs_per_trial = sum(trial.rung for trial in ended) / len(ended)
    started = sum(trial.rung - trial.n for trial in loop.trials if trial.is_open)
    left = 0 if loop.gave_up_because else max(0, loop.search.trials - len(loop.trials))
    return (left * runs_per_trial + started) * sum(seconds) / len(seconds) / slots


def summarize_search(record: SearchRecord) -> list[str]:
    """What a search says when it ends: its best configs, on which seeds, and how to open its trials."""
    runs = sum(trial.n for trial in record.trials)
    seeds = ", ".join(map(str, sorted({seed for trial in record.trials for seed in trial.scores}))) or "none"
    lines = [f"{record.label}: {record.progress}", f"{runs} runs with a score, on seeds {seeds}"]
    best = record.ranking[:MAX_BEST_TRIALS]
    if best:
        lines.append(f"best by validation {record.metric} F1, mean ± std (n seeds):")
        width = max(len(trial.score_text) for trial in best)
        lines += [f"  trial {trial.number:<4} {trial.score_text:<{width}}  {trial.params_text}" for trial in best]
    if record.importance:
        shares = [f"{name} {share:.2f}" for name, share in record.importance.items() if share >= MIN_IMPORTANCE]
        lines.append(f"importance of the axes (PED-ANOVA): {', '.join(shares)}")
    return [*lines, f"to open the trials: optuna-dashboard {shlex.quote(record.storage)}"]
