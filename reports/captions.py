"""What a table says of itself: metric and matching, data, seeds, what ± means; and notes that limit its numbers."""

from collections.abc import Iterable

import pandas as pd

from core.data.datasets import SYNTHETIC
from core.records.record import SCORED
from reports.frame import run_facts
from studies.bootstrap import COVERAGE
from studies.record import StudyRecord

METRIC = "Micro-averaged F1 in percent against exact gold spans, each item counted once per document."
TASKS = (
    "Rel.: relation with its type, both clusters and both entity types right (strict); Ent.: cluster with its type; "
    "Coref.: cluster; Men.: mention span."
)
SPREAD = "±: sample standard deviation over seeds (ddof 1)."
BOLD = "Bold: highest mean of a group."
EMBEDDED_CORPUS_NOTE = "The corpus is the embedded, generated one: no number here stands for a result on real text."


def caption_of(study: StudyRecord, frame: pd.DataFrame) -> list[str]:
    """The sentences below the main table of a study."""
    return [METRIC, TASKS, data_sentence(study, frame), seeds_sentence(frame), SPREAD, BOLD]


def coverage_sentence() -> str:
    """What the bootstrap's interval was measured to cover at five seeds."""
    least, most = COVERAGE
    return (
        f"In simulated studies of five seeds this bootstrap covers {100 * least:.0f} to "
        f"{100 * most:.0f} % (`python -m tests.bench.bootstrap_coverage`), least where seeds differ most."
    )


def data_sentence(study: StudyRecord, frame: pd.DataFrame) -> str:
    """Study, profile, split, and how many documents."""
    documents = sorted({int(number) for number in frame["documents"].dropna()})
    size = f", {' or '.join(map(str, documents))} documents" if documents else ""
    return f"Data: study {study.study.name}, profile {study.profile}, {frame['split'].iloc[0]} split{size}."


def seeds_sentence(frame: pd.DataFrame) -> str:
    """Which seeds, and which n a complete row has."""
    seeds = sorted(set(frame["seed"]))
    return f"Seeds {format_ranges(seeds)}; n: seeds with a score, {len(seeds)} where a row is complete."


def notes_of(study: StudyRecord, frame: pd.DataFrame) -> list[str]:
    """Everything that limits what the numbers can say, a sentence each; empty where nothing does."""
    runs = run_facts(frame)
    found = [EMBEDDED_CORPUS_NOTE] if is_embedded(study) else []
    return [*found, *chosen(study), *incomplete(study, runs), *early_choice_notes(study, runs), *mixed(runs)]


def chosen(study: StudyRecord) -> list[str]:
    """Rows that are the best of several configs, beside rows that had fewer."""
    tried = {name: row.tried for name, row in study.study.rows.items()}
    return [
        f"{label(study, name)}: chosen among {count} configs by validation F1 on other seeds than these; other rows "
        f"had fewer: {', '.join(f'{label(study, other)} {few}' for other, few in tried.items() if few < count)}."
        for name, count in tried.items()
        if count > 1
    ]


def is_embedded(study: StudyRecord) -> bool:
    """Whether the study ran on the corpus that Engram generates."""
    return study.data_name == SYNTHETIC


def incomplete(study: StudyRecord, runs: pd.DataFrame) -> list[str]:
    """Rows whose seeds have no score, by row and status."""
    absent = runs[~runs["status"].isin(SCORED)]
    sentences = []
    for row, part in absent.groupby("row", sort=False):
        told = [
            f"seed{'s' if len(some) > 1 else ''} {format_ranges(some['seed'])} {status}"
            for status, some in part.groupby("status", sort=False)
        ]
        sentences.append(f"{label(study, str(row))}: without a score: {', '.join(told)}.")
    return sentences


def early_choice_notes(study: StudyRecord, runs: pd.DataFrame) -> list[str]:
    """Rows that read memory but whose chosen checkpoint lies before reading began: it is the baseline's in effect."""
    early = runs[runs["status"].isin(SCORED) & (runs["reads"] == True) & (runs["chosen_reading"] == 0)]  # noqa: E712
    return [
        f"{label(study, str(row))}: chosen before memory was read (seed{'s' if len(part) > 1 else ''} "
        f"{format_ranges(part['seed'])}); raise training.select_from to compare what reading does."
        for row, part in early.groupby("row", sort=False)
    ]


def mixed(runs: pd.DataFrame) -> list[str]:
    """Facts of which the scored runs have several values, though a fair table has one."""
    scored = runs[runs["status"].isin(SCORED)]
    named = {
        "code versions": scored["commit"].str[:8].replace("", "unknown"),
        "machines": scored["machine"].str.split(" ").str[0].replace("", "unknown"),
        "devices": scored["device"],
        "thread counts": scored["threads"],
        "data files": scored["data"],
        "package versions": scored["packages"],
    }
    sentences = []
    for what, values in named.items():
        counts = values.astype("object").where(values.notna(), "unset").value_counts(sort=False)
        if len(counts) > 1:
            shown = ", ".join(f"{value} ({count} runs)" for value, count in counts.items())
            long = what in ("data files", "package versions")
            sentences.append(f"Mixed {what}: {f'{len(counts)} different sets' if long else shown}.")
    changed = scored["uncommitted_changes"].eq(True).sum()
    if changed:
        sentences.append(f"{changed} of {len(scored)} runs were computed with uncommitted changes in the code.")
    return sentences


def problems(frame: pd.DataFrame) -> list[str]:
    """A line per run that should have a score and has none: what became of it."""
    runs = run_facts(frame).drop_duplicates("run")
    return [str(problem) for problem in runs.loc[runs["problem"] != "", "problem"]]


def label(study: StudyRecord, row: str) -> str:
    """A row as text names it: its title with its group, where it has one."""
    title, group = study.study.row_title(row), study.study.rows[row].group
    return f"{title} ({group})" if group else title


def against(study: StudyRecord, row: str) -> str:
    """What a row's baseline is called beside it: with its group, where that is another."""
    baseline = study.study.row_baseline(row)
    same = study.study.rows[row].group == study.study.rows[baseline].group
    return study.study.row_title(baseline) if same else label(study, baseline)


def format_ranges(numbers: Iterable[int]) -> str:
    """`0–4, 7` for 0, 1, 2, 3, 4, 7."""
    runs: list[list[int]] = []
    for number in sorted(int(number) for number in numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}, {b}" if b == a + 1 else f"{a}–{b}" for a, b in runs)
