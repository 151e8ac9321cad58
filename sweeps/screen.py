"""The progress of a study on stderr: a live grid of rows and seeds in a terminal, a line per run elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from core.progress import say
from core.record import SCORED
from studies.statistics import summarize
from sweeps.board import BAD, ELSEWHERE, RUNNING, Board, State

SYMBOLS = {"running": ("▶", "cyan"), "finished": ("●", "green"), "imported": ("●", "green"), "elsewhere": ("▷", "cyan")}
OTHER, WRONG = ("·", "dim"), ("✗", "red")


class Screen:
    """Tells what happens to the runs of a board."""

    def __init__(self, board: Board, *, slots: int) -> None:
        self.board, self.slots = board, slots
        self.live: Live | None = None

    def tell(self, state: State) -> None:
        """A run has changed its state."""
        if self.live is not None:
            self.live.refresh()
            if state.status in BAD:
                self.live.console.print(Text(self._line(state), style="red"), soft_wrap=True)
        elif state.status != RUNNING:
            say(self._line(state))

    def note(self, line: str) -> None:
        """A line between the states."""
        if self.live is not None:
            self.live.console.print(Text(line), soft_wrap=True)
        else:
            say(line)

    def _line(self, state: State) -> str:
        done, total = len(self.board.of(*SCORED)), len(self.board.states)
        parts = [f"[{done}/{total}]", f"{state.run.row} seed {state.run.seed}", state.status]
        if state.status in SCORED and state.record is not None:
            parts += [f"{state.record.seconds:.0f} s", f"{self._metric} F1 {score(state, self._metric):.2f}"]
        if state.status == ELSEWHERE:
            parts.append("another process computes it")
        if state.error:
            parts.append(state.error.strip().splitlines()[-1])
        left = self.board.seconds_left(self.slots)
        if left:
            parts.append(f"{duration(left)} left")
        return "  ".join(parts)

    @property
    def _metric(self) -> str:
        return self.board.study.metric

    def __rich__(self) -> Group:
        return Group(grid(self.board), Text(self._foot()))

    def _foot(self) -> str:
        counts = self.board.counts()
        parts = [f"{count} {status}" for status, count in sorted(counts.items())]
        left = self.board.seconds_left(self.slots)
        return ", ".join(parts) + (f"; {duration(left)} left" if left else "")


def grid(board: Board) -> Table:
    """A line per row: the state of each seed, and mean ± std of the study's metric over the seeds that are finished."""
    metric = board.study.metric
    seeds = sorted({state.run.seed for state in board})
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("row")
    for seed in seeds:
        table.add_column(f"s{seed}", justify="center")
    table.add_column(f"{metric} F1", justify="right")
    table.add_column("n", justify="right")
    for row, states in rows_of(board):
        cells = [Text(*SYMBOLS.get(one.status, WRONG if one.status in BAD else OTHER)) for one in states]
        values = [score(one, metric) for one in states if one.status in SCORED and one.record is not None]
        table.add_row(row, *cells, spread(values), str(len(values)))
    return table


def rows_of(board: Board) -> Iterator[tuple[str, list[State]]]:
    """Each row with its states by seed; a row that is the same cell as another shows that one's."""
    for row in board.study.rows:
        cell = board.shared.get(row, row)
        states = [state for state in board if state.run.row == cell]
        yield row, sorted(states, key=lambda state: state.run.seed)


def score(state: State, task: str) -> float:
    """The F1 of a finished run on test, or on validation where the run has no test documents."""
    assert state.record is not None
    metrics: dict[str, Any] = state.record.metrics
    return float(metrics["test" if "test" in metrics else "validation"][task]["f1"])


def spread(values: list[float]) -> str:
    """Mean ± sample standard deviation."""
    if not values:
        return "-"
    summary = summarize(values)
    return f"{summary.mean:.2f} ± {summary.std:.2f}" if summary.n > 1 else f"{summary.mean:.2f}"


def duration(seconds: float) -> str:
    """Seconds as a reader says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def screen(board: Board, *, slots: int, console: Console | None = None) -> Iterator[Screen]:
    """The screen while a study runs, on stderr where no console is given."""
    console = console or Console(stderr=True)
    shown = Screen(board, slots=slots)
    if not console.is_terminal:
        yield shown
        return
    with Live(shown, console=console, refresh_per_second=2) as live:
        shown.live = live
        yield shown
