"""The progress of a study on stderr: a live grid of rows and seeds in a terminal, a line per run elsewhere.

The progress of a search on stderr: trials and the best so far, live in a terminal, a line per event elsewhere.

What a search says on stdout when it ends: its best configs, on which seeds, and how to look at its trials.
"""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from core.progress import say
from core.records.record import SCORED
from studies.estimate import duration
from studies.search.trials import SearchRecord, SearchTrial, StorageLost
from studies.statistics import summarize
from sweeps.run_states import BAD, ELSEWHERE, RUNNING, RunStates, State
from sweeps.search import SearchLoop

SYMBOLS = {"running": ("▶", "cyan"), "finished": ("●", "green"), "imported": ("●", "green"), "elsewhere": ("▷", "cyan")}
OTHER, WRONG = ("·", "dim"), ("✗", "red")
MOVING = (RUNNING, ELSEWHERE)
SEEDS_APART = 8
"""Up to how many seeds have a column each."""
FRAME = 4
"""Lines of a screen that are not rows: the head, the foot, and two below and above."""


class Screen:
    """Tells what happens to the runs of a board."""

    def __init__(self, run_states: RunStates, *, slots: int) -> None:
        self.run_states, self.slots = run_states, slots
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
        done, total = len(self.run_states.of(*SCORED)), len(self.run_states.states)
        parts = [f"[{done}/{total}]", f"{state.run.row} seed {state.run.seed}", state.status]
        if state.status in SCORED:
            value = score(state, self._metric)
            parts += [
                f"{state.summary.seconds:.0f} s",
                f"{self._metric} F1 " + ("-" if value is None else f"{value:.2f}"),
            ]
        if state.status == ELSEWHERE:
            parts.append("another process computes it")
        if state.error:
            parts.append(state.error.strip().splitlines()[-1])
        left = self.run_states.seconds_left(self.slots)
        if left:
            parts.append(f"{duration(left)} left")
        return "  ".join(parts)

    @property
    def _metric(self) -> str:
        return self.run_states.study.metric

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # What is taller than the screen could not be drawn over in the next frame.
        rows, room = rows_of(self.run_states), console.height - FRAME
        shown = list(rows) if len(rows) <= room else moving(rows, room - 1)
        yield grid(self.run_states, shown)
        if len(shown) < len(rows):
            yield folded([state for name in rows.keys() - set(shown) for state in rows[name]], len(rows) - len(shown))
        yield Text(self._foot(), no_wrap=True, overflow="ellipsis")

    def _foot(self) -> str:
        counts = self.run_states.counts()
        parts = [f"{count} {status}" for status, count in sorted(counts.items())]
        left = self.run_states.seconds_left(self.slots)
        return ", ".join(parts) + (f"; {duration(left)} left" if left else "")


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
        table.add_row(name, *(marks if apart else [Text.assemble(*marks)]), spread(values), str(len(values)))
    return table


def moving(rows: Mapping[str, list[State]], lines: int) -> list[str]:
    """The rows where something runs, and as many of their nearest neighbours as there is room for, in their order."""
    names = list(rows)
    at = [number for number, name in enumerate(names) if any(one.status in MOVING for one in rows[name])]
    if not at:
        undone = (number for number, name in enumerate(names) if any(one.status not in SCORED for one in rows[name]))
        at = [next(undone, 0)]
    nearest = sorted(range(len(names)), key=lambda number: min(abs(number - one) for one in at))
    return [names[number] for number in sorted(nearest[: max(1, lines)])]


def folded(states: Sequence[State], rows: int) -> Text:
    """A line on the rows that are not shown."""
    counts = Counter(state.told for state in states)
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return Text(f"… and {rows} other rows: {told}", style="dim", no_wrap=True, overflow="ellipsis")


def rows_of(run_states: RunStates) -> dict[str, list[State]]:
    """Each row with its states by seed; a row that is the same cell as another shows that one's."""
    found: dict[str, list[State]] = {}
    for state in sorted(run_states, key=lambda state: state.run.seed):
        found.setdefault(state.run.row, []).append(state)
    return {row: found.get(run_states.shared.get(row, row), []) for row in run_states.study.rows}


def score(state: State, task: str) -> float | None:
    """The F1 of a finished run on test, or on validation where the run has no test documents."""
    return state.summary.f1(task)


def spread(values: list[float]) -> str:
    """Mean ± sample standard deviation."""
    if not values:
        return "-"
    summary = summarize(values)
    return f"{summary.mean:.2f} ± {summary.std:.2f}" if summary.n > 1 else f"{summary.mean:.2f}"


@contextmanager
def screen(
    run_states: RunStates, *, slots: int, console: Console | None = None, plain: bool = False
) -> Iterator[Screen]:
    """The screen while a study runs, on stderr where no console is given; `plain`: lines also in a terminal."""
    console = console or Console(stderr=True)
    shown = Screen(run_states, slots=slots)
    if plain or not console.is_terminal:
        yield shown
        return
    with Live(shown, console=console, refresh_per_second=2) as live:
        shown.live = live
        yield shown


SHOWN = 12
"""Trials that the live table holds: the open ones and the last that ended."""
COLOURS = {"running": "cyan", "finished": "green", "stopped": "dim", "failed": "red"}


class SearchScreen:
    """Tells of runs and trials, validation scores alone."""

    def __init__(self, loop: SearchLoop, *, slots: int) -> None:
        self.loop, self.slots = loop, slots
        self.live: Live | None = None

    def tell(self, state: State) -> None:
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

    def _run_line(self, state: State) -> str:
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
        return f"  about {duration(seconds)} left" if seconds else ""

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
        parts = [f"{ended} of {loop.search.trials} trials", f"{len(loop.run_states.of(RUNNING))} runs running"]
        if loop.best is not None:
            parts.append(f"best: trial {loop.best.number}, {loop.best.told()}")
        failed = loop.run_states.of(*BAD)
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
    seconds = [state.summary.seconds for state in loop.run_states.of(*SCORED)]
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
