"""Memory use: what reading does to the rows of a model, summed up while documents pass through it.

Hooks measure it, only while `measure_reads` lasts and only where something is read: all else costs nothing.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, cast

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from core.data.documents import LabelSet
from core.features.candidates import trainable_gold
from core.features.wordpieces import EncodedDocument
from core.model.joint_model import JointModel
from core.model.memory import AddingPooling, PlaceRead, SlotRead
from core.model.memory_attention import ReadKey, attention_reads
from core.records.memory_use import Place, PlaceUse


class ReadMeasurement:
    """Sums over the rows that were read; they are kept by document, so that their order changes no mean."""

    def __init__(self, labels: LabelSet, *, max_span_tokens: int, only_factor: bool) -> None:
        self.labels, self.max_span_tokens, self.only_factor = labels, max_span_tokens, only_factor
        self._sums: defaultdict[tuple[Place, str], list[float]] = defaultdict(list)
        """Place and field of `PlaceUse` (with the key, where that is a dict) -> a sum per document."""
        self._counts: Counter[tuple[Place, str]] = Counter()
        self._documents: Sequence[EncodedDocument] = ()
        self._spans: Sequence[np.ndarray] = ()
        self._is_gold: dict[Place, np.ndarray] = {}
        self._added: dict[str, Tensor] = {}
        """Memory -> what its reads have added to the gold rows of the place that is being read."""

    def start_batch(self, documents: Sequence[EncodedDocument], spans: Sequence[np.ndarray]) -> None:
        """Say what the next batch is: its documents, and the token spans [S, 2] of each that are its candidates."""
        self._documents, self._spans = documents, spans
        self._is_gold = {}

    def add_attention(self, key: ReadKey, read: SlotRead, inputs: tuple[Any, ...], output: Tensor) -> None:
        """A hook of reads that have an attention: entropy of every slot's over rows, or of every row's over slots."""
        rows, slots, counts = inputs
        entropy, owners = as_numpy(torch.special.entr(read.attention(*inputs)).sum(1)), row_owners(counts)
        # A choice among one is none: its largest entropy is 0.
        sizes = np.array(counts)[owners] if read.over_rows else np.full(len(rows), len(slots))
        is_choice = sizes > 1
        entropy, owners = entropy[is_choice] / np.log(sizes[is_choice]), owners[is_choice]
        count = len(slots) * len(np.unique(owners)) if read.over_rows else len(owners)
        self._add(key.place, f"entropy/{key.mode}-{key.memory}", entropy, owners, count)

    def add_contributions(
        self, place: Place, memories: Sequence[str], pooling: AddingPooling, inputs: tuple[Any, ...], output: Tensor
    ) -> None:
        """A hook of poolings that add: what each memory adds to gold rows."""
        rows, reads = inputs
        gold = self._gold_rows(place, rows.device)
        added = pooling.contributions(rows.index_select(0, gold), [read.index_select(0, gold) for read in reads])
        for memory, own in zip(memories, added, strict=True):
            self._added[memory] = self._added[memory] + own if memory in self._added else own

    def add_place(self, place: Place, read: PlaceRead, inputs: tuple[Any, ...], output: Tensor) -> None:
        """A hook of all that is read at a place: rows before and after."""
        rows, _, counts, strength = inputs
        if strength == 0.0 or not len(rows):
            return
        gold, owners = self._gold_rows(place, rows.device), row_owners(counts)
        is_gold = self._is_gold[place]
        before = rows.index_select(0, gold).norm(dim=1)
        factor = output.index_select(0, gold).norm(dim=1) / before
        self._add(place, "factor", as_numpy(factor), owners[is_gold])
        if self.only_factor:
            return
        change = as_numpy((output - rows).norm(dim=1) / rows.norm(dim=1))
        self._add(place, "change_gold", change[is_gold], owners[is_gold])
        self._add(place, "change_other", change[~is_gold], owners[~is_gold])
        for memory, added in self._added.items():
            share = strength * added.norm(dim=1) / before
            self._add(place, f"change_by_memory/{memory}", as_numpy(share), owners[is_gold])
        self._added.clear()

    def place_uses(self) -> dict[Place, PlaceUse]:
        """The means over all that was read; empty where nothing was."""
        fields: defaultdict[Place, dict[str, Any]] = defaultdict(dict)
        for (place, path), sums in self._sums.items():
            count, (field, _, name) = self._counts[place, path], path.partition("/")
            mean = math.fsum(sums) / count if count else math.nan
            if math.isfinite(mean) and name:
                fields[place].setdefault(field, {})[name] = mean
            elif math.isfinite(mean):
                fields[place][field] = mean
        return {place: msgspec.convert(known, PlaceUse) for place, known in fields.items()}

    def _add(self, place: Place, path: str, values: np.ndarray, owners: np.ndarray, count: int | None = None) -> None:
        self._sums[place, path] += np.bincount(owners, weights=values).tolist()
        self._counts[place, path] += len(values) if count is None else count

    def _gold_rows(self, place: Place, device: torch.device) -> Tensor:
        """The rows of gold mentions at a place; `_is_gold` has them as masks from then on."""
        if not self._is_gold:
            pieces, spans = zip(*map(self._find_gold, self._documents, self._spans), strict=True)
            self._is_gold = {"tokens": np.concatenate(pieces), "mentions": np.concatenate(spans)}
        return torch.from_numpy(np.flatnonzero(self._is_gold[place])).to(device)

    def _find_gold(self, encoded: EncodedDocument, spans: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which word pieces lie within a gold mention, and which of the spans are one that can be predicted.

        Of a mention that is no candidate at inference, wider or in two sentences, a sample as in training has a row.
        """
        document, in_mention = encoded.document, np.zeros(len(encoded.ids), dtype=bool)
        gold = np.array(trainable_gold(document, self.labels).mentions, dtype=np.int64).reshape(-1, 2)
        for start, end in encoded.to_pieces(gold).tolist():
            in_mention[start:end] = True
        sentence_ends = np.array([end for _, end in document.sentences])
        first, last = np.searchsorted(sentence_ends, [gold[:, 0], gold[:, 1] - 1], side="right")
        gold = gold[(first == last) & (gold[:, 1] - gold[:, 0] <= self.max_span_tokens)]
        number = np.array([len(document.tokens) + 1, 1])
        return in_mention, np.isin(spans @ number, gold @ number)


