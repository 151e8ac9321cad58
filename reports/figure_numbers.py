"""The numbers behind every figure of scores, as frames; figures only draw them."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from pydantic import ValidationError

from core.config import EncoderConfig
from reports.captions import label
from reports.tables import by_group
from studies.statistics import summarize, t_interval
from studies.study_record import StudyRecord
from studies.widths import encoder_width

FEWEST_PLACES = 3
"""Numbers on an axis from which on it is drawn as a curve."""


def differences(study: StudyRecord, frame: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """A line per compared row, task and shared seed: `value` the difference of that seed; `mean`, `low`, `high` of all.

    Lines with one shared seed have no interval; rows without any are left out.
    """
    known = frame[frame["f1"].notna()]
    keys = zip(known["row"], known["task"], known["seed"], strict=True)
    scored = dict(zip(keys, known["f1"], strict=True))
    order = {row: place for place, row in enumerate(by_group(study))}
    lines = []
    for line in sorted(compared.to_dict("records"), key=lambda line: order[line["row"]]):
        row, task, baseline = line["row"], line["task"], line["baseline"]
        for seed in map(int, line["seeds"].split()):
            value = scored[row, task, seed] - scored[baseline, task, seed]
            lines.append((row, label(study, row), task, seed, value, line["delta"], line["low"], line["high"]))
    return pd.DataFrame(lines, columns="row label task seed value mean low high".split())


def scores_by_row(study: StudyRecord, frame: pd.DataFrame) -> pd.DataFrame:
    """A line per row and scored seed on the study's metric: `value` is that seed's F1; `mean`, `low`, `high` of all."""
    metric = study.study.metric
    found = frame[(frame["task"] == metric) & frame["f1"].notna()]
    values: dict[str, list[tuple[int, float]]] = {}
    for row, seed, value in zip(found["row"], found["seed"], found["f1"], strict=True):
        values.setdefault(row, []).append((int(seed), value))
    lines = []
    for row in by_group(study):
        scored = values.get(row, [])
        one = summarize(value for _, value in scored)
        low, high = t_interval(one)
        lines += [(row, label(study, row), metric, seed, value, one.mean, low, high) for seed, value in scored]
    return pd.DataFrame(lines, columns="row label task seed value mean low high".split())


def axis_curve(
    study: StudyRecord, frame: pd.DataFrame, configs: Mapping[str, dict[str, Any]]
) -> tuple[str, pd.DataFrame]:
    """The title of the one axis along which rows stand at numbers, and a line per such row and seed.

    Columns: group, row, x, and those of `scores_by_row`. A slot width of the encoder's own stands at that width, where
    it is known. The title is empty where rows stand on no axis of at least three numbers, or on several.
    """
    places: dict[str, dict[str, float]] = {}
    for row, entry in study.study.rows.items():
        for name, value in entry.at.items():
            own = width_of(configs.get(row)) if value is None and study.study.axis(name).is_width else None
            number = value if own is None else own
            if isinstance(number, int | float) and not isinstance(number, bool):
                places.setdefault(name, {})[row] = float(number)
    axes = [name for name, values in places.items() if len(set(values.values())) >= FEWEST_PLACES]
    if len(axes) != 1:
        return "", pd.DataFrame()
    at = places[axes[0]]
    numbers = scores_by_row(study, frame)
    numbers = numbers[numbers["row"].isin(at)]
    group = numbers["row"].map(lambda row: study.study.rows[row].group)
    numbers = numbers.assign(x=numbers["row"].map(at), group=group)
    return study.study.axis(axes[0]).title, numbers.sort_values(["group", "x", "seed"], kind="stable")


def width_of(config: Mapping[str, Any] | None) -> int | None:
    """The width of a run's encoder; None where it is not known here."""
    try:
        return encoder_width(EncoderConfig.model_validate(config["encoder"])) if config else None
    except ValidationError:
        return None
