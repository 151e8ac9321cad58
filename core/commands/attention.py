"""`engram evaluate RUN --attention`: which documents, whether the run reads at all, and the file that is written."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.attention_record import write_attention
from core.config import MemoryConfig, RunConfig
from core.errors import UserError

if TYPE_CHECKING:
    from core.trained import OpenRun
    from core.wordpieces import EncodedDocument

FIRST = 10
"""Documents whose attention is stored where none are named."""


def reading_memory(config: RunConfig, *, name: str, reading: float, epoch: int) -> MemoryConfig:
    """The memory of a run whose reads have an attention; a UserError says why another has none."""
    memory = config.memory
    if memory is None:
        raise UserError(f"{name} has no memory ({config.preset}), so nothing is read: give a run that reads one")
    if memory.read_mode == "none":
        raise UserError(f"{name} does not read its memory (memory.read_mode none): give a run that does")
    if memory.reads == "constant":
        raise UserError(f"{name} reads a constant (memory.reads), which attends to nothing: give another run")
    if reading == 0.0:
        raise UserError(
            f"{name} was chosen at epoch {epoch}, in its warm-up (memory.warmup {memory.warmup}), and does not read: "
            "give another seed, or train with training.select_from after the warm-up"
        )
    return memory


def choose(documents: Sequence["EncodedDocument"], wanted: Sequence[str]) -> list["EncodedDocument"]:
    """The documents of some titles or ids, in that order; one whole number asks for so many from the first on."""
    known: dict[str, EncodedDocument] = {}
    for one in documents:
        for name in (one.document.id, one.document.title):
            known.setdefault(name or one.document.id, one)
    if len(wanted) == 1 and wanted[0] not in known and wanted[0].isdecimal() and int(wanted[0]) > 0:
        return list(documents[: int(wanted[0])])
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UserError(
                f"no document {name!r} among the {len(documents)}: {hint}--documents takes titles, ids, or a number of "
                "documents from 1"
            )
    return [known[name] for name in wanted] or list(documents[:FIRST])


def store_attention(
    opened: "OpenRun", documents: Sequence["EncodedDocument"], memory: MemoryConfig, path: Path
) -> None:
    """Decode the documents once more, one by one, and write what their reads attend to."""
    from core.progress import meter, say
    from core.read_attention import attention_on

    found = []
    with meter("attention", len(documents)) as progress:
        for one in documents:
            found.append(attention_on(opened.decoder, one, memory, reading=opened.trained.state.reading))
            progress.advance()
    write_attention(path, found)
    say(f"attention on {len(found)} documents: {path}; the report of a study draws the first")
