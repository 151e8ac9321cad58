"""Windows of documents that are predicted together: read ahead, decoded, and written in the order of the input.

A window ends by its own content, never by the clock or by what follows: the same input gives the same windows, so a
prediction that is resumed after any interruption batches, and therefore writes, what it would have without one.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from core.config.schema import DataConfig
from core.data.documents import Document
from core.data.formats.predictions import encode_prediction
from core.data.issues import Issues
from core.data.stream import Entry, Mark, Skipped
from core.errors import UserError
from core.features.wordpieces import EncodedDocument, WordPieces, limit_length
from core.model.decoder import Decoder
from core.model.thresholds import count_unreached
from core.prediction.output import Done, Output

WINDOW_DOCUMENTS = 128
WINDOW_PIECES = 32_768


@dataclass
class Window:
    """Some documents of the input, encoded or skipped, and the place in the input behind them."""

    encoded: list[EncodedDocument] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    pieces: int = 0
    mark: Mark = field(default_factory=Mark)

    def __len__(self) -> int:
        return len(self.encoded) + len(self.skipped)


def encode_limited(
    document: Document, wordpieces: WordPieces, positions: int, data: DataConfig, issues: Issues
) -> EncodedDocument:
    """The word pieces of a document; raises `UserError` where there are too many and they are not to be cut."""
    encoded = wordpieces.encode(document)
    pieces = len(encoded.ids)
    if pieces > positions and data.overlong != "truncate":
        raise UserError(f"{pieces} word pieces, and this run reads {positions}: cut the document into parts")
    return limit_length([encoded], positions=positions, overlong=data.overlong, issues=issues)[0]


def windows(
    entries: Iterable[Entry],
    encode: Callable[[Document], EncodedDocument],
    *,
    documents: int = WINDOW_DOCUMENTS,
    pieces: int = WINDOW_PIECES,
) -> Iterator[Window]:
    """The entries in windows of up to `documents`, each ended by the one that fills it to `pieces` word pieces."""
    window = Window()
    for entry in entries:
        if entry.document is None:
            window.skipped.append(entry.skipped())
        else:
            try:
                encoded = encode(entry.document)
            except UserError as error:
                window.skipped.append(entry.skipped(str(error)))
            else:
                window.encoded.append(encoded)
                window.pieces += len(encoded.ids)
        window.mark = entry.mark
        if len(window) >= documents or window.pieces >= pieces:
            yield window
            window = Window()
    if len(window):
        yield window


def predict_window(
    window: Window, decoder: Decoder, output: Output, *, reading: float, issues: Issues, advance: Callable[[int], None]
) -> None:
    """Decode a window and add it to the output; `advance` receives how many documents each batch finished."""
    decoded = decoder.decode(window.encoded, reading=reading, issues=issues, advance=advance)
    annotations = [result.annotation for result in decoded]
    lines = [
        encode_prediction(encoded.document, made) for encoded, made in zip(window.encoded, annotations, strict=True)
    ]
    before = output.done
    done = Done(
        mark=window.mark,
        documents=before.documents + len(annotations),
        skipped=before.skipped + len(window.skipped),
        entities=before.entities + sum(len(annotation.entities) for annotation in annotations),
        relations=before.relations + sum(len(annotation.relations) for annotation in annotations),
        repairs=dict(issues.counts),
        examples=dict(issues.examples),
        unreached=count_unreached(decoded, before.unreached),
    )
    skipped = b"".join(msgspec.json.encode(document) + b"\n" for document in window.skipped)
    output.add(b"".join(lines), skipped, done)
