"""The two writable memories: slots, similarity (write), inverse and normal read, combination.

Slots are the class weights of a bilinear classifier and are written by training it. A read takes them back into token
states or span vectors; `memory.reads` puts a control in their place (`core.model.memory`). Facts follow Kosciukiewicz
et al. (arXiv 2307.11762 and its 2023 poster) and TriMF (Shen et al., WWW 2021). The poster prints the inverse read with
H in place of its last M, which would be one pooled vector; the authors' code keeps N x H by weighting row n with its
summed attention, and so does `inverse_weights`.

Controls for the question whether it is the memory: what `memory.reads` puts in place of the written slots.

`learned` and `random` read a `ReadMatrix`, `uniform` reads the slots without looking at them (`core.model.memory`), and
`constant` is a `ConstantRead`. The classifiers keep their slots under each of them.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.config.schema import MemoryConfig, Mode, Pooling, SamplesConfig
from core.data.documents import LabelSet
from core.features.candidates import draw_sample
from core.features.wordpieces import EncodedDocument
from core.model.layers import Linear, linear
from core.model.ops import softmax_within


class ReadMatrix(nn.Module):
    """A matrix of the shape of a memory's slots, read in their place: learned by reading alone, or frozen.

    Both kinds start from the same draw (by seed and name). A frozen one is no parameter, but part of every checkpoint.
    """

    def __init__(self, *, slots: int, width: int, frozen: bool) -> None:
        super().__init__()
        self.slots: Tensor
        if frozen:
            self.register_buffer("slots", torch.empty(slots, width))
        else:
            self.slots = nn.Parameter(torch.empty(slots, width))


class ConstantRead(nn.Module):
    """The inverse read with one number in place of its weights: every row times the mean weight of the inverse read.

    Attention of C slots sums to C over the rows of a document, whatever was learned, so the mean weight over all rows
    of all training documents is C x documents / rows: known before the first step (`set_constant_reads`), and from then
    on the same in every document, in training as at inference. With the inverse scale `mean`, weights average 1. It
    differs from uniform attention, whose weight is C / rows of the document at hand: at mentions several times smaller
    at inference, where all candidates are rows, than in training.
    """

    def __init__(self, *, scale: Literal["sum", "mean"]) -> None:
        super().__init__()
        self.scale = scale
        self.share: Tensor
        """The mean attention that a slot pays to a row; not a number until it is settled or loaded."""
        self.register_buffer("share", torch.tensor(math.nan))

    def forward(
        self, rows: Float[Tensor, "S H"], slots: Float[Tensor, "C D"], counts: Sequence[int]
    ) -> Float[Tensor, "S H"]:
        """The rows times the constant; of the slots only their number counts, and of the documents nothing."""
        return (self.share * len(slots)).to(rows.dtype) * rows if self.scale == "sum" else rows


def set_constant_reads(
    reads: nn.ModuleDict, documents: Sequence[EncodedDocument], samples: SamplesConfig, labels: LabelSet
) -> None:
    """Set the constants among the reads of a model, by place, from its training documents."""
    constants = [
        (place, module)
        for place, read in reads.items()
        for module in read.modules()
        if isinstance(module, ConstantRead)
    ]
    if constants:
        shares = mean_attention_shares(documents, samples, labels)
        for place, module in constants:
            module.share.fill_(shares[place])


def mean_attention_shares(
    documents: Sequence[EncodedDocument], samples: SamplesConfig, labels: LabelSet
) -> dict[str, float]:
    """Place -> documents over rows, in training: rows are word pieces at tokens, gold and drawn spans at mentions.

    How many spans are drawn of a document is the same in every epoch and under every seed.
    """
    spans = [len(draw_sample(one, samples, labels, seed=0, epoch=0).spans) for one in documents]
    rows = {"tokens": [len(one.ids) for one in documents], "mentions": spans}
    # A document without rows is paid no attention.
    return {place: sum(map(bool, sizes)) / max(1, sum(sizes)) for place, sizes in rows.items()}


class Memory(nn.Module):
    """The slots of one memory: `slots_per_type` rows of `width` for each type, row-major by type."""

    def __init__(self, *, types: int, slots_per_type: int, width: int, slot_logit: Literal["max", "logsumexp"]) -> None:
        super().__init__()
        self.types, self.slots_per_type, self.slot_logit = types, slots_per_type, slot_logit
        self.slots = nn.Parameter(torch.empty(types * slots_per_type, width))

    @property
    def width(self) -> int:
        """Width D of the slots."""
        return self.slots.shape[1]

    def similarity(self, queries: Float[Tensor, "N D"]) -> Float[Tensor, "N types"]:
        """The logit of every type: the query's dot product with its slot, or the max / logsumexp over its slots."""
        logits = linear(queries, self.slots)
        if self.slots_per_type == 1:
            return logits
        grouped = logits.view(len(queries), self.types, self.slots_per_type)
        return grouped.amax(-1) if self.slot_logit == "max" else grouped.logsumexp(-1)

    def type_rows(self) -> Float[Tensor, "types D"]:
        """One detached row per type, the mean of its slots: what the relation head takes as type embedding."""
        return self.slots.detach().view(self.types, self.slots_per_type, -1).mean(1)


def get_memory(memories: nn.ModuleDict, name: str) -> Memory:
    """The memory of a name; a ModuleDict knows only that it holds modules."""
    memory = memories[name]
    assert isinstance(memory, Memory)
    return memory


def get_slots(sources: nn.ModuleDict, name: str) -> Float[Tensor, "C D"]:
    """What is read under the name of a memory: its slots, or the matrix in their place."""
    slots = sources[name].slots
    assert isinstance(slots, Tensor)
    return slots


