"""Front door: gathers the commands of the four packages into one; no logic of its own.

A command's module is imported when the command is called, so that `--help`, `score` and `data` never wait for torch.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import UserError, describe_system_error, did_you_mean
from core.standard_streams import checked_streams, print_error


class Verb(NamedTuple):
    """A command: its function, a summary, and how the function is called."""

    module: str
    function: str
    summary: str
    takes_settings: bool = False
    """Whether the function reads its arguments itself, as those that also take settings of a run do."""
    gets: Callable[..., Any] | None = None
    """A function of this module that it also gets, under that name: its package must not import what this calls."""


def compute_run(folder: Path) -> str:
    """Compute a run folder in this process; the status of its record."""
    from core.run.execute import run

    return run(folder).status


def add_all_knock_outs(folders: Sequence[Path], **options: Any) -> None:
    """Add knock-outs to finished run folders in this process."""
    from core.run import knock_out

    knock_out.add_all_knock_outs(folders, **options)


def study_runs(study: str, runs: Path) -> set[str]:
    """The ids of the runs of a study and of its trials."""
    from studies.record import find_study_record, study_folder
    from studies.search.trials import read_search_record

    record = find_study_record(study, runs)
    search = read_search_record(study_folder(runs, record.label))
    trials = search.trials if search else []
    return {run.run_id for run in record.runs_in(runs)} | {run for trial in trials for run in trial.runs.values()}


HEAD = """Ablations of memory-enhanced document-level joint entity and relation
extraction."""
VERBS = {
    "train": Verb("core.commands.train", "train", "compute one run of a preset", takes_settings=True),
    "evaluate": Verb("core.commands.evaluate", "evaluate", "score a run's checkpoint on a split or a file"),
    "predict": Verb("core.commands.predict", "predict", "annotate documents or raw text, as JSON lines and HTML"),
    "score": Verb("core.commands.score", "score", "score a file of predictions against gold, ours or JEREX's"),
    "import": Verb("core.commands.import_run", "import_run", "import a checkpoint of JEREX or the memory authors"),
    "data list": Verb("core.commands.data", "list_datasets", "the registered data sets and which of them are here"),
    "data fetch": Verb("core.commands.data", "fetch", "download a registered data set, checked"),
    "data report": Verb("core.commands.data", "report", "statistics and data issues of a file of documents"),
    "data sample": Verb("core.commands.data", "sample", "one document of a file, readably"),
    "data split": Verb("core.commands.data", "split", "training, validation and test files from one file"),
    "data build-split": Verb("core.commands.data", "build_split", "the JEREX training part from DocRED's own files"),
    "runs list": Verb("core.commands.runs", "list_runs", "the runs in a folder, a line each", gets=study_runs),
    "runs show": Verb("core.commands.runs", "show", "the whole record of a run"),
    "runs gc": Verb("core.commands.runs", "gc", "delete what finished runs no longer need"),
    "runs sync": Verb("core.commands.runs", "sync", "upload to W&B what runs wrote offline"),
    "study list": Verb("studies.commands", "list_studies", "the studies that come with Engram"),
    "study show": Verb("studies.commands", "show", "the question of a study, and its rows"),
    "study plan": Verb("studies.commands", "show_plan", "every run of a study, and what is left to compute", True),
    "study run": Verb("sweeps.commands", "run", "compute what is missing of a study", True, gets=compute_run),
    "study status": Verb("sweeps.commands", "status", "how far a study is: rows, seeds, mean ± std so far"),
    "study evaluate": Verb(
        "sweeps.evaluate_command", "evaluate", "add knock-outs to finished runs of a study", gets=add_all_knock_outs
    ),
    "study search": Verb(
        "sweeps.search_command", "search", "find the best config of a study's axes", True, gets=compute_run
    ),
    "study sync": Verb("sweeps.dashboards.sync", "sync", "upload to W&B what a study wrote offline"),
    "study sweep": Verb("sweeps.dashboards.sweep", "sweep", "a study as a W&B sweep, printed or created", True),
    "study trial": Verb(
        "sweeps.trial_command", "trial", "one trial of a W&B sweep: a row, all its seeds", True, gets=compute_run
    ),
    "report": Verb("reports.commands", "report", "tables and figures of a study, from its records"),
    "compare": Verb("reports.commands", "compare", "two runs, rows or prediction files on the same documents"),
    "doctor": Verb("core.commands.doctor", "doctor", "what this machine has, and whether a tiny run works on it"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 done, 1 failed, 2 misuse or bad input, 130 stopped by the user."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with checked_streams():
            return run_words(words) or 0
    except UserError as error:
        print_error(f"engram: {error}")
        return 2
    except KeyboardInterrupt:
        print_error("engram: stopped")
        return 130
    except BrokenPipeError:
        # The reader of our output (head, less) has gone, and nobody is left to read an error.
        return 0
    except OSError as error:
        print_error(f"engram: {UserError(describe_system_error(error))}")
        return 2
    except SystemExit as stop:
        # Help was asked for.
        if stop.code:
            raise
    return 0


def run_words(words: list[str]) -> int | None:
    """Run what the words of a command line ask for."""
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    if not words or words[0] in ("-h", "--help"):
        print(listing(VERBS))
        return 0
    if words[0] in ("-V", "--version"):
        print(f"engram {installed_version()}")
        return 0
    return run_verb(words)


def run_verb(words: Sequence[str]) -> int | None:
    """Run the command that the first one or two words name with the words after it."""
    name = next((name for name in (" ".join(words[:2]), words[0]) if name in VERBS), None)
    if name is None:
        group = [name for name in VERBS if name.startswith(f"{words[0]} ")]
        if group and (len(words) == 1 or words[1] in ("-h", "--help")):
            print(listing(group, before=f"{words[0]} "))
            return 0
        unknown = " ".join(words[:2] if group else words[:1])
        hint = did_you_mean(unknown, group or VERBS)
        raise UserError(f"unknown command {unknown!r}.{hint} The commands are {', '.join(group or VERBS)}")
    verb = VERBS[name]
    function: Callable[..., int | None] = getattr(import_module(verb.module), verb.function)
    if verb.gets:
        function = partial(function, **{verb.gets.__name__: verb.gets})
    rest = words[len(name.split()) :]
    if verb.takes_settings:
        return function(rest)
    from core.commands.arguments import call

    return call(function, f"engram {name}", rest)


def installed_version() -> str:
    """The version that pip installed; a checkout that was never installed has none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("engram")
    except PackageNotFoundError:
        return "of a checkout that is not installed (pip install -e .)"


def listing(names: Iterable[str], *, before: str = "") -> str:
    """The commands of these names and their summaries, all of which begin with `before`."""
    lines = [f"  {name:<18} {VERBS[name].summary}" for name in names]
    usage = f"usage: engram {before}COMMAND ..."
    end = f"`engram help {before}COMMAND` explains one, `engram -V` shows the version."
    return "\n".join([usage, "", HEAD, "", "commands:", *lines, "", end])


if __name__ == "__main__":
    sys.exit(main())
