"""`python -m tests.bench.preparation FOLDER`: seconds to read and word-piece the 1,000 documents of the JEREX split."""

import sys
import time
from pathlib import Path

from core.config.presets import build
from core.features.prepare import prepare

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    paths = {"train": "test_joint.json", "test": "dev_joint.json", "types": "types.json"}
    data = {part: str(folder / name) for part, name in paths.items()}
    config = build("jerex-mrc", profile="minilm", row={"data": data})
    # Libraries are loaded before the clock starts: importing them is measured apart.
    import transformers.models.bert.tokenization_bert

    assert transformers.models.bert.tokenization_bert
    started = time.perf_counter()
    prepare(config)
    print(time.perf_counter() - started)
