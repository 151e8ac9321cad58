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
    """The one numeric setting in which a study's rows differ, and a line per row that sets it: x, mean, low, high, n.

    The path is empty where rows differ in no setting, in several, or in one that is no number.
    """
    flat = {row: dict(leaves(entry.settings)) for row, entry in study.study.rows.items()}
    varied = {path for settings in flat.values() for path in settings}
    paths = [path for path in varied if len({settings.get(path) for settings in flat.values()} - {None}) > 2]
    numeric = [path for path in paths if all(is_number(settings.get(path, 0)) for settings in flat.values())]
    if len(paths) != 1 or len(numeric) != 1:
        return "", pd.DataFrame()
    summary = summary_of(study, frame)
    summary = summary[(summary["task"] == study.study.metric) & (summary["n"] > 0)].set_index("row")
    lines = []
    for row, settings in flat.items():
        if numeric[0] in settings and row in summary.index:
            found = summary.loc[row]
            low, high = t_interval(Summary(found["mean"], found["std"], int(found["n"])))
            group = {"group": study.study.rows[row].group, "row": row, "x": float(settings[numeric[0]])}
            lines.append({**group, "mean": found["mean"], "low": low, "high": high, "n": int(found["n"])})
    return numeric[0], pd.DataFrame(lines, columns="group row x mean low high n".split()).sort_values(["group", "x"])


def leaves(tree: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Every setting of a nested dict with its path."""
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        found += leaves(value, f"{before}{key}.") if isinstance(value, dict) else [(f"{before}{key}", value)]
    return found


def is_number(value: Any) -> bool:
    """Whether a setting can stand on an axis."""
    return isinstance(value, int | float) and not isinstance(value, bool)
