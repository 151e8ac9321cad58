"""Cases: damage that broke a promise once: a file, what stood there, what stands there instead, and a command."""

from typing import NamedTuple

from tests.fuzz.targets import (
    ATTENTION,
    OF_RUN,
    OF_SEARCH,
    OTHER,
    PLAN,
    REPORT,
    SEARCH,
    SEARCH_FOLDER,
    SMALL,
)


class Case(NamedTuple):
    """A replacement in a file, and a command that reads it."""

    path: str
    before: bytes
    after: bytes
    command: str


STUDY_PLAN = f"study plan {{in}}/study.yaml {PLAN}"
STATUS = "study status small --runs {in}/runs"
STUDY_RECORD = "runs/studies/small@quick/study.json"
CASES = (
    Case(f"{SMALL}/documents.test.json", b'"relation_strict"', b'"x"', OF_RUN[-2]),
    Case(f"{SMALL}/documents.test.json", b'"mention"', b'"mention\xc3"', OF_RUN[-2]),
    Case("study.yaml", b"memory:\n", b"MEMORY:\n", STUDY_PLAN),
    Case("study.yaml", b"gold: docred.json", b"gold: " + b"9x" * 200, STUDY_PLAN),
    Case(STUDY_RECORD, b'"baseline": "', b'"baseline": "no ', STATUS),
    Case(STUDY_RECORD, b'"signature": "', b'"signature": "../', STATUS),
    Case(f"{SEARCH_FOLDER}/optuna.journal", b'"op_code":4', b'"op_code":[]', SEARCH),
    Case(f"{SEARCH_FOLDER}/optuna.journal", b'"op_code"', b'"op', SEARCH),
    Case(f"{SEARCH_FOLDER}/optuna.journal", b'"runs":{"100":"', rb'"runs":{"100":"\ud800', SEARCH),
    Case(f"{SEARCH_FOLDER}/search.json", b'"lr": "0.', b'"": "0.', OF_SEARCH[1]),
    Case(f"{SMALL}/attention.test.jsonl", b"[[0.5,", b"[[", ATTENTION),
    Case(f"{OTHER}/record.json", b'"intra"', b'"x"', OF_RUN[-1]),
    Case(f"{OTHER}/record.json", b'"sentence_distance_table": 50', b'"sentence_distance_table": 0.0', REPORT),
)
