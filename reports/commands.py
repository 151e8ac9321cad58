"""`engram report` and `engram compare`: tables, figures and a page of a study or of two systems, from records alone."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from core.commands.console import print_json
from core.data.datasets import SYNTHETIC
from core.errors import UserError
from core.files import atomic_write, make_folder
from core.records.record import SCORED
from core.scoring.metrics import HEADLINE
from reports.baseline_differences import compare_to_baselines
from reports.captions import problems
from reports.compare import COMPARISON_TABLES, pair_systems
from reports.compare_inputs import read_system
from reports.figures.style import COLUMN, FigureFormat, Font, ReportFigure, house_style, save_figure
from reports.frame import ReportData, load_study, run_facts
from reports.memory_use import compare_knock_outs
from reports.page.answer import answer_comparison, answer_study, write_answer
from reports.page.documents import build_comparison_viewer, build_study_viewer
from reports.page.page import build_comparison_page, build_study_page
from reports.row_means import Spread, TableOptions
from reports.sections import make_figures, make_tables
from reports.tables.latex.environments import Paper, to_latex
from reports.tables.latex.notes import to_notes
from reports.tables.latex.text import check_printable
from reports.tables.layout import Table, write_csv
from reports.tables.markdown import to_markdown
from reports.tables.side_by_side import side_by_side_table
from reports.wandb_source import find_study_in_project, load_from_wandb, read_project
from studies.record import RECORD, STUDIES, StudyRecord, find_study_record, study_folder
from studies.search.trials import read_search_record
from studies.study import EXTERNAL


def report(
    study: tuple[str, ...],
    *,
    profile: str | None = None,
    runs: Path = Path("runs"),
    out: Path | None = None,
    split: str = "test",
    documents: int = 300,
    paper: Paper = "two-column",
    figure_width: float = COLUMN,
    font: Font = "sans",
    from_wandb: Annotated[str, "ENTITY/PROJECT"] | None = None,
    digits: int = 2,
    tasks: str | None = None,
    rows: str | None = None,
    spread: Spread = "std",
    no_marks: bool = False,
    side_by_side: bool = False,
) -> None:
    """Print the answer and the tables of a study that was run, and write them as files, with figures and a page.

    A study that is half done gives a table too: n is the number of seeds behind a row, and what is missing is named.

    Args:
        study: a study that was run, or <study>@<profile>; several of the same rows for --side-by-side.
        profile: the profile that it ran under, where there are several.
        runs: the folder of run folders.
        out: where the files go; default: report/ in the study's folder, <runs>/studies/<study>@<profile>/; of another
            split report-validation/, from W&B report-wandb/.
        split: which scores: test or validation.
        documents: how many documents the page's viewer holds, with what every run predicted; 0 for no viewer.
        paper: for which paper LaTeX tables are: of two columns (one where a table fits, else both) or of one.
        figure_width: inches that a column of the paper is wide, and a figure with it; one that needs more is as wide as
            both columns. ACL's column has 3.03.
        font: the face of figures: sans (DejaVu Sans) or serif (STIX, which looks like Times).
        from_wandb: read the runs from this W&B project instead of their records. Which of its runs are
            the study's is read from the study's record in <runs>, or else from their settings.
        digits: decimals of F1 and of differences.
        tasks: which tasks have a column, in which order; default: relation_strict,entity,coref,mention.
        rows: which rows are shown, in which order, by their names with commas; default: all. Rows that are not shown
            still count in Holm's correction.
        spread: what stands behind ±: std, the sample standard deviation over seeds, or ci, half the width of their 95 %
            t-interval.
        no_marks: leave out the daggers at differences to the baseline with p < .05 after Holm.
        side_by_side: one table with a group of columns for each of several studies, and no page.
    """
    figure_format = FigureFormat(font, figure_width)
    if side_by_side != (len(study) > 1):
        raise UserError(
            "--side-by-side needs several studies: engram report STUDY STUDY --side-by-side"
            if side_by_side
            else f"{len(study)} studies: add --side-by-side for one table of all, or report one at a time"
        )
    options = TableOptions(digits, split_names(tasks), split_names(rows), spread, marks=not no_marks)
    read = partial(read_data, profile=profile, runs=runs, split=split, from_wandb=from_wandb, options=options)
    if side_by_side:
        studies = [read(name) for name in study]
        table = side_by_side_table(studies)
        files = write_as_text([table], studies[0].study.study.name, paper)
        del files["notes.tex"]  # that of the first study's own report may lie there
        write_files(files, out or report_folder(studies[0].study, runs, split=split, from_wandb=from_wandb))
        print(to_markdown(table))
        return
    data = read(study[0])
    record = data.study
    data = replace(data, knock_outs=compare_knock_outs(data))
    with house_style(figure_format):
        tables, figures = make_tables(data), make_figures(data)
    name = name_in_labels(record, runs)
    files = write_as_text(tables, name, paper)
    sentences = answer_study(record, data.compared[data.compared["row"].isin(data.rows)])
    answer = write_answer(record, data.frame, sentences, generated=record.data_name == SYNTHETIC)
    folder = out or report_folder(record, runs, split=split, from_wandb=from_wandb)
    files |= {"answer.md": answer, "runs.csv": write_csv(data.frame)}
    viewer = None
    if documents > 0 and from_wandb is None:
        viewer = build_study_viewer(data, max_documents=documents)
    for problem in problems(data.frame):
        print(problem, file=sys.stderr)
    with house_style(figure_format):
        files["index.html"] = build_study_page(record, data.frame, sentences, tables, figures, viewer)
        write_files(files, folder, figures, name)
    # Last, as whoever reads it may stop reading (head).
    print("\n".join([answer, *(to_markdown(table) for table in tables if not table.appendix)]))
    print(folder / "index.html")


def report_folder(study: StudyRecord, runs: Path, *, split: str, from_wandb: str | None) -> Path:
    """Where the files of a report go by default: a folder for each source of scores and split."""
    source = "-wandb" if from_wandb else ""
    return study_folder(runs, study.label) / f"report{source}{'' if split == 'test' else f'-{split}'}"


def split_names(text: str | None) -> tuple[str, ...]:
    """Names that an option gives with commas between them, each once."""
    return tuple(dict.fromkeys(filter(None, map(str.strip, (text or "").split(",")))))


def read_data(
    name: str, *, profile: str | None, runs: Path, split: str, from_wandb: str | None, options: TableOptions
) -> ReportData:
    """The results of a study and its differences to the baselines."""
    if from_wandb is None:
        record = find_study_record(name, runs, profile=profile)
        options.check(record)
        data = load_study(record, runs, split=split)
    else:
        remote = {run.id: run for run in read_project(from_wandb)}
        record = find_study_in_project(name, runs, remote.values(), profile=profile)
        options.check(record)
        data = load_from_wandb(record, remote, split=split)
    data = replace(data, search=read_search_record(study_folder(runs, record.label)), options=options)
    require_a_scored_run(data)
    for row in record.study.rows.values():
        check_printable(row.title)
        check_printable(row.group)
    return replace(data, compared=compare_to_baselines(record, data.frame, tasks=options.tasks))


def compare(
    a: str,
    b: str,
    *,
    runs: Path = Path("runs"),
    split: str = "test",
    gold: Path | None = None,
    out: Path | None = None,
    documents: int = 300,
    paper: Paper = "two-column",
    json: bool = False,
) -> None:
    """Print how two runs, rows of studies or prediction files differ on the same documents.

    Args:
        a: a run id, a signature (all its seeds), STUDY:ROW, or a prediction file (ours or JEREX's).
        b: the same; differences are B minus A.
        runs: the folder of run folders.
        split: which scores of runs: test or validation.
        gold: the documents that prediction files are scored on.
        out: a folder for the tables as Markdown, LaTeX and CSV and for a page on which both are read side by side,
            document by document; default: only print the tables.
        documents: how many documents the page holds; 0 for none.
        paper: for which paper LaTeX tables are: of two columns (one where a table fits, else both) or of one.
        json: one JSON object instead of tables, with all types and documents.
    """
    systems = [read_system(reference, runs=runs, split=split, gold=gold) for reference in (a, b)]
    system_a, system_b = pair_systems(*systems)
    tables = [table for make in COMPARISON_TABLES if (table := make(system_a, system_b)).lines]
    (on_headline,) = [line for line in tables[0].data.to_dict("records") if line["task"] == HEADLINE]
    answer = answer_comparison(system_a.label, system_b.label, HEADLINE, on_headline)
    if out is not None:
        viewer = None
        if documents > 0:
            viewer = build_comparison_viewer(system_a, system_b, split=split, max_documents=documents)
        files = write_as_text(tables, f"{system_a.label} {system_b.label}", paper)
        page = build_comparison_page(system_a.label, system_b.label, answer, tables, viewer)
        write_files(files | {"index.html": page}, out)
    if json:
        content: dict[str, Any] = {"a": system_a.label, "b": system_b.label, "split": split, "n": len(system_a.counts)}
        for table in tables:
            # The first one, of the five tasks, is the table `compare` itself.
            content[table.name.removeprefix("compare").lstrip("-") or "tasks"] = table.data.to_dict("records")
        print_json({**content, "answer": answer})
    else:
        print("\n".join([f"{answer}\n", *(to_markdown(table) for table in tables)]))
        if out is not None:
            print(out / "index.html")


def require_a_scored_run(data: ReportData) -> None:
    """Raise a UserError where the study has neither a run with a score nor a trial of a search."""
    runs = run_facts(data.frame).drop_duplicates("run")
    if runs["status"].isin([*SCORED, EXTERNAL]).any() or (data.search is not None and data.search.trials):
        return
    counts = ", ".join(f"{count} {status}" for status, count in runs["status"].value_counts(sort=False).items())
    study = data.study
    raise UserError(
        f"no run of study {study.label} is finished yet ({counts}): run `engram study run {study.study.name} "
        f"--profile {study.profile}`, or give another folder (--runs DIR)"
    )


def name_in_labels(record: StudyRecord, runs: Path) -> str:
    """What labels in LaTeX call a study: its name, with the profile where it was run under several."""
    name = record.study.name
    several = len(list((runs / STUDIES).glob(f"{name}@*/{RECORD}"))) > 1
    return record.label if several else name


def write_as_text(tables: Sequence[Table], name: str, paper: Paper) -> dict[str, str]:
    """File name -> text: each table as `<name>.md`, `.tex` and `.csv`; in notes.tex what LaTeX captions leave out."""
    files = {}
    for table in tables:
        files[f"{table.name}.md"] = to_markdown(table)
        files[f"{table.name}.tex"] = to_latex(table, name, paper)
        files[f"{table.name}.csv"] = write_csv(table.data)
    return files | {"notes.tex": to_notes(tables)}


def write_files(files: Mapping[str, str], folder: Path, figures: Sequence[ReportFigure] = (), study: str = "") -> None:
    """Write texts, and figures with the study's name in their labels, to a folder, made if need be, and list them."""
    make_folder(folder, "give a folder that is yours (--out DIR)")
    for name, text in files.items():
        atomic_write(folder / name, text.encode())
    names = [*files, *(path.name for figure in figures for path in save_figure(figure, folder, study))]
    print(f"written to {folder}: {', '.join(names)}", file=sys.stderr, flush=True)
