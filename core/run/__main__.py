"""Command `python -m core.run FOLDER ...`: compute run folders one after another.

`python -m core.run -` is what engines start: a worker that reads its folders from stdin (`core.run.worker`).
"""

import sys
from pathlib import Path

from core.errors import UserError
from core.progress import say
from core.records.record import SCORED
from core.run.execute import run
from core.run.worker import serve


def main(folders: list[str]) -> int:
    """Compute run folders; 1 where one of them failed, 2 where one is the user's mistake, 130 for an interruption."""
    if folders == ["-"]:
        return serve(lambda folder: run(folder).status)
    worst = 0
    for folder in folders:
        try:
            record = run(Path(folder))
        except UserError as error:
            say(str(error))
            worst = max(worst, 2)
            continue
        except KeyboardInterrupt:
            return 130
        say(f"{record.run_id} {record.status}")
        worst = max(worst, 0 if record.status in SCORED else 1)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
