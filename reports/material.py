"""What tables and figures are made of, and what a figure is: all that a part of a report is handed, in one place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from reports.breakdown_tables import Parts
from studies.search_record import SearchRecord
from studies.study_record import StudyRecord


@dataclass(frozen=True)
class Material:
    """A study and what its records say, read once for every table and figure."""

    study: StudyRecord
    frame: pd.DataFrame
    """The tidy frame of `reports.load`: a line per row, seed and task; `folder` is the run's, where it has one."""
    compared: pd.DataFrame
    """What `reports.comparison.comparisons` says of the frame."""
    parts: Parts = field(default_factory=dict)
    """Breakdowns of strict relation scores by run id, as `reports.load` reads them."""
    configs: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Row -> the resolved config of its first run that has a record."""
    search: SearchRecord | None = None
    """The trials that chose a row, where the study is a search."""


@dataclass(frozen=True)
class Drawing:
    """A figure with its file name and what its caption says."""

    name: str
    figure: Figure
    caption: str
