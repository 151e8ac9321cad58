"""Curves: scores along an axis of numbers, and loss and validation F1 over training.

The numbers behind every figure of scores, as frames; figures only draw them.

Loss and validation scores over training, from the histories that runs keep.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter
from matplotlib.transforms import offset_copy
from pydantic import ValidationError

from core.config.model_source import encoder_width
from core.config.schema import EncoderConfig
from core.records.history import STEP, VALIDATION, read_history
from core.records.record import HISTORY, SCORED
from reports.captions import label
from reports.figures.style import BASELINE, COLUMN, MARKS, house_style
from reports.frame import run_facts
from reports.row_means import LONG
from reports.tables.results import rows_by_group
from studies.record import StudyRecord
from studies.statistics import summarize, t_interval

WIDEST_SCALE = 16
"""Ratio of the largest to the smallest value of an axis from which on it is drawn in powers of two."""


def axis(title: str, numbers: pd.DataFrame, *, metric: str, beside: tuple[str, float] | None = None) -> Figure:
    """F1 along an axis of numbers: every seed a dot, mean and 95 % interval per value, a line per group.

    `numbers` has a line per row and seed: group, x, value, mean, low, high. `beside` is a row off the axis, as its
    label and mean.
    """
    with house_style():
        figure = Figure(figsize=(COLUMN, 2.4))
        panel = figure.subplots()
        values = sorted(set(numbers["x"]))
        for place, (group, part) in enumerate(numbers.groupby("group", sort=False)):
            colour = f"C{place % 7}"
            rows = part.drop_duplicates("row")
            half = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
            form: dict[str, Any] = {"marker": MARKS[place % len(MARKS)], "markersize": 4, "capsize": 2, "color": colour}
            panel.errorbar(rows["x"], rows["mean"], yerr=half, label=str(group) or None, **form)
            # To the left of their mean, so that neither hides the other.
            aside = offset_copy(panel.transData, figure, x=-5, units="points")
            dots: dict[str, Any] = {"color": colour, "markersize": 3, "alpha": 0.5, "markeredgewidth": 0}
            panel.plot(part["x"], part["value"], "o", transform=aside, **dots)
        if beside is not None:
            panel.axhline(beside[1], color=BASELINE, linewidth=0.9, linestyle="--", label=beside[0])
        if values[0] > 0 and values[-1] / values[0] >= WIDEST_SCALE:
            panel.set_xscale("log", base=2)
            panel.set_xticks(values, [f"{value:g}" for value in values])
            panel.minorticks_off()
        panel.set_xlabel(title)
        panel.set_ylabel(f"{LONG[metric]} F1")
        if numbers["group"].nunique() > 1 or beside is not None:
            figure.legend(loc="outside upper center", ncols=2)
    return figure


def curves(numbers: pd.DataFrame, *, metric: str) -> Figure:
    """Training loss above validation F1, against optimiser steps: per row the mean over seeds in a band of one std.

    `numbers` has a line per row, measure (loss, f1) and step: label, mean, std, and `begins`, the step at which the row
    begins to read memory.
    """
    labels = list(dict.fromkeys(numbers["label"]))
    measures = [measure for measure in ("loss", "f1") if (numbers["measure"] == measure).any()]
    with house_style():
        figure = Figure(figsize=(COLUMN, 0.5 + 1.65 * len(measures) + 0.16 * len(labels)))
        panels = figure.subplots(len(measures), 1, sharex=True, squeeze=False)[:, 0]
        for panel, measure in zip(panels, measures, strict=True):
            draw(panel, numbers[numbers["measure"] == measure], labels, marked=measure == "f1")
            panel.set_ylabel("training loss" if measure == "loss" else f"validation\n{LONG[metric]} F1")
            if measure == "loss":
                panel.set_yscale("log")
                panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
                panel.minorticks_off()
        begins = find_reading_starts(numbers)
        for panel in panels:
            for begin in begins:
                panel.axvline(begin, color=BASELINE, linewidth=0.9, linestyle=":")
        if begins:
            told: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 6.5, "color": BASELINE}
            panels[0].text(begins[0], 1.01, "reading begins", transform=panels[0].get_xaxis_transform(), **told)
        panels[-1].set_xlabel("optimiser steps")
        panels[-1].set_xlim(0, numbers["step"].max() * 1.02)
        handles, names = panels[-1].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=2 if max(map(len, labels)) < 24 else 1)
    return figure


def draw(panel: Axes, numbers: pd.DataFrame, labels: Sequence[str], *, marked: bool) -> None:
    """The mean of every row, in a band of one standard deviation to either side."""
    for place, name in enumerate(labels):
        part = numbers[numbers["label"] == name]
        form: dict[str, Any] = {"marker": MARKS[place % len(MARKS)], "markersize": 3.2} if marked else {}
        colour = f"C{place % 7}"
        panel.plot(part["step"], part["mean"], color=colour, label=name, **form)
        low, high = part["mean"] - part["std"], part["mean"] + part["std"]
        panel.fill_between(part["step"], low, high, color=colour, alpha=0.18, linewidth=0)


def find_reading_starts(numbers: pd.DataFrame) -> list[float]:
    """The steps at which some row begins to read memory, in order."""
    return sorted(set(numbers["begins"].dropna()))


FEWEST_PLACES = 3
"""Numbers on an axis from which on it is drawn as a curve."""


def differences(study: StudyRecord, frame: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """A line per compared row, task and shared seed: `value` the difference of that seed; `mean`, `low`, `high` of all.

    Lines with one shared seed have no interval; rows without any are left out.
    """
    known = frame[frame["f1"].notna()]
    keys = zip(known["row"], known["task"], known["seed"], strict=True)
    scored = dict(zip(keys, known["f1"], strict=True))
    order = {row: place for place, row in enumerate(rows_by_group(study))}
    lines = []
    for line in sorted(compared.to_dict("records"), key=lambda line: order[line["row"]]):
        row, task, baseline = line["row"], line["task"], line["baseline"]
        for seed in map(int, line["seeds"].split()):
            value = scored[row, task, seed] - scored[baseline, task, seed]
            lines.append((row, label(study, row), task, seed, value, line["delta"], line["low"], line["high"]))
    return pd.DataFrame(lines, columns="row label task seed value mean low high".split())


def scores_frame(study: StudyRecord, frame: pd.DataFrame) -> pd.DataFrame:
    """A line per row and scored seed on the study's metric: `value` is that seed's F1; `mean`, `low`, `high` of all."""
    metric = study.study.metric
    found = frame[(frame["task"] == metric) & frame["f1"].notna()]
    values: dict[str, list[tuple[int, float]]] = {}
    for row, seed, value in zip(found["row"], found["seed"], found["f1"], strict=True):
        values.setdefault(row, []).append((int(seed), value))
    lines = []
    for row in rows_by_group(study):
        scored = values.get(row, [])
        one = summarize(value for _, value in scored)
        low, high = t_interval(one)
        lines += [(row, label(study, row), metric, seed, value, one.mean, low, high) for seed, value in scored]
    return pd.DataFrame(lines, columns="row label task seed value mean low high".split())


def axis_frame(
    study: StudyRecord, frame: pd.DataFrame, configs: Mapping[str, dict[str, Any]]
) -> tuple[str, pd.DataFrame]:
    """The title of the one axis along which rows stand at numbers, and a line per such row and seed.

    Columns: group, row, x, and those of `scores_frame`. A slot width of the encoder's own stands at that width, where
    it is known. The title is empty where rows stand on no axis of at least three numbers, or on several.
    """
    places: dict[str, dict[str, float]] = {}
    for row, entry in study.study.rows.items():
        for name, value in entry.at.items():
            own = find_encoder_width(configs.get(row)) if value is None and study.study.axis(name).is_width else None
            number = value if own is None else own
            if isinstance(number, int | float) and not isinstance(number, bool):
                places.setdefault(name, {})[row] = float(number)
    axes = [name for name, values in places.items() if len(set(values.values())) >= FEWEST_PLACES]
    if len(axes) != 1:
        return "", pd.DataFrame()
    at = places[axes[0]]
    numbers = scores_frame(study, frame)
    numbers = numbers[numbers["row"].isin(at)]
    group = numbers["row"].map(lambda row: study.study.rows[row].group)
    numbers = numbers.assign(x=numbers["row"].map(at), group=group)
    return study.study.axis(axes[0]).title, numbers.sort_values(["group", "x", "seed"], kind="stable")


def find_encoder_width(config: Mapping[str, Any] | None) -> int | None:
    """The width of a run's encoder; None where it is not known here."""
    try:
        return encoder_width(EncoderConfig.model_validate(config["encoder"])) if config else None
    except ValidationError:
        return None


