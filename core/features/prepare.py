"""Data preparation of a run: splits read, tokenizer chosen, documents word-pieced and limited in length."""

from dataclasses import dataclass

from core.config.schema import DataConfig, RunConfig
from core.data.documents import Document, LabelSet
from core.data.issues import Issues
from core.data.overlap import describe_overlaps, fingerprints
from core.data.splits import read_splits
from core.errors import UserError
from core.features.wordpiece_cache import encode_cached
from core.features.wordpieces import EncodedDocument, WordPieces, learn_wordpieces, limit_length, load_wordpieces


@dataclass(frozen=True)
class PreparedData:
    """The encoded documents of each split, the labels, the tokenizer, and the data issues and repairs of each split."""

    splits: dict[str, list[EncodedDocument]]
    labels: LabelSet
    wordpieces: WordPieces
    issues: dict[str, Issues]
    overlaps: tuple[str, ...] = ()
    """A sentence for every two splits that share documents."""


def prepare(config: RunConfig) -> PreparedData:
    """Read, split and word-piece the documents of a run."""
    data = config.data
    splits = read_splits(data, max_span_tokens=config.samples.max_span_tokens)
    wordpieces = choose_wordpieces(config, splits.train.documents)
    corpora = {"train": splits.train, "validation": splits.validation}
    if splits.test is not None:
        corpora["test"] = splits.test
    encoded, issues = {}, {}
    for name, corpus in corpora.items():
        issues[name] = corpus.issues
        encoded[name] = encode_documents(corpus.documents, wordpieces, config.encoder.positions, data, corpus.issues)
    if len(encoded["train"]) < config.training.batch_size:
        raise UserError(
            f"{len(encoded['train'])} training documents are fewer than training.batch_size "
            f"({config.training.batch_size}), so that no step could be made: lower it, or give more documents"
            + (f" (data.limit is {data.limit})" if data.limit else "")
        )
    overlaps = describe_overlaps({name: fingerprints(corpus.documents) for name, corpus in corpora.items()})
    return PreparedData(encoded, splits.labels, wordpieces, issues, tuple(overlaps))


def encode_documents(
    documents: tuple[Document, ...], wordpieces: WordPieces, positions: int, data: DataConfig, issues: Issues
) -> list[EncodedDocument]:
    """Documents as word pieces, at most `positions` each; what had to be repaired is counted in `issues`."""
    encoded = encode_cached(documents, wordpieces)
    return limit_length(encoded, positions=positions, overlong=data.overlong, issues=issues)


def choose_wordpieces(config: RunConfig, training: tuple[Document, ...]) -> WordPieces:
    """The tokenizer of a run: its own, its encoder's, or one learned from the training documents."""
    if config.encoder.tokenizer is not None:
        return load_wordpieces(config.encoder.tokenizer)
    if config.encoder.source == "scratch":
        return learn_wordpieces(training, size=config.encoder.scratch.vocabulary)
    return load_wordpieces(config.encoder.source)
