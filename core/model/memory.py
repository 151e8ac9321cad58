"""Memory: slots that a classifier writes, the modes of reading them back, pooling of the reads, and controls.

Slots are the class weights of a bilinear classifier and are written by training it. A read takes them back into token
states or span vectors. `memory.reads` can put a control in their place, for the question whether it is the memory that
helps: `learned` and `random` read a `ReadMatrix`, `uniform` reads without looking at the slots, and `constant` is a
`ConstantRead`; the classifiers keep their slots under each of them.

Facts follow Kosciukiewicz et al. (arXiv 2307.11762 and its 2023 poster) and TriMF (Shen et al., WWW 2021).
"""

import math
from collections.abc import Sequence
from functools import reduce
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.config.memory import MemoryConfig, Mode, Pooling
from core.config.schema import SamplesConfig
from core.data.documents import LabelSet
from core.features.candidates import draw_sample
from core.features.wordpieces import EncodedDocument
from core.model.layers import Linear, linear
from core.model.ops import softmax_within


def slot_std(config: MemoryConfig, name: str, *, fan_in: int) -> dict[str, float]:
    """The `initial_std` of a module (see `core.model.joint_model.initialise`) for a tensor of the memory's start."""
    return {name: fan_in**-0.5} if config.slot_init == "fan-in" else {}


class Memory(nn.Module):
    """The slots of one memory: `slots_per_type` rows of `width` for each type, row-major by type."""

    def __init__(self, config: MemoryConfig, *, types: int, width: int) -> None:
        super().__init__()
        self.types, self.slots_per_type, self.slot_logit = types, config.slots_per_type, config.slot_logit
        self.slots = nn.Parameter(torch.empty(types * config.slots_per_type, width))
        self.initial_std = slot_std(config, "slots", fan_in=width)

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


class BilinearClassifier(nn.Module):
    """A bias-free Linear to slot width, then similarity to the slots: training it writes the memory."""

    def __init__(self, config: MemoryConfig, *, width: int, slot_width: int) -> None:
        super().__init__()
        self.project = Linear(width, slot_width, bias=False)
        self.initial_std = slot_std(config, "project.weight", fan_in=width)

    def forward(self, vectors: Float[Tensor, "N H"], memory: Memory) -> Float[Tensor, "N types"]:
        """Logits (W x) M^T."""
        return memory.similarity(self.project(vectors))


class ReadMatrix(nn.Module):
    """A matrix of the shape of a memory's slots, read in their place: learned by reading alone, or frozen.

    Both kinds start from the same draw (by seed and name). A frozen one is no parameter, but part of every checkpoint.
    """

    def __init__(self, config: MemoryConfig, *, slots: int, width: int) -> None:
        super().__init__()
        self.slots: Tensor
        if config.reads == "random":
            self.register_buffer("slots", torch.empty(slots, width))
        else:
            self.slots = nn.Parameter(torch.empty(slots, width))
        self.initial_std = slot_std(config, "slots", fan_in=width)


class SlotRead(nn.Module):
    """A read of one memory at one place, with its own bias-free W [H, D]: what all read modes share.

    X W M^T is computed as X (M W^T)^T: slots are few and rows many, so W is applied to the slots. Uniform attention has
    no W.
    """

    over_rows: ClassVar[bool]
    """Whether the attention of every slot sums to 1 over the rows of a document; else that of a row over the slots."""

    def __init__(self, config: MemoryConfig, *, width: int, slot_width: int) -> None:
        super().__init__()
        self.key = None if config.reads == "uniform" else Linear(slot_width, width, bias=False)

    def attention(
        self, rows: Float[Tensor, "S H"], slots: Float[Tensor, "C D"], counts: Sequence[int]
    ) -> Float[Tensor, "S C"]:
        """The attention between rows and slots; `counts` are the rows of each document."""
        scores = rows.new_zeros(len(rows), len(slots)) if self.key is None else linear(rows, self.key(slots))
        return softmax_within(scores.float(), counts) if self.over_rows else scores.float().softmax(-1)


