"""Computing finished runs again: which, and how the old run is kept until, and after, the new one is there.

The run folder moves, in one rename, to `runs/<signature>/earlier/s<seed>-<commit>` at the moment at which the new run
is to start, not before: what waits its turn stays in every table, and a kill at any moment leaves the old run in one of
the two places. From there `engram evaluate FOLDER` and `engram compare` still read it; lists of runs do not count it.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from core.errors import UserError
from core.provenance import Provenance
from core.record import FINAL
from core.replacing import make_folder
from studies.standing import UNCOMMITTED, Standing, standing_of

EARLIER = "earlier"


def to_rerun(standings: Iterable[Standing], now: Provenance) -> list[Standing]:
    """The runs that would give another result only because other code computed them; imported ones are none."""
    return [one for one in standings if one.status in FINAL and one.is_other_code(now)]


def set_aside(folder: Path) -> Path:
    """Move a run folder away, whole, for the run that is computed again in its place; where it lies now."""
    code = standing_of(folder).code.removesuffix(UNCOMMITTED).replace(" ", "-")
    aside = folder.parent / EARLIER
    make_folder(aside, "give a folder that is yours (--runs DIR)")
    number, place = 1, aside / f"{folder.name}-{code}"
    while place.exists():
        number += 1
        place = aside / f"{folder.name}-{code}-{number}"
    try:
        os.rename(folder, place)
    except OSError as error:
        raise UserError(f"{folder} cannot be kept as {place} ({error.strerror}): it was not computed again") from None
    return place
