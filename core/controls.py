"""Controls for the question whether it is the memory: what `memory.reads` puts in place of the written slots.

`learned` and `random` read a `ReadMatrix`, `uniform` reads the slots without looking at them (`core.memory`), and
`constant` is a `ConstantRead`. The classifiers keep their slots under each of them.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.candidates import draw_sample
from core.config import SamplesConfig
from core.documents import LabelSet
from core.wordpieces import EncodedDocument


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
    of all training documents is C x documents / rows: known before the first step (`settle_constants`), and from then
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


def settle_constants(
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
        shares = mean_shares(documents, samples, labels)
        for place, module in constants:
            module.share.fill_(shares[place])


def mean_shares(documents: Sequence[EncodedDocument], samples: SamplesConfig, labels: LabelSet) -> dict[str, float]:
    """Place -> documents over rows, in training: rows are word pieces at tokens, gold and drawn spans at mentions.

    How many spans are drawn of a document is the same in every epoch and under every seed.
    """
    spans = [len(draw_sample(one, samples, labels, seed=0, epoch=0).spans) for one in documents]
    rows = {"tokens": [len(one.ids) for one in documents], "mentions": spans}
    # A document without rows is paid no attention.
    return {place: sum(map(bool, sizes)) / max(1, sum(sizes)) for place, sizes in rows.items()}
