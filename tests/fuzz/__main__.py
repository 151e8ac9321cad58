"""A long campaign from the command line: `python -m tests.fuzz --count 10000 --key 0`, or a single mutation again.

With `--target PATH --number N` only that one; with `--target PATH` all numbers up to the count of that target alone.
"""

import argparse
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from core.progress import progress_bar
from tests.fuzz.campaign import Campaign
from tests.fuzz.targets import TARGETS, Target

MODEL_SHARE = 4
"""One in so many rounds also mutates the files of a model, whose commands take seconds."""


def choose(names: str, number: int | None) -> Iterator[tuple[Target, int]]:
    """The mutations of a campaign, one after another: of all files or some, endless or of one number."""
    chosen = [target for target in TARGETS if any(name in target.path for name in names.split(","))]
    for drawn in [number] if number is not None else count():
        for target in chosen:
            share = 1 if names or number is not None else MODEL_SHARE if target.loads_model else target.every
            if drawn % share == 0:
                yield target, drawn // share


def main() -> int:
    """Mutate, print what was found and the counts; 1 where anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="mutations in all (default: 10000)")
    parser.add_argument("--key", type=int, default=0, help="another key draws others (default: 0)")
    parser.add_argument("--target", default="", help="only files whose path has this, or one of several with commas")
    parser.add_argument("--number", type=int, help="only the mutation of this number")
    options = parser.parse_args()
    # Also in the background of a shell, where an interrupt is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    found, done = Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder, progress_bar("mutations", options.count) as progress:
        campaign = Campaign(Path(folder) / "root", key=options.key)
        try:
            for target, number in islice(choose(options.target, options.number), options.count):
                done += 1
                for finding in campaign.try_mutation(target, number):
                    found[finding.target] += 1
                    print(finding, flush=True)
                progress.advance(text=f"{found.total()} findings")
        except KeyboardInterrupt:
            print("stopped")
        finally:
            campaign.close()
        print(campaign.summary())
    print(f"{done} mutations with key {options.key}, {found.total()} findings: {dict(found)}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
