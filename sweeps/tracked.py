"""How W&B follows a study that was run, as its runs' configs say: its project, whose it is, online or not."""

from pathlib import Path

from core.config import TrackingConfig
from core.presets import from_yaml
from core.record import CONFIG
from studies.study_record import StudyRecord


def tracking_of(record: StudyRecord, runs: Path) -> TrackingConfig:
    """The tracking of the first run that was started; the default where none was."""
    for run in record.runs_in(runs):
        if (run.folder / CONFIG).is_file():
            return from_yaml(run.folder / CONFIG).tracking
    return TrackingConfig()
