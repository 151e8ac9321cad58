"""Display of a study while it runs: a live grid of rows and seeds in a terminal, a line per run elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from core.progress import say
from core.records.record import SCORED
from studies.estimate import format_duration
from studies.statistics import summarize
from sweeps.run_states import BAD, ELSEWHERE, RUNNING, RunState, RunStates, count_statuses

SYMBOLS = {"running": ("▶", "cyan"), "finished": ("●", "green"), "imported": ("●", "green"), "elsewhere": ("▷", "cyan")}
SYMBOLS |= dict.fromkeys(BAD, ("✗", "red"))
WAITING_SYMBOL = ("·", "dim")
MAX_SEED_COLUMNS = 8
"""More seeds share one column."""
FRAME_LINES = 4
"""Lines of a screen that are not rows: the head, the foot, and two below and above."""


class Screen:
    """What happens to the runs of a study: a grid that is drawn again where `live`, lines elsewhere."""

    def __init__(self, run_states: RunStates, *, slots: int) -> None:
        self.run_states, self.slots = run_states, slots
        self.live: Live | None = None

    def show_run(self, state: RunState) -> None:
        """The state of a run has changed."""
        if self.live is not None:
            self.live.refresh()
            if state.status in BAD:
                self.note(self._line(state), style="red")
        elif state.status != RUNNING:
            self.note(self._line(state))

    def note(self, line: str, *, style: str = "") -> None:
        """Print a line of its own."""
        if self.live is not None:
            self.live.console.print(Text(line, style=style), soft_wrap=True)
        else:
            say(line)

    def _line(self, state: RunState) -> str:
        done, total = len(self.run_states.with_status(*SCORED)), len(self.run_states.by_id)
        metric = self.run_states.study.metric
        line = f"[{done}/{total}]  {describe_run(state, metric, state.summary.f1(metric))}"
        left = self.run_states.seconds_left(self.slots)
        return f"{line}  {format_duration(left)} left" if left else line

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # What is taller than the screen could not be drawn over in the next frame.
        rows, room = self.run_states.by_row(), console.height - FRAME_LINES
        shown = list(rows) if len(rows) <= room else active_rows(rows, max(1, room - 1))
        yield grid(self.run_states, shown)
        if len(shown) < len(rows):
            hidden = count_statuses(state for row in rows.keys() - set(shown) for state in rows[row])
            line = f"… and {len(rows) - len(shown)} other rows: {hidden}"
            yield Text(line, style="dim", no_wrap=True, overflow="ellipsis")
        left = self.run_states.seconds_left(self.slots)
        foot = count_statuses(self.run_states) + (f"; {format_duration(left)} left" if left else "")
        yield Text(foot, no_wrap=True, overflow="ellipsis")


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
    seeds = sorted({state.run.seed for state in run_states})
    separate = len(seeds) <= MAX_SEED_COLUMNS
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("row", min_width=12)
    for heading in [f"s{seed}" for seed in seeds] if separate else [f"{len(seeds)} seeds"]:
        table.add_column(heading, justify="center" if separate else "left", no_wrap=True)
    table.add_column(f"{metric} F1", justify="right", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    for row in names or rows:
        symbols = [Text(*SYMBOLS.get(state.status, WAITING_SYMBOL)) for state in rows[row]]
        scores = [state.summary.f1(metric) for state in rows[row] if state.status in SCORED]
        mean = summarize(score for score in scores if score is not None)
        name = Text(row, no_wrap=True, overflow="ellipsis")
        table.add_row(name, *(symbols if separate else [Text.assemble(*symbols)]), str(mean), str(mean.n))
    return table


def active_rows(rows: Mapping[str, Sequence[RunState]], count: int) -> list[str]:
    """The rows where something runs, and as many of their nearest neighbours as there is room for, in their order."""
    names = list(rows)
    active = [at for at, row in enumerate(names) if any(run.status in (RUNNING, ELSEWHERE) for run in rows[row])]
    if not active:
        unfinished = (at for at, row in enumerate(names) if any(run.status not in SCORED for run in rows[row]))
        active = [next(unfinished, 0)]
    nearest = sorted(range(len(names)), key=lambda at: min(abs(at - other) for other in active))
    return [names[at] for at in sorted(nearest[:count])]


AnyScreen = TypeVar("AnyScreen", bound=Screen)


@contextmanager
def live_display(screen: AnyScreen, *, console: Console | None = None, plain: bool = False) -> Iterator[AnyScreen]:
    """Draw a screen while this lasts, on stderr by default; `plain`: lines also in a terminal."""
    console = console or Console(stderr=True)
    if plain or not console.is_terminal:
        yield screen
        return
    with Live(screen, console=console, refresh_per_second=2) as live:
        screen.live = live
        yield screen
