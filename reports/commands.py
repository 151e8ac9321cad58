"""`engram report`: tables, figures and the page of a study, from its records alone."""

import sys
from pathlib import Path

import pandas as pd
import tyro

from core.errors import UserError
from core.records.record import SCORED
from reports.baseline_differences import add_document_intervals, comparisons
from reports.captions import problems
from reports.compare import by_distance, by_document, by_type, further_measures_table, measures, pair_systems
from reports.compare_inputs import read_system
from reports.figures.style import save
from reports.frame import load, run_facts
from reports.page.documents import build_comparison_viewer, build_study_viewer
from reports.page.page import build_comparison_page, build_study_page
from reports.sections import Material, make_figures, tables_of
from reports.tables.markdown import to_markdown, write_frame, write_table, write_text
from reports.wandb_source import load_from_wandb, read_runs, study_in_project
from studies.record import StudyRecord, find_study_record, study_folder
from studies.search.trials import read_search_record


def report(
    study: tyro.conf.Positional[str],
    *,
    profile: str | None = None,
    runs: Path = Path("runs"),
    out: Path | None = None,
    split: str = "test",
    documents: int = 300,
    from_wandb: str | None = None,
) -> None:
    """Print the tables of a study that was run, and write them as Markdown, LaTeX and CSV, with figures and a page.

    A study that is half done gives a table too: n says how many seeds stand behind a row, and what is missing is named.

    Args:
        study: a study's name, or <name>@<profile>.
        profile: the profile it was run under, where it was run under several.
        runs: where run folders lie.
        out: where the files go; default: report/ (from W&B report-wandb/) in the study's folder,
            <runs>/studies/<study>@<profile>/.
        split: which scores: test or validation.
        documents: how many documents the page's viewer holds, with what every run predicted; 0 for no viewer.
        from_wandb: read the runs from this W&B project, entity/project, instead of their records. Which of its runs are
            the study's is known from the study's record in <runs>, or else from what the runs say of themselves.
    """
    if from_wandb is None:
        record = find_study_record(study, runs, profile=profile)
        loaded = load(record, runs, split=split)
    else:
        remote = {run.id: run for run in read_runs(from_wandb)}
        record = study_in_project(study, runs, remote.values(), profile=profile)
        loaded = load_from_wandb(record, remote, split=split)
    frame = loaded.frame
    search = read_search_record(study_folder(runs, record.label))
    if search is None or not search.trials:
        require_a_scored_run(record, frame)
    compared = add_document_intervals(record, frame, comparisons(record, frame))
    material = Material(record, frame, compared, loaded.parts, loaded.configs, search)
    tables = tables_of(material)
    print("\n".join(to_markdown(table) for table in tables if not table.appendix))
    drawings = make_figures(material)
    folder = out or study_folder(runs, record.label) / ("report-wandb" if from_wandb else "report")
    written = [path for table in tables for path in write_table(table, folder)]
    written += [path for drawing in drawings for path in save(drawing.figure, folder, drawing.name)]
    written.append(write_frame(frame, folder / "runs.csv"))
    local = from_wandb is None
    viewer = build_study_viewer(record, frame, max_documents=documents) if documents > 0 and local else None
    html = build_study_page(record, frame, compared, tables, drawings, viewer)
    written.append(write_text(html, folder / "index.html"))
    for problem in problems(frame):
        print(problem, file=sys.stderr)
    print(f"written to {folder}: {', '.join(path.name for path in written)}", file=sys.stderr)


def compare(
    a: tyro.conf.Positional[str],
    b: tyro.conf.Positional[str],
    *,
    runs: Path = Path("runs"),
    split: str = "test",
    gold: Path | None = None,
    out: Path | None = None,
    documents: int = 300,
) -> None:
    """Print how two runs, cells, rows of studies or prediction files differ on the same documents.

    Args:
        a: a run id, a signature (all its seeds), STUDY:ROW, or a prediction file (ours or JEREX's).
        b: the same; differences are B less A.
        runs: where run folders lie.
        split: which scores of runs: test or validation.
        gold: the documents that prediction files are scored on.
        out: a folder for the tables as Markdown, LaTeX and CSV and for a page on which both are read side by side,
            document by document; default: only print the tables.
        documents: how many documents the page holds; 0 for none.
    """
    sides = [read_system(reference, runs=runs, split=split, gold=gold) for reference in (a, b)]
    one, other = pair_systems(*sides)
    found = [compared(one, other) for compared in (measures, further_measures_table, by_distance, by_type, by_document)]
    tables = [table for table in found if table.lines]
    print("\n".join(to_markdown(table) for table in tables))
    if out is not None:
        viewer = build_comparison_viewer(one, other, split=split, max_documents=documents) if documents > 0 else None
        written = [path for table in tables for path in write_table(table, out)]
        written.append(write_text(build_comparison_page(one.label, other.label, tables, viewer), out / "index.html"))
        print(f"written to {out}: {', '.join(path.name for path in written)}", file=sys.stderr)


def require_a_scored_run(study: StudyRecord, frame: pd.DataFrame) -> None:
    """Raise a UserError where not one run of the study has a score."""
    runs = run_facts(frame).drop_duplicates("run")
    if runs["status"].isin(SCORED).any():
        return
    counted = ", ".join(f"{count} {status}" for status, count in runs["status"].value_counts(sort=False).items())
    raise UserError(
        f"no run of study {study.label} is finished yet ({counted}): run `engram study run {study.study.name} "
        f"--profile {study.profile}`, or give another folder (--runs DIR)"
    )
