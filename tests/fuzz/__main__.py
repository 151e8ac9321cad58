"""A long campaign from the command line: `python -m tests.fuzz --count 10000 --key 0`, or a single mutation again.

With `--target PATH --number N` only that one; with `--target PATH` all numbers up to the count of that target alone.
"""

import argparse
import sys
import tempfile
from collections import Counter
from itertools import count
from pathlib import Path

from tests.fuzz.campaign import Campaign
from tests.fuzz.targets import TARGETS

MODEL_SHARE = 4
"""One in so many rounds also mutates the files of a model, whose commands take seconds."""


def main() -> int:
    """Mutate, print what was found and the counts; 1 where anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="mutations in all (default: 10000)")
    parser.add_argument("--key", type=int, default=0, help="another key draws others (default: 0)")
    parser.add_argument("--target", default="", help="only files whose path has this in it")
    parser.add_argument("--number", type=int, help="only the mutation of this number")
    options = parser.parse_args()
    chosen = [target for target in TARGETS if options.target in target.path]
    found = Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder) / "root", key=options.key)
        try:
            done = 0
            for number in [options.number] if options.number is not None else count():
                for target in chosen:
                    if done >= options.count:
                        break
                    if target.loads_model and number % MODEL_SHARE and options.number is None and not options.target:
                        continue
                    done += 1
                    for finding in campaign.try_mutation(target, number):
                        found[finding.target] += 1
                        print(finding, flush=True)
                if done >= options.count:
                    break
        finally:
            campaign.close()
        print(campaign.summary())
    print(f"{done} mutations with key {options.key}, {found.total()} findings: {dict(found)}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