class BilinearClassifier(nn.Module):
    """A bias-free Linear to slot width, then similarity to the slots: training it writes the memory."""

    def __init__(self, *, width: int, slot_width: int) -> None:
        super().__init__()
        self.project = Linear(width, slot_width, bias=False)

    def forward(self, vectors: Float[Tensor, "N H"], memory: Memory) -> Float[Tensor, "N types"]:
        """Logits (W x) M^T."""
        return memory.similarity(self.project(vectors))


class SlotRead(nn.Module):
    """One mode of reading one memory at one place, with its own bias-free W [H, D]; uniform attention has none.

    X W M^T is computed as X (M W^T)^T: slots are few and rows many, so W is applied to the slots.
    """

    def __init__(
        self, *, mode: Mode, width: int, slot_width: int, inverse_scale: Literal["sum", "mean"], uniform: bool = False
    ) -> None:
        super().__init__()
        self.mode, self.inverse_scale = mode, inverse_scale
        self.key = None if uniform else Linear(slot_width, width, bias=False)
        # A slot of another width than the encoder cannot be added to, averaged with or gated into a state.
        self.widen = Linear(slot_width, width, bias=False) if mode == "normal" and slot_width != width else None

    def forward(
        self, rows: Float[Tensor, "S H"], slots: Float[Tensor, "C D"], counts: Sequence[int]
    ) -> Float[Tensor, "S H"]:
        """The read of every row; `counts` says how many rows each document has."""
        attention = self.attention(rows, slots, counts)
        if self.mode == "inverse":
            return self.inverse_weights(attention, counts).to(rows.dtype).unsqueeze(1) * rows
        read = attention.to(rows.dtype) @ slots
        return self.widen(read) if self.widen is not None else read

    def attention(
        self, rows: Float[Tensor, "S H"], slots: Float[Tensor, "C D"], counts: Sequence[int]
    ) -> Float[Tensor, "S C"]:
        """Inverse: every slot over the rows of a document (columns sum to 1); normal: every row over the slots."""
        scores = rows.new_zeros(len(rows), len(slots)) if self.key is None else linear(rows, self.key(slots))
        return softmax_within(scores.float(), counts) if self.mode == "inverse" else scores.float().softmax(-1)

    def inverse_weights(self, attention: Float[Tensor, "S C"], counts: Sequence[int]) -> Float[Tensor, " S"]:
        """A row's weight: the attention that it gets, summed over slots."""
        weights = attention.sum(1)
        if self.inverse_scale == "sum":
            return weights
        sizes = torch.tensor(counts, device=attention.device)
        return weights * sizes.repeat_interleave(sizes) / attention.shape[1]


class Combine(nn.Module):
    """How the reads of one mode join the representation: mean, sum, concat or gated (the poster's pooling)."""

    def __init__(self, *, pooling: Pooling, width: int, reads: int) -> None:
        super().__init__()
        self.pooling = pooling
        self.concat = Linear(width * (1 + reads), width) if pooling == "concat" else None
        self.gates = nn.ModuleList(Linear(2 * width, width) for _ in range(reads)) if pooling == "gated" else None

    def forward(self, rows: Float[Tensor, "S H"], reads: Sequence[Float[Tensor, "S H"]]) -> Float[Tensor, "S H"]:
        """The rows with their reads: concat is a Linear without non-linearity, gated X + sigmoid(W[X; read]) * read."""
        if self.concat is not None:
            return self.concat(torch.cat([rows, *reads], dim=1))
        if self.gates is not None:
            parts = [
                gate(torch.cat([rows, read], 1)).sigmoid() * read for gate, read in zip(self.gates, reads, strict=True)
            ]
            return rows + torch.stack(parts).sum(0)
        total = rows + torch.stack(list(reads)).sum(0)
        return total / (1 + len(reads)) if self.pooling == "mean" else total


def build_read(config: MemoryConfig, mode: Mode, width: int, slot_width: int) -> SlotRead | ConstantRead:
    """The read that a config asks for."""
    if config.reads == "constant":
        return ConstantRead(scale=config.inverse_scale)
    uniform = config.reads == "uniform"
    return SlotRead(mode=mode, width=width, slot_width=slot_width, inverse_scale=config.inverse_scale, uniform=uniform)


class PlaceRead(nn.Module):
    """All that is read at one place (tokens or mentions): one or two modes, inverse first."""

    def __init__(self, *, config: MemoryConfig, width: int, slot_widths: dict[str, int]) -> None:
        super().__init__()
        modes: list[Mode] = [mode for mode in ("inverse", "normal") if mode in config.read_mode]
        self.read_grad = config.read_grad
        self.reads = nn.ModuleDict(
            {
                mode: nn.ModuleDict({name: build_read(config, mode, width, size) for name, size in slot_widths.items()})
                for mode in modes
            }
        )
        self.combine = nn.ModuleDict(
            {mode: Combine(pooling=config.pooling_after(mode), width=width, reads=len(slot_widths)) for mode in modes}
        )

    def forward(
        self, rows: Float[Tensor, "S H"], sources: nn.ModuleDict, counts: Sequence[int], strength: float
    ) -> Float[Tensor, "S H"]:
        """The rows after reading the memories, or what stands in their place; `strength` in [0, 1] is the ramp."""
        if strength == 0.0 or not len(rows):
            return rows
        result = rows
        for mode, readers in self.reads.items():
            assert isinstance(readers, nn.ModuleDict)
            parts = []
            for name, reader in readers.items():
                slots = get_slots(sources, name)
                parts.append(reader(result, slots if self.read_grad else slots.detach(), counts))
            result = self.combine[mode](result, parts)
        return result if strength == 1.0 else (1.0 - strength) * rows + strength * result
