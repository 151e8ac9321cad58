"""Views of a study in W&B, made by `engram study sync`: a workspace of curves and bars, and a report with the answer.

They are kept as JSON in the study's folder, and uploaded where they have changed: the same views again, by the ids that
the server gave them. Runs are chosen by the ids of the plan and grouped by row, as a run may belong to several studies.
Answer and tables are read from the files of `engram report`.
"""

import hashlib
import io
import json
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.config.schema import TrackingConfig
from core.errors import first_line
from core.files import atomic_write, make_folder, write_json
from core.input_files import read_json
from core.records.record import RECORD
from core.records.summary import read_summary
from core.records.wandb_run import FILES, entity_name, project_name
from core.scoring.metrics import TASKS
from studies.record import StudyRecord, study_folder
from sweeps.dashboards.study_runs import REPORT

VIEWS = "views.json"
RANDOM_KEYS = ("id", "__id__")
"""What wandb-workspaces draws anew whenever it builds a panel."""
SPREAD: dict[str, Any] = {"groupby_aggfunc": "mean", "max_runs_to_show": 1_000}
MAX_TITLE = 128
ANSWER, LATEX = "answer.md", "table.tex"
TABLES = {"Results": "table.md", "Differences": "comparisons.md", "Ablation": "ablation.md"}
"""Heading -> the file of `engram report`; a study need not have all of them."""


Uploaded = dict[str, dict[str, str]]
"""workspace or report -> its id, name and url on the server, and a digest of what was uploaded."""


def sync_views(record: StudyRecord, runs: Path, tracking: TrackingConfig, *, online: bool) -> bool:
    """Keep the views of a study as JSON and, online, upload those that have changed; whether W&B took them.

    Prints where they are, or why there are none.
    """
    if find_spec("wandb_workspaces") is None:
        print("W&B gets no workspace and no report: run pip install 'engram[workspaces]' first", file=sys.stderr)
        return True
    import wandb

    study = study_folder(runs, record.label)
    make_folder(study / FILES, "give a folder that is yours (--runs DIR)")
    uploaded = read_json(study / FILES / VIEWS, Uploaded, "delete it, and new views are made") or {}
    builders: dict[str, Callable[..., Any]] = {"workspace": build_workspace}
    if has_current_report(record, runs):
        builders["report"] = partial(build_report, texts=study / REPORT, uploaded=uploaded)
    else:
        missing = "as there are no answer and tables yet, or runs ended after they were written"
        print(f"the report for W&B needs `engram report {record.label}` first, {missing}", file=sys.stderr)
    for kind, build in builders.items():
        path = study / FILES / f"{kind}.json"
        try:
            # W&B's client says where views are, which is printed here, and that it calls deprecated functions.
            with redirect_stderr(io.StringIO()), warnings.catch_warnings(action="ignore"):
                entity = entity_name(tracking) or (str(wandb.Api().default_entity) if online else "")
                view = build(record, runs, entity=entity, project=project_name(tracking))
                text = view._to_model().model_dump_json(by_alias=True, exclude_none=True, indent=1)
                atomic_write(path, text.encode())
                digest = hash_view(text)
                if online and (kind not in uploaded or uploaded[kind]["digest"] != digest):
                    uploaded[kind] = upload_view(view, uploaded.get(kind, {}), digest)
                    write_json(study / FILES / VIEWS, uploaded)
        except Exception as error:  # noqa: BLE001 - whatever W&B's client raises, the runs are uploaded
            print(f"engram: the {kind} of {record.label} was not made in W&B: {first_line(error)}", file=sys.stderr)
            return False
        print(f"{kind}: {uploaded[kind]['url'] if online else path}")
    return True


def has_current_report(record: StudyRecord, runs: Path) -> bool:
    """Whether `engram report` has written its files since the last run of the study ended."""
    records = [path for run in record.runs_in(runs) if (path := run.folder / RECORD).is_file()]
    files = [study_folder(runs, record.label) / REPORT / name for name in (ANSWER, LATEX, TABLES["Results"])]
    if not records or not all(path.is_file() for path in files):
        return False
    return min(path.stat().st_mtime for path in files) >= max(path.stat().st_mtime for path in records)


def upload_view(view: Any, before: Mapping[str, str], digest: str) -> dict[str, str]:
    """Upload a workspace or report, as the same view as before where there was one."""
    names = {"id": "id"} if hasattr(view, "blocks") else {"id": "_internal_id", "name": "_internal_name"}
    for key, attribute in names.items() if before else ():
        setattr(view, attribute, before[key])
    view.save()
    return {key: getattr(view, attribute) for key, attribute in names.items()} | {"url": view.url, "digest": digest}


def hash_view(text: str) -> str:
    """A digest of a view's JSON, without what is random in it."""
    content = json.loads(text, object_pairs_hook=lambda pairs: {k: v for k, v in pairs if k not in RANDOM_KEYS})
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def runs_of_plan(record: StudyRecord) -> list[Any]:
    """The filter that chooses a study's runs."""
    import wandb_workspaces.expr as ex

    return [ex.Config("run_id").isin(list(dict.fromkeys(id for row in record.row_runs for id in row.runs.values())))]