@contextmanager
def measure_reads(
    model: JointModel, labels: LabelSet, *, max_span_tokens: int, only_factor: bool = False
) -> Iterator[ReadMeasurement]:
    """While this lasts, every read of the model is measured; `start_batch` has to say what each batch is."""
    measurement = ReadMeasurement(labels, max_span_tokens=max_span_tokens, only_factor=only_factor)
    observed: list[tuple[nn.Module, Callable[..., None]]] = []
    for name, read in model.reads.items():
        assert isinstance(read, PlaceRead)
        place = cast(Place, name)
        observed.append((read, partial(measurement.add_place, place)))
        if not only_factor and all(isinstance(pooling, AddingPooling) for pooling in read.combine.values()):
            for mode, pooling in read.combine.items():
                memories = list(cast(nn.ModuleDict, read.reads[mode]))
                observed.append((pooling, partial(measurement.add_contributions, place, memories)))
    if not only_factor:
        observed += [(read, partial(measurement.add_attention, key)) for key, read in attention_reads(model)]
    with ExitStack() as hooks:
        for module, observe in observed:
            hooks.enter_context(module.register_forward_hook(observe))
        yield measurement


def as_numpy(values: Tensor) -> np.ndarray:
    """Values in double precision, so that they can be summed."""
    numbers: np.ndarray = values.double().cpu().numpy()
    return numbers


def row_owners(counts: Sequence[int]) -> np.ndarray:
    """For each row the number of its document."""
    return np.repeat(np.arange(len(counts)), counts)
