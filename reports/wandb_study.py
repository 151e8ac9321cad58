"""Which runs of a W&B project make up a study, where its record is not on this machine: their settings say it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from core.errors import UserError
from reports.wandb_runs import RemoteRun
from studies.study import Study, find_study
from studies.study_record import STUDIES, Cell, StudyRecord, find_study_record


def study_in_project(name: str, runs: Path, remote: Iterable[RemoteRun], *, profile: str | None) -> StudyRecord:
    """The record of a study that was run here, or one made from what the project's runs say of themselves.

    Raises a UserError where the study is known neither here nor as shipped or YAML file, where no run is of it,
    and where runs of several profiles do and none is given.
    """
    title, _, under = name.partition("@")
    title = Path(title).stem if title.endswith((".yaml", ".yml")) else title
    if any(path.name.partition("@")[0] == title for path in (runs / STUDIES).glob("*@*")):
        return find_study_record(name, runs, profile=profile)
    study = find_study(name.partition("@")[0])
    own = [run for run in remote if place_of(run, study) is not None]
    profiles = sorted({str(run.config.get("profile")) for run in own})
    profile = profile or under or (profiles[0] if len(profiles) == 1 else None)
    if not own or (profile is not None and profile not in profiles):
        raise UserError(
            f"the W&B project has no run of study {study.name!r}{f' under profile {profile!r}' if profile else ''} (it "
            f"has it under {' and '.join(profiles) or 'none'}): check study, --profile and project"
        )
    if profile is None:
        told = " and ".join(profiles)
        raise UserError(f"the W&B project has study {study.name} as {told}: say which with --profile P")
    of_profile = [run for run in own if run.config.get("profile") == profile]
    return StudyRecord(study=study, profile=profile, settings={}, cells=cells_of(study, of_profile))


def cells_of(study: Study, remote: Iterable[RemoteRun]) -> list[Cell]:
    """A cell per row: its signature in the project, of several the one with the most seeds; every seed of the study."""
    found: dict[str, dict[str, set[int]]] = {row: {} for row in study.rows}
    for run in remote:
        signature, _, seed = run.id.rpartition("-s")
        row = place_of(run, study)
        if row is not None and seed.isdigit():
            found[row].setdefault(signature, set()).add(int(seed))
    return [cell_of(row, signatures, study.seeds) for row, signatures in found.items()]


def place_of(run: RemoteRun, study: Study) -> str | None:
    """The row of the study for which a run was computed; None where it was for none of them.

    The run's settings say it as `tracking.study` and `tracking.row`, or by tags: study, then row.
    """
    tracking = run.config.get("tracking") or {}
    if tracking.get("study") and tracking.get("row"):
        of_study = str(tracking["study"]).partition("@")[0] == study.name
        return str(tracking["row"]) if of_study and tracking["row"] in study.rows else None
    tags = [tag.strip() for tag in str(tracking.get("tags") or "").split(",")]
    if study.name not in tags:
        return None
    # The row's tag follows the study's; before it stand tags of the user's own.
    after = tags[tags.index(study.name) + 1 :]
    return next((tag for tag in (*after, *tags) if tag in study.rows), None)


def cell_of(row: str, signatures: Mapping[str, set[int]], seeds: Iterable[int]) -> Cell:
    """The cell of one row; a row of which the project has no run is named by its runs, which are then missing."""
    signature = max(signatures, key=lambda name: len(signatures[name]), default=row)
    wanted = sorted({*seeds, *signatures.get(signature, ())})
    return Cell(row, signature, {seed: f"{signature}-s{seed}" for seed in wanted})
