"""Captions and notes: metric, data and seeds of a table or figure, and what limits what its numbers can say."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from core.config.presets import validate
from core.config.schema import RunConfig
from core.data.datasets import SYNTHETIC
from core.records.record import SCORED
from reports.frame import run_facts
from reports.row_means import SPREADS, Spread
from studies.bootstrap import COVERAGE
from studies.plan import joint_differences
from studies.record import StudyRecord
from studies.study import EXTERNAL

MAX_NAMED_ROWS = 5
"""Rows that a note names; of more it gives their number."""
METRIC = "Micro-averaged F1 in percent against exact gold spans, each item counted once per document."
EMBEDDED_CORPUS_NOTE = "The corpus is the embedded, generated one: no number here stands for a result on real text."
COVERAGE_NOTE = (
    f"In simulated studies of five seeds this bootstrap covers {100 * COVERAGE[0]:.0f} to {100 * COVERAGE[1]:.0f} %, "
    "least where seeds differ most."
)


def measured_on(study: StudyRecord, frame: pd.DataFrame) -> list[str]:
    """On which data, split and seeds the numbers were measured."""
    documents = list_documents(frame)
    size = f", {documents} documents" if documents else ""
    return [
        f"Data: study {study.study.name}, profile {study.profile}, {frame['split'].iloc[0]} split{size}.",
        f"Seeds {format_ranges(set(frame['seed']))}.",
    ]


def name_sample(frame: pd.DataFrame) -> str:
    """The sample behind a figure, for its caption: `100 test documents, seeds 0–4`."""
    documents = list_documents(frame)
    size = f"{documents} {frame['split'].iloc[0]} documents, " if documents else ""
    return f"{size}{format_seeds(set(frame['seed']))}"


def describe_data(study: StudyRecord, frame: pd.DataFrame) -> str:
    """`the 300 test documents of docred-joint`: the data of a caption of one sentence."""
    name = study.data_name
    corpus = "the generated corpus" if name == SYNTHETIC else name or f"profile {study.profile}"
    return f"the {list_documents(frame)} {frame['split'].iloc[0]} documents of {corpus}".replace("  ", " ")


def list_documents(frame: pd.DataFrame) -> str:
    """How many documents were scored: `100`, `40 or 41`; empty where that is not known."""
    return " or ".join(map(str, sorted({int(number) for number in frame["documents"].dropna()})))


def describe_spread(counts: Iterable[int], spread: Spread = "std") -> str:
    """`mean ± sample standard deviation over 5 seeds`, by the numbers of seeds behind the rows of a table."""
    known = sorted({int(count) for count in counts} - {0})
    if not known or known == [1]:
        return "one seed"
    seeds = f"{known[0]} to {known[-1]}" if len(known) > 1 else f"{known[0]}"
    return f"mean ± {'sample standard deviation' if spread == 'std' else 'half the 95 % t-interval'} over {seeds} seeds"


def count_seeds(frame: pd.DataFrame) -> list[int]:
    """How many seeds of each row have a score."""
    runs = run_facts(frame)
    return [int(count) for count in runs["status"].isin([*SCORED, EXTERNAL]).groupby(runs["row"]).sum()]


def describe_means(study: StudyRecord, frame: pd.DataFrame, spread: Spread = "std") -> str:
    """`the 300 test documents of docred-joint, mean ± sample standard deviation over 5 seeds`."""
    return f"{describe_data(study, frame)}, {describe_spread(count_seeds(frame), spread)}"


def explain_means(study: StudyRecord, frame: pd.DataFrame, spread: Spread) -> list[str]:
    """What a table of means holds beyond its first sentence: the metric, data and seeds, and what ± is."""
    return [METRIC, *measured_on(study, frame), f"±: {SPREADS[spread]}."]


def limiting_notes(study: StudyRecord, frame: pd.DataFrame, configs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Everything that limits what the numbers can say, a sentence each; empty where nothing does.

    `configs` are those of the rows as their records have them.
    """
    runs = run_facts(frame)
    return [
        *([EMBEDDED_CORPUS_NOTE] if study.data_name == SYNTHETIC else ()),
        *joint_differences(study.study, {row: read_config(config, row) for row, config in configs.items()}),
        *chosen_row_notes(study),
        *missing_score_notes(study, runs),
        *external_notes(study, set(frame["row"])),
        *early_choice_notes(study, runs),
        *mixed_run_notes(runs),
        *overlap_notes(runs),
    ]


def read_config(recorded: Mapping[str, Any], row: str) -> RunConfig:
    """The config in a record of a row; what a later release or W&B added is not ours to name."""
    return validate(recorded, where=f"record.json of row {row}: ", unknown="ignore")


def chosen_row_notes(study: StudyRecord) -> Iterator[str]:
    """Rows that are the best of several configs, next to rows that had fewer."""
    tried = {name: row.tried for name, row in study.study.rows.items()}
    for name, count in tried.items():
        fewer = [f"{label(study, other)} {number}" for other, number in tried.items() if number < count]
        if count > 1:
            yield (
                f"{label(study, name)}: chosen among {count} configs by validation F1 on other seeds than these; "
                f"other rows had fewer: {', '.join(fewer)}."
            )