class InverseRead(SlotRead):
    """Every row times the attention that it gets from all slots.

    The poster prints H in place of its last M, which would be one pooled vector; the authors' code keeps N x H by
    weighting row n with its summed attention, and so does this.
    """

    over_rows = True

    def __init__(self, config: MemoryConfig, *, width: int, slot_width: int) -> None:
        super().__init__(config, width=width, slot_width=slot_width)
        self.scale = config.inverse_scale

    def forward(
        self, rows: Float[Tensor, "S H"], slots: Float[Tensor, "C D"], counts: Sequence[int]
    ) -> Float[Tensor, "S H"]:
        """The weighted rows."""
        weights = self.weights(self.attention(rows, slots, counts), counts)
        return weights.to(rows.dtype).unsqueeze(1) * rows

    def weights(self, attention: Float[Tensor, "S C"], counts: Sequence[int]) -> Float[Tensor, " S"]:
        """The weight of every row: its attention summed over slots, scaled to average 1 under the scale `mean`."""
        weights = attention.sum(1)
        if self.scale == "sum":
            return weights
        sizes = torch.tensor(counts, device=attention.device)
        return weights * sizes.repeat_interleave(sizes) / attention.shape[1]


class NormalRead(SlotRead):
    """For every row the mean of the slots, weighted by its attention to them.

    Under the pooling `residual` every read has a bias-free V [D, H] that is drawn as 0, so that reading starts as the
    identity; then a slot's content reaches the row as far as V has learned to let it.
    """

    over_rows = False

    def __init__(self, config: MemoryConfig, *, width: int, slot_width: int) -> None:
        super().__init__(config, width=width, slot_width=slot_width)
        residual = config.pooling_after("normal") == "residual"
        # A slot of another width than the encoder cannot be added to, averaged with or gated into a state.
        self.widen = Linear(slot_width, width, bias=False) if residual or slot_width != width else None
        self.initial_std = {"widen.weight": 0.0} if residual else {}

    def forward(
        self, rows: Float[Tensor, "S H"], slots: Float[Tensor, "C D"], counts: Sequence[int]
    ) -> Float[Tensor, "S H"]:
        """The mean slots, mapped to the encoder's width where there is a map."""
        attention = self.attention(rows, slots, counts).to(rows.dtype)
        # As with W: slots are few, so the map is applied to them.
        return linear(attention, (slots if self.widen is None else self.widen(slots)).t())


READ_MODES: dict[Mode, type[SlotRead]] = {"inverse": InverseRead, "normal": NormalRead}


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
        """The mean attention that a slot pays to a row; NaN until it is set or loaded."""
        self.register_buffer("share", torch.tensor(math.nan))

    def forward(
        self, rows: Float[Tensor, "S H"], slots: Float[Tensor, "C D"], counts: Sequence[int]
    ) -> Float[Tensor, "S H"]:
        """The rows times the constant; only the number of slots matters, and the documents do not."""
        return (self.share * len(slots)).to(rows.dtype) * rows if self.scale == "sum" else rows


def set_constant_reads(
    reads: nn.ModuleDict, documents: Sequence[EncodedDocument], samples: SamplesConfig, labels: LabelSet
) -> None:
    """Set the constant of every `ConstantRead` among the reads of a model, from its training documents."""
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
    spans = [len(draw_sample(document, samples, labels, seed=0, epoch=0).spans) for document in documents]
    rows = {"tokens": [len(document.ids) for document in documents], "mentions": spans}
    # A document without rows is paid no attention.
    return {place: sum(map(bool, sizes)) / max(1, sum(sizes)) for place, sizes in rows.items()}