def curve(key: str, title: str) -> Any:
    """A score or loss over the optimiser steps: per row its mean, and a band of the standard deviation."""
    import wandb_workspaces.reports.v2 as wr

    same = SPREAD | {"groupby": wr.Config("row"), "groupby_rangefunc": "stddev", "smoothing_type": "none"}
    return wr.LinePlot(title=title, x="global_step", y=[key], **same)


def bar(task: str, split: str) -> Any:
    """The final F1 of a task: per row its mean, and the standard error as error bar."""
    import wandb_workspaces.reports.v2 as wr

    same = SPREAD | {"groupby": wr.Config("row"), "groupby_rangefunc": "stderr"}
    return wr.BarPlot(title=f"{split} {task} F1", metrics=[wr.SummaryMetric(f"{split}/{task}/f1")], **same)


def axis_panels(record: StudyRecord) -> list[Any]:
    """The study's axes against the F1 that answers its question; none for a study without axes."""
    import wandb_workspaces.reports.v2 as wr

    score = f"validation/{record.study.metric}/f1"
    axes: list[tuple[Any, str]] = [(wr.Config(axis.path), axis.title) for axis in record.study.declared_axes]
    columns = [*axes, (wr.SummaryMetric(score), "validation F1")]
    shown = [wr.ParallelCoordinatesPlotColumn(key, display_name=name) for key, name in columns]
    return (
        [wr.ParallelCoordinatesPlot(columns=shown), wr.ParameterImportancePlot(with_respect_to=score)] if axes else []
    )


def final_split(record: StudyRecord, runs: Path) -> str:
    """The split of the final scores: test, or validation where no run has read any test documents."""
    has_test = any("test" in read_summary(run.folder).metrics for run in record.runs_in(runs))
    return "test" if has_test else "validation"


def build_workspace(record: StudyRecord, runs: Path, *, entity: str, project: str) -> Any:
    """The workspace of a study: curves, final F1, training and axes of its runs, grouped by row."""
    import wandb_workspaces.expr as ex
    import wandb_workspaces.workspaces as ws

    split = final_split(record, runs)
    sections = {
        "Validation curves": [curve(f"validation/{task}/f1", f"validation {task} F1") for task in TASKS],
        f"Final F1 on {split}": [bar(task, split) for task in TASKS],
        "Training": [curve("train/loss", "training loss"), curve("train/lr", "learning rate")],
        "Axes": axis_panels(record),
    }
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"study {record.label}",
        sections=[ws.Section(name=name, panels=panels, is_open=True) for name, panels in sections.items() if panels],
        settings=ws.WorkspaceSettings(x_axis="global_step", smoothing_type="none"),
        runset_settings=ws.RunsetSettings(
            filters=runs_of_plan(record),
            groupby=[ex.Config("row")],
            order=[ex.Ordering(ex.Config("row"), ascending=True)],
            pinned_columns=[f"summary:{split}/{record.study.metric}/f1", "config:seed.value", "run:state"],
        ),
    )


def build_report(record: StudyRecord, runs: Path, *, entity: str, project: str, texts: Path, uploaded: Uploaded) -> Any:
    """The report of a study: question, answer, tables and LaTeX as `engram report` wrote them, panels of its runs."""
    import wandb_workspaces.reports.v2 as wr

    # Without an entity, as offline, it asks no server for the project.
    chosen = wr.Runset(
        entity=entity, project=project, name="runs", filters=runs_of_plan(record), groupby=["config.row"]
    )
    question, metric, split = record.study.question, record.study.metric, final_split(record, runs)
    panels = [bar(metric, split), curve(f"validation/{metric}/f1", f"validation {metric} F1"), *axis_panels(record)]
    parts = {"Answer": ANSWER} | {heading: name for heading, name in TABLES.items() if (texts / name).is_file()}
    blocks: list[Any] = [wr.H1("Question"), wr.P(question)]
    for heading, name in parts.items():
        blocks += [wr.H1(heading), wr.MarkdownBlock((texts / name).read_text(encoding="utf-8"))]
    blocks += [wr.H1("Runs"), wr.PanelGrid(runsets=[chosen], panels=panels)]
    if "workspace" in uploaded:
        blocks.append(wr.P(wr.Link("All curves: the workspace of the study", uploaded["workspace"]["url"])))
    blocks.append(wr.P(f"Every figure and document: `engram report {record.label}`, where the study was run"))
    blocks.append(wr.H1("Table for the paper"))
    blocks.append(wr.CodeBlock((texts / LATEX).read_text(encoding="utf-8"), language="markdown"))
    return wr.Report(
        entity=entity,
        project=project,
        title=f"Study {record.label}"[:MAX_TITLE],
        description=question,
        width="fluid",
        blocks=blocks,
    )
