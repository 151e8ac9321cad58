"""Display of a study while it runs: a live grid of rows and seeds in a terminal, a line per run elsewhere."""

from collections import Counter
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
from sweeps.run_states import BAD, ELSEWHERE, RUNNING, RunState, RunStates

SYMBOLS = {"running": ("▶", "cyan"), "finished": ("●", "green"), "imported": ("●", "green"), "elsewhere": ("▷", "cyan")}
OTHER, WRONG = ("·", "dim"), ("✗", "red")
MOVING = (RUNNING, ELSEWHERE)
SEEDS_APART = 8
"""Up to how many seeds have a column each."""
FRAME = 4
"""Lines of a screen that are not rows: the head, the foot, and two below and above."""


class Screen:
    """What happens to the runs of a study: a grid that is drawn again where `live`, lines elsewhere."""

    def __init__(self, run_states: RunStates, *, slots: int) -> None:
        self.run_states, self.slots = run_states, slots
        self.live: Live | None = None

    def tell(self, state: RunState) -> None:
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

    def _line(self, state: RunState) -> str:
        done, total = len(self.run_states.with_status(*SCORED)), len(self.run_states.by_id)
        metric = self.run_states.study.metric
        line = f"[{done}/{total}]  {describe_run(state, metric, score(state, metric))}"
        left = self.run_states.seconds_left(self.slots)
        return f"{line}  {format_duration(left)} left" if left else line

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # What is taller than the screen could not be drawn over in the next frame.
        rows, room = rows_of(self.run_states), console.height - FRAME
        shown = list(rows) if len(rows) <= room else moving(rows, room - 1)
        yield grid(self.run_states, shown)
        if len(shown) < len(rows):
            yield folded([state for name in rows.keys() - set(shown) for state in rows[name]], len(rows) - len(shown))
        yield Text(self._foot(), no_wrap=True, overflow="ellipsis")

    def _foot(self) -> str:
        left = self.run_states.seconds_left(self.slots)
        return self.run_states.describe_counts() + (f"; {format_duration(left)} left" if left else "")


AnyScreen = TypeVar("AnyScreen", bound=Screen)


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

    `names` are the rows to show, all of them where none are given.
    """
    metric = run_states.study.metric
    rows = rows_of(run_states)
    seeds = sorted({state.run.seed for state in run_states})
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("row", min_width=12)
    apart = len(seeds) <= SEEDS_APART
    for seed in [f"s{seed}" for seed in seeds] if apart else [f"{len(seeds)} seeds"]:
        table.add_column(seed, justify="center" if apart else "left", no_wrap=True)
    table.add_column(f"{metric} F1", justify="right", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    for row in names or rows:
        states = rows[row]
        marks = [Text(*SYMBOLS.get(one.status, WRONG if one.status in BAD else OTHER)) for one in states]
        values = [value for one in states if one.status in SCORED and (value := score(one, metric)) is not None]
        name = Text(row, no_wrap=True, overflow="ellipsis")
        table.add_row(name, *(marks if apart else [Text.assemble(*marks)]), str(summarize(values)), str(len(values)))
    return table


def moving(rows: Mapping[str, list[RunState]], lines: int) -> list[str]:
    """The rows where something runs, and as many of their nearest neighbours as there is room for, in their order."""
    names = list(rows)
    at = [number for number, name in enumerate(names) if any(one.status in MOVING for one in rows[name])]
    if not at:
        undone = (number for number, name in enumerate(names) if any(one.status not in SCORED for one in rows[name]))
        at = [next(undone, 0)]
    nearest = sorted(range(len(names)), key=lambda number: min(abs(number - one) for one in at))
    return [names[number] for number in sorted(nearest[: max(1, lines)])]


def folded(states: Sequence[RunState], rows: int) -> Text:
    """A line on the rows that are not shown."""
    counts = Counter(state.told for state in states)
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return Text(f"… and {rows} other rows: {told}", style="dim", no_wrap=True, overflow="ellipsis")


def rows_of(run_states: RunStates) -> dict[str, list[RunState]]:
    """Each row with its states by seed; a row that is the same cell as another shows that one's."""
    found: dict[str, list[RunState]] = {}
    for state in sorted(run_states, key=lambda state: state.run.seed):
        found.setdefault(state.run.row, []).append(state)
    return {row: found.get(run_states.shared.get(row, row), []) for row in run_states.study.rows}


def score(state: RunState, task: str) -> float | None:
    """The F1 of a finished run on test, or on validation where the run has no test documents."""
    return state.summary.f1(task)


@contextmanager
def live_display(screen: AnyScreen, *, console: Console | None = None, plain: bool = False) -> Iterator[AnyScreen]:
    """Draw a screen while this lasts, on stderr where no console is given; `plain`: lines also in a terminal."""
    console = console or Console(stderr=True)
    if plain or not console.is_terminal:
        yield screen
        return
    with Live(screen, console=console, refresh_per_second=2) as live:
        screen.live = live
        yield screen