class AddingPooling(nn.Module):
    """X plus what each read contributes."""

    def __init__(self, *, width: int, reads: int) -> None:
        super().__init__()

    def contributions(
        self, rows: Float[Tensor, "S H"], reads: Sequence[Float[Tensor, "S H"]]
    ) -> Sequence[Float[Tensor, "S H"]]:
        """What each read adds to the rows: the read itself."""
        return reads

    def forward(self, rows: Float[Tensor, "S H"], reads: Sequence[Float[Tensor, "S H"]]) -> Float[Tensor, "S H"]:
        """The rows with their reads."""
        return rows + reduce(torch.add, self.contributions(rows, reads))


class MeanPooling(nn.Module):
    """The mean of X and the reads."""

    def __init__(self, *, width: int, reads: int) -> None:
        super().__init__()

    def forward(self, rows: Float[Tensor, "S H"], reads: Sequence[Float[Tensor, "S H"]]) -> Float[Tensor, "S H"]:
        """The rows with their reads."""
        return (rows + reduce(torch.add, reads)) / (1 + len(reads))


class ConcatPooling(nn.Module):
    """A Linear without non-linearity over [X; reads]."""

    def __init__(self, *, width: int, reads: int) -> None:
        super().__init__()
        self.concat = Linear(width * (1 + reads), width)

    def forward(self, rows: Float[Tensor, "S H"], reads: Sequence[Float[Tensor, "S H"]]) -> Float[Tensor, "S H"]:
        """The rows with their reads."""
        pooled: Tensor = self.concat(torch.cat([rows, *reads], dim=1))
        return pooled


class GatedPooling(AddingPooling):
    """X plus sigmoid(W [X; read]) * read for each read."""

    def __init__(self, *, width: int, reads: int) -> None:
        super().__init__(width=width, reads=reads)
        self.gates = nn.ModuleList(Linear(2 * width, width) for _ in range(reads))

    def contributions(
        self, rows: Float[Tensor, "S H"], reads: Sequence[Float[Tensor, "S H"]]
    ) -> Sequence[Float[Tensor, "S H"]]:
        """What each read adds to the rows: as much of it as its gate lets through."""
        return [gate(torch.cat([rows, read], 1)).sigmoid() * read for gate, read in zip(self.gates, reads, strict=True)]


POOLINGS: dict[Pooling, type[nn.Module]] = {
    "mean": MeanPooling,
    "sum": AddingPooling,
    "concat": ConcatPooling,
    "gated": GatedPooling,
    "residual": AddingPooling,
}


class PlaceRead(nn.Module):
    """All reads at one place (tokens or mentions): the modes one after the other, each of them of every memory."""

    def __init__(self, *, config: MemoryConfig, width: int, slot_widths: dict[str, int]) -> None:
        super().__init__()
        self.read_grad = config.read_grad
        self.reads = nn.ModuleDict()
        self.combine = nn.ModuleDict()
        for mode in config.modes:
            self.reads[mode] = nn.ModuleDict(
                {
                    name: ConstantRead(scale=config.inverse_scale)
                    if config.reads == "constant"
                    else READ_MODES[mode](config, width=width, slot_width=slot_width)
                    for name, slot_width in slot_widths.items()
                }
            )
            self.combine[mode] = POOLINGS[config.pooling_after(mode)](width=width, reads=len(slot_widths))

    def forward(
        self, rows: Float[Tensor, "S H"], sources: nn.ModuleDict, counts: Sequence[int], strength: float
    ) -> Float[Tensor, "S H"]:
        """The rows after reading the slots of `sources`, memories or matrices; `strength` in [0, 1] is the ramp."""
        if strength == 0.0 or not len(rows):
            return rows
        result = rows
        for mode, readers in self.reads.items():
            assert isinstance(readers, nn.ModuleDict)
            reads = []
            for name, reader in readers.items():
                slots = sources[name].slots
                assert isinstance(slots, Tensor)
                reads.append(reader(result, slots if self.read_grad else slots.detach(), counts))
            result = self.combine[mode](result, reads)
        return result if strength == 1.0 else (1.0 - strength) * rows + strength * result
