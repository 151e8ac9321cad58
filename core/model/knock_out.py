"""Knock-out: a model decoded with its reading taken away, for the question whether it uses its memory.

Hooks on the reads replace what they return, only while a knock-out lasts: the model itself knows nothing of it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from core.data.issues import Issues
from core.features.wordpieces import EncodedDocument
from core.model.decoder import Decoded, Decoder
from core.model.joint_model import JointModel
from core.model.memory import InverseRead, SlotRead
from core.model.memory_attention import attention_reads
from core.records.memory_use import KnockOut


def decode_knocked_out(
    decoder: Decoder,
    documents: Sequence[EncodedDocument],
    knock_out: KnockOut,
    *,
    reading: float,
    advance: Callable[[int], None] = lambda done: None,
) -> list[Decoded]:
    """The predictions under a knock-out, in input order; `reading` is the strength that the whole model reads with."""
    with mean_reads(decoder.model) if knock_out == "mean-read" else nullcontext():
        strength = 0.0 if knock_out == "reading-off" else reading
        return decoder.decode(documents, reading=strength, issues=Issues(), advance=advance)


@contextmanager
def mean_reads(model: JointModel) -> Iterator[None]:
    """While this lasts, every row of a document reads the same: the document's mean vector, or its mean weight.

    A constant read has no attention and is the same for all rows already.
    """
    with ExitStack() as hooks:
        for _, read in attention_reads(model):
            hooks.enter_context(read.register_forward_hook(mean_read))
        yield


def mean_read(read: SlotRead, inputs: tuple[Any, ...], output: Float[Tensor, "S H"]) -> Float[Tensor, "S H"]:
    """What a read returns in place of `output`: its mean over the document, or the rows times their mean weight."""
    rows, _, counts = inputs
    if isinstance(read, InverseRead):
        weights = read.weights(read.attention(*inputs), counts).unsqueeze(1)
        return document_means(weights, counts).to(rows.dtype) * rows
    return document_means(output, counts)


def document_means(values: Float[Tensor, "S H"], counts: Sequence[int]) -> Float[Tensor, "S H"]:
    """Every row replaced by the mean over its document; `counts` are the rows of each document, which may be 0."""
    return torch.cat([own.mean(0, keepdim=True).expand_as(own) for own in values.split(list(counts))])