def missing_score_notes(study: StudyRecord, runs: pd.DataFrame) -> Iterator[str]:
    """Rows with seeds that have no score, by row and status."""
    without = runs[~runs["status"].isin([*SCORED, EXTERNAL])]
    for row, of_row in without.groupby("row", sort=False):
        seeds = [format_seeds(group["seed"], str(status)) for status, group in of_row.groupby("status", sort=False)]
        yield f"{label(study, str(row))}: without a score: {', '.join(seeds)}."


def external_notes(study: StudyRecord, rows: Container[str]) -> Iterator[str]:
    """Those of some rows whose numbers come from files, and what a seed means there."""
    for row, files in study.study.external.items():
        if row not in rows:
            continue
        gold = Path(study.study.rows[row].gold).name
        yield (
            f"{label(study, row)}: {len(files)} prediction files of another program, scored on {gold}; they are paired "
            "with seeds in the order in which the study names them, and need not share split and order with them."
        )


def early_choice_notes(study: StudyRecord, runs: pd.DataFrame) -> Iterator[str]:
    """Rows that read memory but whose chosen checkpoint lies before reading began: it is the baseline's in effect."""
    early = runs[runs["status"].isin(SCORED) & runs["reads"].eq(True) & (runs["chosen_reading"] == 0)]
    for row, of_row in early.groupby("row", sort=False):
        yield (
            f"{label(study, str(row))}: chosen before memory was read ({format_seeds(of_row['seed'])}); raise "
            "training.select_from to compare what reading does."
        )


def mixed_run_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Facts of which the scored runs have several values, though a fair table has one."""
    scored = runs[runs["status"].isin(SCORED)]
    facts = {
        "code versions": scored["commit"].str[:8].replace("", "unknown"),
        "machines": scored["machine"].str.split(" ").str[0].replace("", "unknown"),
        "devices": scored["device"],
        "thread counts": scored["threads"],
        "data files": scored["data"],
        "package versions": scored["packages"].map(lambda packages: " ".join(sorted(packages.split()))),
    }
    for name, values in facts.items():
        counts = values.astype("object").where(values.notna(), "unset").value_counts(sort=False)
        if len(counts) > 1:
            listed = ", ".join(f"{value} ({count} runs)" for value, count in counts.items())
            too_long = name in ("data files", "package versions")
            yield f"Mixed {name}: {f'{len(counts)} different sets' if too_long else listed}."
    changed = scored["uncommitted_changes"].eq(True).sum()
    if changed:
        yield f"{changed} of {len(scored)} runs were computed with uncommitted changes in the code."


def overlap_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Splits that share documents, as the records of scored runs say."""
    lines = [line for overlaps in runs.loc[runs["status"].isin(SCORED), "overlaps"] for line in overlaps.splitlines()]
    yield from (f"{line}." for line in dict.fromkeys(lines))


def missing_interval_notes(
    differences: pd.DataFrame, names: Sequence[str], describe: Callable[..., str]
) -> Iterator[str]:
    """Which differences have no interval over documents, and why; `describe` names one by its columns `names`."""
    for reason, lines in differences[differences["without"] != ""].groupby("without", sort=False):
        named = [describe(*key) for key in dict.fromkeys(zip(*(lines[name] for name in names), strict=True))]
        listed = f"{lines['row'].nunique()} rows" if len(named) > MAX_NAMED_ROWS else ", ".join(named)
        yield f"No interval over documents for {listed}: {reason}."


def problems(frame: pd.DataFrame) -> list[str]:
    """A line per run that should have a score and has none: what became of it."""
    runs = run_facts(frame).drop_duplicates("run")
    return [str(problem) for problem in runs.loc[runs["problem"] != "", "problem"]]


def label(study: StudyRecord, row: str) -> str:
    """A row as text names it: its title with its group, where it has one."""
    title, group = study.study.row_title(row), study.study.rows[row].group
    return f"{title} ({group})" if group else title


def comparison_label(study: StudyRecord, row: str, baseline: str) -> str:
    """A row that is compared, as text names it; with the baseline where it is compared with several."""
    several = len(study.study.row_baselines(row)) > 1
    return label(study, row) + (f" against {baseline_label(study, row, baseline)}" if several else "")


def baseline_label(study: StudyRecord, row: str, baseline: str) -> str:
    """What a row's baseline is called next to it: with its group, where that is another."""
    same = study.study.rows[row].group == study.study.rows[baseline].group
    return study.study.row_title(baseline) if same else label(study, baseline)


def format_seeds(seeds: Iterable[int], status: str = "") -> str:
    """`seed 3 failed`, `seeds 0–2`."""
    listed = list(seeds)
    return f"seed{'s' * (len(listed) > 1)} {format_ranges(listed)} {status}".rstrip()


def format_ranges(numbers: Iterable[int]) -> str:
    """`0–4, 7` for 0, 1, 2, 3, 4, 7."""
    runs: list[list[int]] = []
    for number in sorted(int(number) for number in numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}, {b}" if b == a + 1 else f"{a}–{b}" for a, b in runs)
