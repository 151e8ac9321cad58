"""Which predicted document belongs to which gold document: by title where both sides have one, else by order.

A gold document without prediction, or with other tokens, is refused: a missing metric raises and never becomes 0.
"""

from collections.abc import Sequence
from pathlib import Path

from core.documents import Annotation, Document
from core.errors import UserError
from core.readers.predictions import Prediction
from core.readers.source import fault

NAMED_IN_FULL = 5


def match_documents(
    gold: Sequence[Document], gold_path: Path, predictions: Sequence[Prediction], predictions_path: Path
) -> tuple[list[Document], list[Annotation]]:
    """The gold documents, in their order, and the annotation predicted for each.

    By title where every document of both files has one and no file has a title twice. Raises `UserError` for documents
    without counterpart, files of different length, and documents whose tokens differ beyond white space.
    """
    for index, document in enumerate(gold):
        if document.gold is None:
            raise fault(gold_path, "has no gold annotation: give an annotated file", index=index, title=document.title)
    wanted, found = [document.title for document in gold], [prediction.document.title for prediction in predictions]
    if _usable(wanted) and _usable(found):
        place_of = {title: place for place, title in enumerate(found)}
        _require(wanted, place_of, f"{predictions_path}: no prediction for %s of {gold_path}: predict the whole file")
        _require(found, set(wanted), f"{gold_path}: no gold for %s of {predictions_path}: give the file predicted from")
        order = [place_of[title] for title in wanted]
    elif len(gold) != len(predictions):
        raise UserError(
            f"{predictions_path}: {len(predictions)} predicted documents, but {gold_path} has {len(gold)}: without a "
            "unique title on both sides documents are matched by order, so give as many, in the same order"
        )
    else:
        order = list(range(len(gold)))
    for document, place in zip(gold, order, strict=True):
        _check_tokens(document, predictions[place].document, place, gold_path, predictions_path)
    return list(gold), [predictions[place].annotation for place in order]


def _usable(titles: Sequence[str | None]) -> bool:
    return all(titles) and len(set(titles)) == len(titles)


def _require(titles: Sequence[str | None], held: object, message: str) -> None:
    missing = [str(title) for title in titles if title not in held]  # type: ignore[operator]
    if missing:
        named = ", ".join(f'"{title}"' for title in missing[:NAMED_IN_FULL])
        more = f" and {len(missing) - NAMED_IN_FULL} more" if len(missing) > NAMED_IN_FULL else ""
        raise UserError(message % f"{len(missing)} of {len(titles)} documents ({named}{more})")


def _check_tokens(gold: Document, predicted: Document, place: int, gold_path: Path, predictions_path: Path) -> None:
    if gold.tokens == predicted.tokens:
        return
    way_out = "spans could not be compared; predict from the gold file's own tokens"
    if len(gold.tokens) != len(predicted.tokens):
        what = f"field tokens holds {len(predicted.tokens)} tokens, but {gold_path} has {len(gold.tokens)}: {way_out}"
        raise fault(predictions_path, what, index=place, title=gold.title)
    for number, (wanted, found) in enumerate(zip(gold.tokens, predicted.tokens, strict=True)):
        # Blank tokens (a no-break space, say) come out differently from different tokenisers and mean nothing.
        if wanted.strip() != found.strip():
            what = f'field tokens[{number}] is "{found}", but {gold_path} has "{wanted}": {way_out}'
            raise fault(predictions_path, what, index=place, title=gold.title)
