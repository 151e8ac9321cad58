"""Display of a search: trials and the best so far, live in a terminal, a line per event elsewhere; its last summary."""

import shlex

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from core.progress import say
from studies.search.trials import SearchRecord, SearchTrial
from sweeps.display import Screen, describe_run
from sweeps.run_states import BAD, RunState
from sweeps.search_loop import SearchLoop

MAX_LAST_TRIALS = 10
"""Trials that the live table holds, besides the best one and those that are open."""
COLOURS = {"running": "cyan", "finished": "green", "stopped": "dim", "failed": "red"}
MAX_BEST_TRIALS = 5
"""Trials that the last summary names."""


class SearchScreen(Screen):
    """What happens to the trials of a search and their runs, with validation scores only."""

    def __init__(self, loop: SearchLoop, *, slots: int) -> None:
        super().__init__(loop.run_states, slots=slots)
        self.loop = loop

    def show_trial(self, trial: SearchTrial) -> None:
        """A trial has started, or was judged."""
        happened = f"  {trial.score_text}  {trial.decision_text}" if trial.why else f" starts: {trial.params_text}"
        if not self.live:
            say(f"trial {trial.number}{happened}{self._time_left()}")

    def _line(self, state: RunState) -> str:
        score = state.summary.f1(self.run_states.study.metric, splits=["validation"])
        return describe_run(state, "validation", score)

    def runs_left(self) -> float:
        """As many as the trials that were started ask for, and the others need by the mean of these."""
        trials = self.loop.trials
        started = sum(trial.rung - trial.n for trial in trials if trial.is_open)
        coming = 0 if self.loop.is_ended else max(0, self.loop.search.trials - len(trials))
        return started + coming * sum(trial.rung for trial in trials) / max(1, len(trials))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for heading in ("trial", "seeds", "validation F1", ""):
            table.add_column(heading, no_wrap=heading != "")
        best = self.loop.best
        for trial in self.loop.trials:
            is_best = best is not None and trial.number == best.number
            if is_best or trial.is_open or trial.number >= len(self.loop.trials) - MAX_LAST_TRIALS:
                number = f"{trial.number}{'*' if is_best else ' '}"
                seeds, decision = f"{trial.n}/{trial.rung}", Text(trial.decision_text)
                table.add_row(number, seeds, trial.score_text, decision, style=COLOURS[trial.state])
        yield table
        failed = len(self.run_states.with_status(*BAD))
        yield Text(self.loop.record.progress + (f"; failed runs: {failed}" if failed else "") + self._time_left())


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
        shares = ", ".join(f"{name} {share:.2f}" for name, share in record.importance.items())
        lines.append(f"importance of the axes (PED-ANOVA): {shares}")
    return [*lines, f"to open the trials: optuna-dashboard {shlex.quote(record.storage)}"]
