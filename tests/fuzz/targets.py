"""Targets of mutations: every kind of file that a command reads, and the commands that read it."""

from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.mutations import Syntax

MODEL_COMMANDS = ("predict", "evaluate", "import")
"""Commands that load a model, and may take the time and memory of one."""
SMALL = "runs/536deb7e4df9/s0"
OTHER = "runs/ec75572ccd87/s0"
SEARCH_FOLDER = "runs/studies/search@quick"
DATA = "--data.name none --data.train {in}/docred.json --data.test {in}/docred.json"
PLAN = f"--runs {{in}}/runs {DATA}"
OF_RUN = (
    "runs list --runs {in}/runs",
    "runs list --runs {in}/runs --json --sort score",
    "runs show 536deb7e4df9-s0 --runs {in}/runs",
    "runs gc --runs {in}/runs",
    "study status small --runs {in}/runs",
    "study status small --runs {in}/runs --json",
    "compare small:jerex small:memory --runs {in}/runs",
    "compare 536deb7e4df9 ec75572ccd87-s0 --runs {in}/runs --json",
)
REPORT = "report small --runs {in}/runs --out {out}/report --documents 0"
ATTENTION = REPORT.replace("--documents 0", "--documents 1")
PREDICT = "predict {in}/model --input {in}/text.txt --output {out}/predictions.jsonl --device cpu --threads 1"
EVALUATE = "evaluate {in}/model --input {in}/docred.json --device cpu --threads 1"
IMPORT = "import {in}/import/model.ckpt --config {in}/import/config.json --types {in}/import/types.json"
IMPORT = f"{IMPORT} --tokenizer {{in}}/import/tokenizer --output {{out}}/imported"


@dataclass(frozen=True)
class Target:
    """A file, how it is written, and command lines that read it; `{in}` is the folder of inputs, `{out}` an empty one.

    `unknown`: a key that the format allows in its outermost objects, though nothing reads it. `ordered`: whether the
    order of keys means something. `names`: what may stand for the file in a message.
    """

    path: str
    syntax: Syntax
    commands: tuple[str, ...]
    unknown: str = ""
    ordered: bool = False
    names: tuple[str, ...] = ()
    every: int = 1
    """It is mutated in one of so many rounds: what takes seconds comes less often."""
    writes: str = ""
    """A folder of the inputs into which its commands may write."""
    ordered_inside: bool = False
    """Whether commands show what its inner objects hold in their order."""

    @property
    def rewritable(self) -> bool:
        """Whether other white space means the same."""
        return self.syntax not in ("text", "bytes")

    @property
    def loads_model(self) -> bool:
        """Whether its commands load a model."""
        return self.commands[0].split()[0] in MODEL_COMMANDS

    @property
    def accepted_names(self) -> tuple[str, ...]:
        """What the first line of a refusal must hold one of."""
        return (Path(self.path).name, *self.names)


def document_commands(path: str) -> tuple[str, ...]:
    """Commands that read a file of documents."""
    return (
        f"data report {{in}}/{path}",
        f"data report {{in}}/{path} --json --tokenizer {{in}}/import/tokenizer",
        f"data sample {{in}}/{path} --index 1",
        f"data split {{in}}/{path} --shares 0.4 0.3 0.3 --out {{out}}/parts",
    )


def prediction_commands(path: str) -> tuple[str, ...]:
    """Commands that read a file of predictions."""
    score = f"score --gold {{in}}/docred.json --predictions {{in}}/{path}"
    return (
        score,
        f"{score} --json",
        f"compare {{in}}/{path} {{in}}/copy.jsonl --gold {{in}}/docred.json",
        f"data report {{in}}/{path}",
    )


