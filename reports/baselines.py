"""Published scores, each with its source and protocol. They have no seeds: they never enter a paired test."""

from dataclasses import dataclass

from studies.statistics import Summary
from studies.study_record import StudyRecord

POSTER = "the poster's table: DocRED, JEREX's end-to-end split, bert-base-cased, five seeds"
UNSAID = (
    "Published rows are typed in as printed; the poster does not say whether its relation F1 is strict or loose, nor "
    "the ddof of its ± (1 is taken), and they have no seeds: they are compared by Welch's interval only."
)
PUBLISHED_ON = "docred-joint"
"""The data set that the published rows were measured on; beside other data they would mislead."""


@dataclass(frozen=True)
class Published:
    """A row of a published table: F1 in percent per task as mean, std and n."""

    name: str
    title: str
    group: str
    baseline: str
    """The published row that it is compared with; its own name for a baseline."""
    scores: dict[str, Summary]
    source: str = POSTER


def _row(name: str, title: str, group: str, baseline: str, *printed: tuple[float, float]) -> Published:
    tasks = ("relation_strict", "entity", "coref", "mention")
    return Published(
        name, title, group, baseline, {task: Summary(*pair, 5) for task, pair in zip(tasks, printed, strict=True)}
    )


TABLE = (
    _row(
        "published-jerex-grc",
        "JEREX",
        "GRC",
        "published-jerex-grc",
        (38.65, 0.13),
        (79.66, 0.26),
        (82.35, 0.25),
        (92.54, 0.13),
    ),
    _row(
        "published-memory-grc",
        "memory",
        "GRC",
        "published-jerex-grc",
        (38.91, 0.15),
        (79.72, 0.06),
        (82.43, 0.06),
        (92.63, 0.12),
    ),
    _row(
        "published-jerex-mrc",
        "JEREX",
        "MRC",
        "published-jerex-mrc",
        (39.93, 0.47),
        (79.68, 0.20),
        (82.41, 0.17),
        (92.54, 0.12),
    ),
    _row(
        "published-memory-mrc",
        "memory",
        "MRC",
        "published-jerex-mrc",
        (39.89, 0.27),
        (79.71, 0.31),
        (82.42, 0.28),
        (92.77, 0.17),
    ),
)
"""The poster's four rows; its relation F1 stands under `relation_strict`, see `UNSAID`."""


def beside(study: StudyRecord) -> tuple[Published, ...]:
    """The published rows that a study's own may stand beside: those of the same data and of groups that it has."""
    if study.data_name != PUBLISHED_ON:
        return ()
    groups = {row.group for row in study.study.rows.values()}
    return tuple(row for row in TABLE if row.group in groups)
