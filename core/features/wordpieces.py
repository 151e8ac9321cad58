"""Word pieces: tokenizers, encoded documents, their length limit, and a vocabulary learned from the training text.

Every token is word-pieced alone, without special tokens. A token that yields nothing (U+00A0 and other blanks: dozens
in real DocRED) becomes the unknown piece, so that every token keeps at least one piece and spans never shift.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, BertTokenizer, PreTrainedTokenizerFast

from core.config.model_source import model_folder
from core.data.documents import Document, Span
from core.data.issues import Issues
from core.errors import UserError, fault
from core.features.pretrained import load_pretrained, loading_error
from core.input_files import read_text

# Byte-level vocabularies write the space before a word into its first piece: a token alone is a word after a space.
SPACE_MARK = "\u0120"
# A stream of documents never stops bringing new tokens.
MAX_REMEMBERED_TOKENS = 200_000
SPECIAL_PIECES = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
MASK = "[MASK]"
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "spm.model", "vocab.json")


class EncodedDocument(msgspec.Struct, frozen=True):
    """A document with its word pieces: `ids` [pieces], `bounds` [tokens + 1].

    Token t owns the pieces bounds[t]:bounds[t+1].
    """

    document: Document
    ids: np.ndarray
    bounds: np.ndarray

    def to_pieces(self, spans: np.ndarray) -> np.ndarray:
        """Token spans [S, 2] as word-piece spans [S, 2]."""
        return self.bounds.take(spans)


class WordPieces:
    """A tokenizer that turns one token into its piece ids and remembers them: a corpus repeats most of its words."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        self._pieces: dict[str, list[int]] = {}
        # Some saved tokenizers pad and cut what they encode; a token alone is neither short nor long.
        tokenizer.backend_tokenizer.no_padding()
        tokenizer.backend_tokenizer.no_truncation()
        vocabulary = tokenizer.get_vocab()
        self._spaced = any(piece.startswith(SPACE_MARK) for piece in vocabulary)
        if tokenizer.unk_token_id is None:
            raise UserError(
                f"tokenizer {tokenizer.name_or_path!r} has no unknown piece, which blank tokens need: give another one"
            )
        self.unknown = int(tokenizer.unk_token_id)
        self.padding = int(tokenizer.pad_token_id or 0)

    @property
    def size(self) -> int:
        """Number of piece ids, added tokens included: one more than the highest."""
        return 1 + max(self.tokenizer.get_vocab().values())

    def check_size(self, rows: int, source: Path | str, way_out: str) -> None:
        """Raise a UserError where there are more piece ids than an encoder has rows for."""
        if self.size > rows:
            raise fault(source, f"it has {self.size} word pieces, the encoder only {rows}: {way_out}")

    def pieces(self, tokens: Iterable[str]) -> list[list[int]]:
        """The piece ids of each token, word-pieced alone."""
        tokens = list(tokens)
        if len(self._pieces) > MAX_REMEMBERED_TOKENS:
            self._pieces.clear()
        new = [token for token in dict.fromkeys(tokens) if token not in self._pieces]
        if new:
            texts = [" " + token for token in new] if self._spaced else new
            encodings = self.tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
            for token, encoding in zip(new, encodings, strict=True):
                blank = not token.strip()
                self._pieces[token] = [self.unknown] if blank or not encoding.ids else list(encoding.ids)
        return [self._pieces[token] for token in tokens]

    def encode(self, document: Document) -> EncodedDocument:
        """The word pieces of a document and their token bounds."""
        pieces = self.pieces(document.tokens)
        bounds = np.zeros(len(pieces) + 1, dtype=np.int64)
        np.cumsum([len(ids) for ids in pieces], out=bounds[1:])
        flat = np.fromiter(chain.from_iterable(pieces), dtype=np.int64, count=int(bounds[-1]))
        return EncodedDocument(document=document, ids=flat, bounds=bounds)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some pieces as JEREX reads it: special tokens kept, spaces cleaned up, stripped."""
        text = self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=True)
        return str(text).strip()


def load_wordpieces(source: str) -> WordPieces:
    """The tokenizer of a folder, a `vocab.txt` or `tokenizer.json` file, a package that carries one, or a hub name."""
    path = model_folder(source)
    if path is not None and not path.is_file() and not any((path / name).is_file() for name in TOKENIZER_FILES):
        raise UserError(
            f"{path} holds no tokenizer (none of {', '.join(TOKENIZER_FILES)}): give one with --encoder.tokenizer"
        )
    load = _read_file if path is not None and path.is_file() else AutoTokenizer.from_pretrained
    tokenizer = load_pretrained(load, source, "tokenizer")
    try:
        return WordPieces(tokenizer)
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - what a damaged tokenizer lacks shows where it is used first
        raise loading_error("tokenizer", source, error) from None


def _read_file(name: str, *, local_files_only: bool) -> PreTrainedTokenizerFast:
    del local_files_only  # it is one
    path = Path(name)
    if path.suffix == ".json":
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=name)
        for role, piece in SPECIAL_PIECES.items():
            if piece in tokenizer.get_vocab():
                setattr(tokenizer, role, piece)
        return tokenizer
    lines = read_text(path).splitlines()
    if "[UNK]" not in lines:
        raise UserError(f"{path} is no word-piece vocabulary, as it has no line [UNK]: give a tokenizer folder instead")
    # A vocabulary without upper-case letters was made from lower-cased text.
    cased = any(piece != piece.lower() for piece in lines if not piece.startswith("["))
    return BertTokenizer(vocab=str(path), do_lower_case=not cased)


def limit_length(
    documents: Iterable[EncodedDocument],
    *,
    positions: int,
    overlong: Literal["error", "truncate", "skip"],
    issues: Issues,
) -> list[EncodedDocument]:
    """The documents with at most `positions` word pieces; longer ones are refused, cut or left out, and counted."""
    fitting = []
    for encoded in documents:
        pieces = len(encoded.ids)
        if pieces <= positions:
            fitting.append(encoded)
            continue
        name = encoded.document.id
        if overlong == "error":
            raise UserError(
                f"document {name!r} has {pieces} word pieces, the limit is {positions}: raise encoder.positions, or "
                "set data.overlong to truncate or skip"
            )
        issues.add(f"overlong_{'truncated' if overlong == 'truncate' else 'skipped'}", f"{name}: {pieces} word pieces")
        if overlong == "truncate":
            fitting.append(truncate(encoded, positions))
    return fitting


def truncate(encoded: EncodedDocument, positions: int) -> EncodedDocument:
    """A document cut after the last whole token that fits.

    Gold is kept whole: what lies behind the cut cannot be predicted and counts as missed.
    """
    tokens = int(np.searchsorted(encoded.bounds, positions, side="right")) - 1
    document = encoded.document
    sentences: list[Span] = [(start, min(end, tokens)) for start, end in document.sentences if start < tokens]
    cut = msgspec.structs.replace(
        document,
        tokens=document.tokens[:tokens],
        sentences=tuple(sentences),
        offsets=document.offsets[:tokens] if document.offsets else None,
    )
    return EncodedDocument(document=cut, ids=encoded.ids[: encoded.bounds[tokens]], bounds=encoded.bounds[: tokens + 1])


def learn_wordpieces(documents: Sequence[Document], *, size: int) -> WordPieces:
    """A lower-cased word-piece tokenizer of at most `size` pieces; the same documents give the same pieces."""
    counts = Counter(token for document in documents for token in document.tokens)
    learner = _untrained({"[UNK]": 0})
    # The trainer numbers the letters inside words in the order of a hash table that changes from call to call, and
    # breaks ties between merges by number. As special tokens they are numbered here, in order.
    inside = sorted({letter for token in counts for word in _split_words(learner, token) for letter in word[1:]})
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=[*SPECIAL_PIECES.values(), MASK, *(f"##{letter}" for letter in inside)],
        show_progress=False,
    )
    texts = [token for token, count in sorted(counts.items()) for _ in range(count)]
    learner.train_from_iterator(texts, trainer)
    # Built a second time, as the learner would take a literal "##a" in a text for a special token.
    tokenizer = _untrained(learner.get_vocab())
    return WordPieces(PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL_PIECES, mask_token=MASK))


def _untrained(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _split_words(tokenizer: Tokenizer, token: str) -> list[str]:
    """The words that the tokenizer sees in a token."""
    normal = tokenizer.normalizer.normalize_str(token)
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]
