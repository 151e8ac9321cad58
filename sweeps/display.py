"""Display of a study while it runs: a live grid of rows and seeds in a terminal, a line per run elsewhere."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from core.progress import say
from core.records.record import SCORED
from studies.estimate import format_duration
from studies.statistics import summarize
from sweeps.run_states import BAD, ELSEWHERE, RUNNING, WAITING, RunState, RunStates, count_statuses

SYMBOLS = {"running": ("▶", "cyan"), "finished": ("●", "green"), "imported": ("●", "green"), "elsewhere": ("▷", "cyan")}
SYMBOLS |= dict.fromkeys(BAD, ("✗", "red"))
WAITING_SYMBOL = ("·", "dim")
FRAME_LINES = 4
"""Lines of a screen that are not rows: the head, the foot, and two below and above."""


class Screen:
    """What happens to the runs of a study: a grid that is drawn again where `live`, lines elsewhere."""

    def __init__(self, run_states: RunStates, *, slots: int | None) -> None:
        self.run_states, self.slots = run_states, slots
        self.live = False

    def show_run(self, state: RunState) -> None:
        """The state of a run has changed."""
        if state.status in BAD or (not self.live and state.status != RUNNING):
            say(self._line(state))

    def _line(self, state: RunState) -> str:
        done, total = len(self.run_states.with_status(*SCORED)), len(self.run_states.by_id)
        metric = self.run_states.study.metric
        return f"[{done}/{total}]  {describe_run(state, metric, state.summary.f1(metric))}{self._time_left()}"

    def runs_left(self) -> float:
        """How many runs are still to be computed here, those that run now included."""
        return len(self.run_states.with_status(WAITING, RUNNING))

    def seconds_left(self) -> float | None:
        """How long the rest takes; None before any run is finished, or where nobody knows how many run at once.

        Runs that finished here count, earlier ones only before there are any: they may have had another machine, or
        shared this one.
        """
        finished = self.run_states.with_status(*SCORED)
        if not finished or self.slots is None:
            return None
        mean = fmean(state.summary.seconds for state in [run for run in finished if run.started] or finished)
        running = self.run_states.with_status(RUNNING)
        ran = sum(min(mean, time.monotonic() - state.started) for state in running)
        return max(0.0, mean * self.runs_left() - ran) / self.slots

    def _time_left(self) -> str:
        seconds = self.seconds_left()
        return f"  about {format_duration(seconds)} left" if seconds else ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # What is taller than the screen could not be drawn over in the next frame.
        rows, room = self.run_states.by_row(), max(1, console.height - FRAME_LINES)
        if len(rows) <= room:
            yield grid(self.run_states)
        else:
            room = max(1, room - 1)
            states = enumerate(rows.values())
            active = next((at for at, row in states if any(run.status in (RUNNING, ELSEWHERE) for run in row)), 0)
            first = max(0, min(active - room // 2, len(rows) - room))
            yield grid(self.run_states, list(rows)[first : first + room])
            yield Text(f"… and {len(rows) - room} other rows", style="dim")
        yield Text(count_statuses(self.run_states) + self._time_left(), no_wrap=True, overflow="ellipsis")


def describe_run(state: RunState, metric: str, score: float | None) -> str:
    """A run in a line: which it is, its status, and its score or error."""
    parts = [f"{state.run.row} seed {state.run.seed}", state.status]
    if state.status in SCORED:
        f1 = "-" if score is None else f"{score:.2f}"
        parts += [f"{state.summary.seconds:.0f} s", f"{metric} F1 {f1}"]
    if state.status == ELSEWHERE:
        parts.append("another process computes it")
    if state.error:
        parts.append(state.last_error)
    return "  ".join(parts)


def grid(run_states: RunStates, names: Sequence[str] | None = None) -> Table:
    """A line per row: the state of each seed, and mean ± std of the study's metric over the seeds that are finished.

    `names` are the rows to show, all of them by default.
    """
    metric, rows = run_states.study.metric, run_states.by_row()
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("row", min_width=12)
    table.add_column("seeds", no_wrap=True)
    table.add_column(f"{metric} F1", justify="right", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    for row in names or rows:
        symbols = Text(" ").join(Text(*SYMBOLS.get(state.status, WAITING_SYMBOL)) for state in rows[row])
        scores = [state.summary.f1(metric) for state in rows[row] if state.status in SCORED]
        mean = summarize(score for score in scores if score is not None)
        table.add_row(Text(row, no_wrap=True, overflow="ellipsis"), symbols, str(mean), str(mean.n))
    return table


def describe_states(run_states: RunStates) -> dict[str, Any]:
    """What the grid shows, unrounded, as `study status --json` prints it."""
    metric, rows = run_states.study.metric, []
    for name, states in run_states.by_row().items():
        scores = {state.run.seed: state.summary.f1(metric) for state in states if state.status in SCORED}
        summary = summarize(score for score in scores.values() if score is not None)
        runs = [
            {
                "run": state.run.run_id,
                "seed": state.run.seed,
                "status": state.shown_status,
                "score": scores.get(state.run.seed),
                "error": state.last_error or None,
            }
            for state in states
        ]
        rows.append({"row": name, "n": summary.n, "mean": summary.mean, "std": summary.std, "runs": runs})
    return {"metric": metric, "counts": Counter(state.shown_status for state in run_states), "rows": rows}


@contextmanager
def live_display(screen: Screen, *, console: Console | None = None, plain: bool = False) -> Iterator[None]:
    """Draw a screen while this lasts, on stderr by default; `plain`: lines also in a terminal.

    What is printed meanwhile appears above it.
    """
    console = console or Console(stderr=True)
    screen.live = console.is_terminal and not plain
    if not screen.live:
        yield
        return
    with Live(screen, console=console, refresh_per_second=2):
        yield
