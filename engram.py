"""The front door: gathers the verbs of the four packages into one command; no logic of its own.

A verb's module is imported when the verb is called, so that `--help`, `score` and `data` never wait for torch.
"""

import io
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from core.errors import UserError


class Verb(NamedTuple):
    """Where a verb's function lies and what it does; `plain` ones read their arguments themselves."""

    module: str
    function: str
    what: str
    plain: bool = False
    handed: bool = False
    """Whether it is handed `compute_here`: its room must not import what computes a run."""


VERBS = {
    "train": Verb("core.commands.train", "train", "compute one run of a preset", plain=True),
    "evaluate": Verb("core.commands.evaluate", "evaluate", "score a run's checkpoint on a split or a file"),
    "predict": Verb("core.commands.predict", "predict", "annotate documents or raw text, as JSON lines and HTML"),
    "score": Verb("core.commands.score", "score", "score a file of predictions against gold, ours or JEREX's"),
    "import": Verb(
        "core.commands.import_run", "import_run", "make a run of a checkpoint of JEREX or the memory authors"
    ),
    "data list": Verb("core.commands.data", "list_datasets", "the registered data sets and which of them are here"),
    "data fetch": Verb("core.commands.data", "fetch", "download a registered data set, checked and resumable"),
    "data report": Verb("core.commands.data", "report", "statistics and data issues of a file of documents"),
    "data sample": Verb("core.commands.data", "sample", "one document of a file, readably"),
    "data build-split": Verb("core.commands.data", "build_split", "the JEREX training part from DocRED's own files"),
    "runs list": Verb("core.commands.runs", "list_runs", "the runs in a folder, a line each"),
    "runs show": Verb("core.commands.runs", "show", "the whole record of a run"),
    "runs gc": Verb("core.commands.runs", "gc", "delete what finished runs no longer need"),
    "study list": Verb("studies.commands", "list_studies", "the studies that come with Engram"),
    "study show": Verb("studies.commands", "show", "what a study asks, and its rows"),
    "study plan": Verb(
        "studies.commands", "show_plan", "every run of a study, what is finished, what is left", plain=True
    ),
    "study run": Verb("sweeps.commands", "run", "compute what is missing of a study", plain=True, handed=True),
    "study search": Verb(
        "sweeps.search_command", "search", "find the best config of a study's axes, seed by seed", plain=True
    ),
    "report": Verb("reports.commands", "report", "tables and figures of a study, from its records"),
    "compare": Verb("reports.commands", "compare", "two runs, cells, rows or prediction files on the same documents"),
    "study status": Verb("sweeps.commands", "status", "how far a study is: rows, seeds, mean ± std so far"),
    "study sync": Verb("sweeps.dashboards.sync", "sync", "upload to W&B what a study wrote offline"),
    "doctor": Verb("core.commands.doctor", "doctor", "what this machine has, and whether a tiny run works on it"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; 0 done, 1 failed, 2 misuse or bad input, 130 stopped by the user."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help", "help"):
        print(listing())
        return 0
    if given[0] == "--version":
        print(f"engram {installed_version()}")
        return 0
    try:
        name, rest = resolve(given)
        verb = VERBS[name]
        function: Callable[..., int | None] = getattr(import_module(verb.module), verb.function)
        if verb.handed:
            function = partial(function, here=compute_here)
        return (plainly(function, rest) if verb.plain else call(function, name, rest)) or 0
    except UserError as error:
        print(f"engram: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("engram: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; there is nobody left to tell.
        sys.stderr.close()
        return 0


def compute_here(folder: Path) -> str:
    """Compute a run folder in this process; the status of its record."""
    from core.run.execute import run

    return run(folder).status


def installed_version() -> str:
    """The version that pip installed; a checkout that was never installed has none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("engram")
    except PackageNotFoundError:
        return "of a checkout that is not installed (pip install -e .)"


def resolve(given: list[str]) -> tuple[str, list[str]]:
    """The verb that the first words name, and the words after it."""
    for words in (2, 1):
        name = " ".join(given[:words])
        if name in VERBS:
            return name, given[words:]
    group = [name for name in VERBS if name.startswith(f"{given[0]} ")]
    if group and (len(given) == 1 or given[1] in ("-h", "--help")):
        print(listing(group))
        raise SystemExit(0)
    known = group or list(VERBS)
    raise UserError(
        f"unknown command {' '.join(given[:2] if group else given[:1])!r}: the commands are {', '.join(known)}"
    )


def plainly(function: Callable[..., int | None], rest: list[str]) -> int | None:
    """Call a verb's function that reads its arguments itself; help that was asked for is no error."""
    try:
        return function(rest)
    except SystemExit as stop:
        if stop.code in (0, None):
            return 0
        raise


def call(function: Callable[..., int | None], name: str, rest: list[str]) -> int | None:
    """Call a verb's function with its arguments read by tyro, a mistake in them told in one line."""
    import tyro

    said = io.StringIO()
    try:
        with redirect_stderr(said):
            bound = tyro.cli(deferred(function), args=rest, prog=f"engram {name}")
    except SystemExit as stop:
        if stop.code in (0, None):
            return 0
        raise UserError(plain_error(said.getvalue(), name)) from None
    return bound()


def deferred(function: Callable[..., int | None]) -> Callable[..., Callable[[], int | None]]:
    """The function with the same signature that remembers its arguments instead of running."""
    from functools import wraps

    @wraps(function)
    def remember(*positional: object, **named: object) -> Callable[[], int | None]:
        return partial(function, *positional, **named)

    # A new dict: `wraps` shares the function's own.
    remember.__annotations__ = {name: kind for name, kind in function.__annotations__.items() if name != "return"}
    return remember


def plain_error(boxed: str, name: str) -> str:
    """The message in tyro's box as one line, its suggestions behind it."""
    parts: list[list[str]] = [[]]
    for line in (line.strip("│ ") for line in boxed.splitlines()):
        if line and set(line) <= {"─", "-"}:
            parts.append([])
        elif line and line[0] not in "╭╰":
            parts[-1].append(line)
    # Where the terminal cannot draw, the box is made of dashes, and its title is a part of its own.
    parts = [part for part in parts[0 if "╭" in boxed else 1 :] if part]
    near = [
        line.split()[0] for part in parts if part[0].startswith("Perhaps") for line in part if line.startswith("--")
    ]
    said = [" ".join(part) for part in parts if not part[0].startswith(("Perhaps", "Argument helptext", "For full"))]
    # A misspelt flag also leaves a required one missing: the cause comes first.
    said.sort(key=lambda part: not part.startswith("Unrecognized"))
    hint = f". Did you mean {' or '.join(dict.fromkeys(near))}?" if near else "."
    return f"{'. '.join(said).rstrip('.') or boxed.strip()}{hint} See `engram {name} --help`"


def listing(names: Sequence[str] | None = None) -> str:
    """The verbs and what each does."""
    rows = [f"  {name:<18} {VERBS[name].what}" for name in names or VERBS]
    head = "Engram: ablations of memory-enhanced document-level joint entity and relation extraction.\n"
    return "\n".join([head, "usage: engram COMMAND ...", "", *rows, "", "engram COMMAND --help tells more."])


if __name__ == "__main__":
    sys.exit(main())
