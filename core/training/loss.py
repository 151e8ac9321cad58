"""Losses: the four task losses and their weighted sum; means run over the valid samples of the whole batch."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from core.config.schema import LossConfig
from core.features.batches import Targets
from core.model.joint_model import Logits

LOSS_NAMES = ("mention", "coref", "entity", "relation", "total")


@dataclass(frozen=True)
class Losses:
    """The unweighted losses of a batch, and `total`, their weighted sum."""

    mention: Float[Tensor, ""]
    coref: Float[Tensor, ""]
    entity: Float[Tensor, ""]
    relation: Float[Tensor, ""]
    total: Float[Tensor, ""]

    def values(self) -> dict[str, float]:
        """The losses as plain numbers, by name."""
        return {name: float(getattr(self, name).detach()) for name in LOSS_NAMES}


def joint_loss(logits: Logits, targets: Targets, weights: LossConfig) -> Losses:
    """Mean BCE (mention, coref), mean CE (entity), BCE summed over types and averaged over pairs (relation).

    A term without samples is 0; everything is computed in fp32.
    """
    mention = _mean(binary_cross_entropy_with_logits(logits.mention.float(), targets.mention, reduction="none"))
    coref = _mean(binary_cross_entropy_with_logits(logits.coref.float(), targets.coref, reduction="none"))
    entity = _mean(cross_entropy(logits.entity.float(), targets.entity, reduction="none"))
    relation = _mean(
        binary_cross_entropy_with_logits(logits.relation.float(), targets.relation, reduction="none").sum(1)
    )
    total = weights.mention * mention + weights.coref * coref + weights.entity * entity + weights.relation * relation
    return Losses(mention=mention, coref=coref, entity=entity, relation=relation, total=total)


def _mean(values: Float[Tensor, " rows"]) -> Float[Tensor, ""]:
    return values.mean() if len(values) else values.sum() + torch.zeros((), device=values.device)