GOLD = (
    "data report {in}/docred.json --types {in}/types.json",
    "score --gold {in}/docred.json --predictions {in}/predictions.jsonl",
    "score --gold {in}/docred.json --predictions {in}/predictions.jsonl --json --facts {in}/docred.json",
    "compare {in}/predictions.jsonl {in}/copy.jsonl --gold {in}/docred.json",
)
TYPES = ("data report {in}/docred.json --types {in}/types.json", "data sample {in}/docred.json --types {in}/types.json")
PLAN_STUDY = f"study plan {{in}}/study.yaml {PLAN}"
STUDY = (
    "study show {in}/study.yaml",
    PLAN_STUDY,
    f"study plan {{in}}/study.yaml --json {PLAN}",
)
AXES = ("study show {in}/axes.yaml", f"study plan {{in}}/axes.yaml {PLAN}", "study show {in}/axes.yaml --json")
SEARCH = f"study search {{in}}/search.yaml {PLAN} --no-report-runs --jobs 1 --wandb disabled"
OF_SEARCH = ("study status search --runs {in}/runs", "report search --runs {in}/runs --out {out}/report", SEARCH)
OF_STUDY = (
    "study status small --runs {in}/runs",
    "study status small@quick --runs {in}/runs --json",
    "compare small:jerex small:memory --runs {in}/runs",
    "runs list --runs {in}/runs --study small",
)
VIEW = "compare 536deb7e4df9 ec75572ccd87-s0 --runs {in}/runs --out {out}/compared"
TRAIN = "train memory-grc --dry-run --config {in}/settings.yaml --runs {out}/runs"
TARGETS = (
    Target("docred.json", "json", (*document_commands("docred.json"), *GOLD), unknown="x"),
    Target("pubtator.txt", "text", document_commands("pubtator.txt")),
    Target("text.txt", "text", document_commands("text.txt")),
    Target("types.json", "json", TYPES, ordered=True, names=("types file",)),
    Target("predictions.jsonl", "lines", prediction_commands("predictions.jsonl"), unknown="x"),
    Target("jerex.json", "json", prediction_commands("jerex.json"), unknown="x"),
    Target(
        "settings.yaml",
        "yaml",
        (TRAIN,),
        names=("correct the path", "no training documents", "is a folder, not", "no such file"),
    ),
    Target("study.yaml", "yaml", STUDY, ordered=True),
    Target("axes.yaml", "yaml", AXES, ordered=True),
    *(
        Target(
            f"{folder}/record.json",
            "json",
            (*OF_RUN, *OF_RUN, REPORT),
            unknown="x",
            names=(folder.split("/")[1],),
            ordered_inside=True,
        )
        for folder in (SMALL, OTHER)
    ),
    Target(f"{SMALL}/history.jsonl", "lines", (REPORT,), unknown="x", every=4),
    Target(f"{SMALL}/documents.test.json", "json", (*OF_RUN[-2:], *OF_RUN[-2:], VIEW, REPORT), unknown="x"),
    Target(f"{SMALL}/documents.test.mean-read.json", "json", (REPORT,), unknown="x", every=4),
    Target(f"{SMALL}/attention.test.jsonl", "lines", (ATTENTION,), unknown="x", every=4),
    Target(f"{SMALL}/predictions.test.jsonl", "lines", (VIEW,), unknown="x"),
    Target("runs/studies/calibrations.json", "json", (PLAN_STUDY,), unknown="x"),
    Target(f"{SMALL}/config.yaml", "yaml", OF_RUN),
    Target("runs/studies/small@quick/study.json", "json", (*OF_STUDY, *OF_STUDY, REPORT), unknown="x", ordered=True),
    Target(
        f"{SEARCH_FOLDER}/search.json",
        "json",
        (*OF_SEARCH[:1] * 9, OF_SEARCH[1]),
        ordered=True,
        names=("search@quick",),
    ),
    Target(f"{SEARCH_FOLDER}/study.json", "json", OF_SEARCH, ordered=True, writes="runs"),
    Target(f"{SEARCH_FOLDER}/optuna.journal", "lines", (SEARCH,), ordered=True, writes="runs"),
    Target("model/config.yaml", "yaml", (PREDICT, EVALUATE)),
    Target("model/checkpoints/best/encoder.json", "json", (PREDICT, EVALUATE), unknown="x", names=("best",)),
    Target("model/checkpoints/best/labels.json", "json", (PREDICT, EVALUATE), ordered=True, names=("best",)),
    Target("model/checkpoints/best/state.json", "json", (PREDICT, EVALUATE), names=("best",)),
    Target(
        "model/checkpoints/best/tokenizer/tokenizer.json",
        "json",
        (PREDICT, EVALUATE),
        ordered=True,
        names=("best", "tokenizer"),
    ),
    Target(
        "model/checkpoints/best/tokenizer/tokenizer_config.json",
        "json",
        (PREDICT,),
        ordered=True,
        names=("best", "tokenizer"),
    ),
    Target("model/checkpoints/best/model.safetensors", "bytes", (PREDICT,), names=("best",)),
    Target("import/config.json", "json", (IMPORT,), unknown="x"),
    Target("import/types.json", "json", (IMPORT,), ordered=True, names=("types file",)),
    Target("import/model.ckpt", "bytes", (IMPORT,)),
    Target("import/model.safetensors", "bytes", (IMPORT.replace("model.ckpt", "model.safetensors"),)),
    Target("import/vocab.txt", "text", (IMPORT.replace("import/tokenizer", "import/vocab.txt"),)),
    Target("import/tokenizer/tokenizer.json", "json", (IMPORT,), ordered=True, names=("tokenizer",)),
)
