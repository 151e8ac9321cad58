"""`engram evaluate RUN`: a run's checkpoint on one of its splits, or on any annotated file."""

import json as json_text
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from core.attention_record import attention_path
from core.documents import Corpus, Dirt
from core.errors import UserError
from core.readers import Format, read_corpus

if TYPE_CHECKING:
    from core.trained import OpenRun


def evaluate(
    run: tyro.conf.Positional[str],
    *,
    split: Literal["validation", "test"] = "test",
    input: Path | None = None,
    format: Format = "auto",
    json: tyro.conf.FlagCreatePairsOff[bool] = False,
    attention: tyro.conf.FlagCreatePairsOff[bool] = False,
    documents: tuple[str, ...] = (),
    runs: Path = Path("runs"),
    device: str | None = None,
    threads: int | None = None,
) -> None:
    """Decode and score documents that have gold, with every diagnostic; writes nothing but, if asked, attention.

    Args:
        run: a run id, a unique prefix of one, or a run folder.
        split: which of the run's own splits.
        input: an annotated file in place of the run's splits (an imported run has none).
        format: the format of the input; auto tells it by the content.
        json: one JSON object instead of tables.
        attention: also store which tokens and mentions the memories' slots read (attention.SPLIT.jsonl in the run's
            folder, a line per document).
        documents: whose attention: titles or ids, or how many from the first on; default: 10.
        runs: where run folders lie.
        device: auto, cpu, cuda or cuda:N; the run's own where not given.
        threads: processor threads.
    """
    if documents and not attention:
        raise UserError("--documents says whose attention is stored, and none is: add --attention")
    corpus = read_corpus(input, format=format) if input is not None else None
    # Torch is loaded only once the input is known to be usable.
    from core.commands.attention import choose, reading_memory, store_attention
    from core.evaluation import evaluate_split
    from core.preparing import encode
    from core.progress import meter
    from core.trained import open_run

    opened = open_run(run, runs=runs, device=device, threads=threads)
    state = opened.trained.state
    memory = reading_memory(opened.config, name=run, reading=state.reading, epoch=state.epoch) if attention else None
    corpus = corpus or own_split(opened, split)
    missing = [document.id for document in corpus.documents if document.gold is None]
    if missing:
        raise UserError(f"{len(missing)} documents have no gold to score against, first {missing[0]!r}: use predict")
    dirt = Dirt()
    encoded = encode(corpus.documents, opened.trained.wordpieces, opened.positions, opened.config.data, dirt)
    attended = choose(encoded, documents) if attention else []
    with meter("evaluating", len(encoded)) as progress:
        result = evaluate_split(
            opened.decoder,
            encoded,
            reading=state.reading,
            dirt=dirt,
            on_gold=True,
            advance=progress.advance,
        )
    result.scores["extra"]["repairs"] = dict(dirt.counts)
    show(result.scores, as_json=json)
    if memory is not None:
        store_attention(opened, attended, memory, attention_path(opened.folder, "input" if input else split))


def own_split(opened: "OpenRun", split: str) -> Corpus:
    """The documents of a run's own split, as the run has read them."""
    from core.splits import splits_of

    data = opened.config.data
    if data.train is None:
        raise UserError(f"{opened.folder} has no documents of its own (an imported run): give --input FILE")
    splits = splits_of(data, max_span_tokens=opened.config.samples.max_span_tokens)
    corpus = splits.test if split == "test" else splits.validation
    if corpus is None:
        raise UserError(f"{opened.folder} was trained without test documents (data.test): give --input FILE")
    return corpus


def show(scores: dict[str, Any], *, as_json: bool) -> None:
    """Scores on stdout, as tables or as one JSON object."""
    if as_json:
        sys.stdout.write(json_text.dumps(scores, indent=2) + "\n")
        return
    import msgspec
    from rich.console import Console

    from core.commands.score_view import score_view
    from core.metrics import Scores

    width = None if sys.stdout.isatty() else 100
    console = Console(file=sys.stdout, width=width, highlight=False)
    console.print(score_view(msgspec.convert(scores, Scores)))
    on_gold, ranking = scores["extra"]["on_gold"], scores["extra"]["ranking"]
    print(
        f"relation F1 on gold mentions and clusters {on_gold['relation']['f1']:.2f}, strict "
        f"{on_gold['relation_strict']['f1']:.2f}; average precision {ranking['average_precision']:.2f}"
    )