BINS = 60
"""Parts of a run over whose steps the loss is averaged: single steps are of single documents."""
LOSS = "loss/total"


def training_frame(study: StudyRecord, frame: pd.DataFrame) -> pd.DataFrame:
    """A line per row, measure and step: mean, std (ddof 1; NaN at one seed) and n over the row's scored seeds.

    `measure` is `loss` (training loss, averaged over 60 equal parts of the steps and standing at the end of each) or
    `f1` (validation F1 of the study's metric). `begins` is the step at which the row's runs began to read memory, NaN
    where they never did. A run whose history is gone is left out, and so lowers n.
    """
    runs = run_facts(frame)
    scored = runs[runs["status"].isin(SCORED) & (runs["steps"] > 0) & (runs["folder"] != "")]
    found: dict[tuple[str, str, float], list[float]] = {}
    begins: dict[str, list[int]] = {}
    for row, folder, steps in zip(scored["row"], scored["folder"], scored["steps"], strict=True):
        history = read_history(Path(folder) / HISTORY)
        begins.setdefault(row, []).extend(first_reading(history))
        for step, loss in binned(history, int(steps)):
            found.setdefault((row, "loss", step), []).append(loss)
        for line in history:
            value = line.get(f"validation/{study.study.metric}/f1")
            if line["kind"] == VALIDATION and value is not None:
                found.setdefault((row, "f1", line["step"]), []).append(value)
    lines = []
    order = {row: place for place, row in enumerate(rows_by_group(study))}
    for (row, measure, step), values in sorted(found.items(), key=lambda item: (order[item[0][0]], item[0][1:])):
        one = summarize(values)
        first = min(begins[row], default=math.nan)
        lines.append((row, label(study, row), measure, step, one.mean, one.std, one.n, first))
    return pd.DataFrame(lines, columns="row label measure step mean std n begins".split())


def first_reading(history: list[dict[str, Any]]) -> list[int]:
    """The first logged step at which memory was read; nothing where it never was."""
    return [line["step"] for line in history if line["kind"] == STEP and line["reading"] > 0][:1]


def binned(history: list[dict[str, Any]], steps: int) -> list[tuple[float, float]]:
    """(last step, mean loss) of every part of the steps that holds a logged and finite loss."""
    parts: dict[int, list[float]] = {}
    for line in history:
        if line["kind"] == STEP and math.isfinite(line.get(LOSS, math.nan)):
            parts.setdefault(min(BINS - 1, (line["step"] - 1) * BINS // steps), []).append(line[LOSS])
    return [((part + 1) * steps / BINS, sum(losses) / len(losses)) for part, losses in sorted(parts.items())]
