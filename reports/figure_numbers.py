"""The numbers behind every figure, as frames; `reports.figures` only draws them."""

from pathlib import Path
from typing import Any

import pandas as pd

from core.history import STEP, VALIDATION, read_history
from core.record import HISTORY, SCORED
from reports.captions import label
from reports.load import runs_of
from reports.summary import summary_of
from reports.tables import by_group
from studies.statistics import Summary, t_interval
from studies.study_record import StudyRecord


def differences(study: StudyRecord, frame: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """A line per compared row, task and shared seed: `difference` of that seed, and `delta`, `low`, `high` of them all.

    Lines with one shared seed have no interval; rows without any are left out.
    """
    known = frame[frame["f1"].notna()]
    keys = zip(known["row"], known["task"], known["seed"], strict=True)
    scored = dict(zip(keys, known["f1"], strict=True))
    order = {row: place for place, row in enumerate(by_group(study))}
    lines: list[dict[str, Any]] = []
    for line in sorted(compared.to_dict("records"), key=lambda line: order[line["row"]]):
        for seed in map(int, line["seeds"].split()):
            own = {"row": line["row"], "label": label(study, line["row"]), "task": line["task"], "seed": seed}
            apart = scored[line["row"], line["task"], seed] - scored[line["baseline"], line["task"], seed]
            lines.append({**own, "difference": apart, **{name: line[name] for name in ("delta", "low", "high", "n")}})
    return pd.DataFrame(lines, columns="row label task seed difference delta low high n".split())


def training_curves(study: StudyRecord, frame: pd.DataFrame) -> pd.DataFrame:
    """A line per scored run and validation: `share` of all steps done, validation F1 of the study's metric, `begins`.

    `begins` is the share of steps at which the run began to read memory; NaN where it never did. A run whose history is
    gone has no lines.
    """
    runs = runs_of(frame)
    lines: list[dict[str, Any]] = []
    for run in runs[runs["status"].isin(SCORED) & (runs["steps"] > 0)].to_dict("records"):
        history = read_history(Path(run["folder"]) / HISTORY)
        reading = [row["step"] for row in history if row["kind"] == STEP and row["reading"] > 0]
        begins = reading[0] / run["steps"] if reading else float("nan")
        own = {"row": run["row"], "label": label(study, run["row"]), "seed": run["seed"], "begins": begins}
        for row in history:
            value = row.get(f"validation/{study.study.metric}/f1")
            if row["kind"] == VALIDATION and value is not None:
                lines.append({**own, "share": row["step"] / run["steps"], "f1": value})
    return pd.DataFrame(lines, columns="row label seed begins share f1".split())


def axis_curve(study: StudyRecord, frame: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """The title of the one axis along which rows stand at numbers, and a line per such row: x, mean, low, high, n.

    The title is empty where rows stand on no axis of at least three numbers, or on several.
    """
    places: dict[str, dict[str, float]] = {}
    for row, entry in study.study.rows.items():
        for axis, value in entry.at.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                places.setdefault(axis, {})[row] = float(value)
    axes = [axis for axis, values in places.items() if len(set(values.values())) > 2]
    if len(axes) != 1:
        return "", pd.DataFrame()
    summary = summary_of(study, frame)
    summary = summary[(summary["task"] == study.study.metric) & (summary["n"] > 0)].set_index("row")
    lines = []
    for row, x in places[axes[0]].items():
        if row in summary.index:
            found = summary.loc[row]
            low, high = t_interval(Summary(found["mean"], found["std"], int(found["n"])))
            group = {"group": study.study.rows[row].group, "row": row, "x": x}
            lines.append({**group, "mean": found["mean"], "low": low, "high": high, "n": int(found["n"])})
    numbers = pd.DataFrame(lines, columns="group row x mean low high n".split()).sort_values(["group", "x"])
    return study.study.axis(axes[0]).title, numbers
