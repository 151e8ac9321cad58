"""Encoder attention without padding: each document of a batch attends to itself.

Registered with transformers under `DOCUMENTS`; the encoder passes `counts`, the word pieces of each document. With
dropout, the backward pass keeps the probabilities and the positions of the dropped ones.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from core.model.layers import draw_dropped_positions

DOCUMENTS = "documents"


def attend_within_documents(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    counts: Sequence[int] | None = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **rest: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attention of each document to itself; query, key and value are [1, heads, T, width], the result
    [1, T, heads, width]. Without counts it is torch's attention under a mask."""
    if counts is None:
        plain = ALL_ATTENTION_FUNCTIONS["sdpa"]
        attended: tuple[Tensor, None] = plain(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **rest
        )
        return attended
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    results = []
    for q, k, v in zip(*(tensor.split(list(counts), dim=2) for tensor in (query, key, value)), strict=True):
        if dropout > 0.0:
            results.append(_Attention.apply(q[0] * scale, k[0], v[0], dropout).transpose(0, 1))
        else:
            own = nn.functional.scaled_dot_product_attention(q, k, v, scale=scale)
            results.append(own[0].transpose(0, 1))
    return (results[0] if len(results) == 1 else torch.cat(results)).unsqueeze(0), None


class _Attention(torch.autograd.Function):
    """dropout(softmax(q k^T)) v for [heads, L, width], q already scaled."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, p: float) -> Tensor:
        """The attended values."""
        ctx.keep = 1.0 / (1.0 - p)
        # In the backward pass nothing is cast by itself: one number format throughout.
        with torch.autocast("cpu", enabled=False):
            probabilities = torch.bmm(q, k.transpose(1, 2)).softmax(-1)
            dropped = draw_dropped_positions(probabilities.numel(), p)
            attended = torch.bmm(_zeroed(probabilities, dropped), v).mul_(ctx.keep)
        ctx.save_for_backward(q, k, v, probabilities, dropped, attended)
        return attended

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Gradients of q, k and v; the softmax's row sums are those of gradient times result."""
        q, k, v, probabilities, dropped, attended = ctx.saved_tensors
        gradient = gradient.mul(ctx.keep)
        kept = _zeroed(probabilities, dropped)
        grad_v = torch.bmm(kept.transpose(1, 2), gradient)
        rows = (gradient * attended).sum(-1, keepdim=True) / ctx.keep
        # P * (keep * mask * dD - rows): the mask is in `kept` already.
        grad_scores = torch.bmm(gradient, v.transpose(1, 2)).mul_(kept).addcmul_(probabilities, rows, value=-1.0)
        return torch.bmm(grad_scores, k), torch.bmm(grad_scores.transpose(1, 2), q), grad_v, None


def _zeroed(probabilities: Tensor, dropped: Tensor) -> Tensor:
    kept = probabilities.clone()
    kept.view(-1).index_fill_(0, dropped, 0.0)
    return kept


AttentionInterface.register(DOCUMENTS, attend_within_documents)
AttentionMaskInterface.register(DOCUMENTS, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
