"""Optimizer: AdamW over parameter groups, and the schedules of the learning rate and of reading memory.

Encoder and heads have groups of their own, biases and norms do not decay, and bias correction can be off.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.config.memory import MemoryConfig
from core.config.schema import TrainingConfig
from core.model.joint_model import JointModel, norm_parameters

BETAS = (0.9, 0.999)


class UncorrectedAdamW(torch.optim.Optimizer):
    """AdamW without bias correction, as both references train (the former AdamW of transformers).

    Three things differ from torch's: moments are used as they are, epsilon is added to the uncorrected root of the
    second one, and weights decay after the update instead of before. Early steps are about three times larger.
    """

    def __init__(self, params: Any, *, lr: float, eps: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        if closure is not None:
            raise ValueError("UncorrectedAdamW takes no closure")
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not parameters:
                continue
            gradients: list[Tensor] = [parameter.grad for parameter in parameters]
            for parameter in parameters:
                if not self.state[parameter]:
                    self.state[parameter]["exp_avg"] = torch.zeros_like(parameter)
                    self.state[parameter]["exp_avg_sq"] = torch.zeros_like(parameter)
            first = [self.state[parameter]["exp_avg"] for parameter in parameters]
            second = [self.state[parameter]["exp_avg_sq"] for parameter in parameters]
            torch._foreach_mul_(first, BETAS[0])
            torch._foreach_add_(first, gradients, alpha=1.0 - BETAS[0])
            torch._foreach_mul_(second, BETAS[1])
            torch._foreach_addcmul_(second, gradients, gradients, value=1.0 - BETAS[1])
            roots = torch._foreach_sqrt(second)
            torch._foreach_add_(roots, group["eps"])
            torch._foreach_addcdiv_(parameters, first, roots, value=-group["lr"])
            if group["weight_decay"]:
                torch._foreach_mul_(parameters, 1.0 - group["lr"] * group["weight_decay"])


def parameter_groups(model: JointModel, config: TrainingConfig) -> list[dict[str, Any]]:
    """Parameters by (encoder or heads) x (decayed or not), each with its peak learning rate (`peak_lr`)."""
    norms = norm_parameters(model)
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        decayed = not name.endswith("bias") and name not in norms
        groups.setdefault((name.startswith("encoder."), decayed), []).append(parameter)
    return [
        {
            "params": parameters,
            "peak_lr": config.lr if in_encoder else (config.head_lr or config.lr),
            "weight_decay": config.weight_decay if decayed else 0.0,
        }
        for (in_encoder, decayed), parameters in groups.items()
    ]


def build_optimizer(model: JointModel, config: TrainingConfig) -> torch.optim.Optimizer:
    """The optimiser of a training config."""
    groups = parameter_groups(model, config)
    if not config.bias_correction:
        return UncorrectedAdamW(groups, lr=config.lr, eps=config.eps, weight_decay=config.weight_decay)
    return torch.optim.AdamW(groups, lr=config.lr, betas=BETAS, eps=config.eps, fused=True)


def set_lr(optimizer: torch.optim.Optimizer, config: TrainingConfig, *, step: int, steps: int) -> float:
    """Set every group's learning rate for training step `step` (from 0), and return the encoder's.

    The rate is a function of the step alone, so a resumed run has nothing to restore.
    """
    factor = lr_factor(step, steps=steps, warmup=config.lr_warmup)
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor
    return config.lr * factor


def lr_factor(step: int, *, steps: int, warmup: float) -> float:
    """Linear rise over the first share of all steps, linear fall to 0 after it; the first step has factor 0."""
    rising = int(warmup * steps)
    if step < rising:
        return step / max(1, rising)
    return max(0.0, (steps - step) / max(1, steps - rising))


@dataclass(frozen=True)
class ReadingSchedule:
    """How strongly memory is read at each step: not during the warm-up, then rising over the ramp."""

    memory: MemoryConfig | None
    steps: int

    @property
    def first(self) -> int:
        """The first training step (from 0) that reads; `steps` where none does."""
        if self.memory is None or not self.memory.modes:
            return self.steps
        return int(self.memory.warmup * self.steps)

    def training(self, step: int) -> float:
        """How strongly training step `step` (from 0) reads: 0 before the warm-up is over, 1 after the ramp."""
        if self.memory is None or step < self.first:
            return 0.0
        ramp = int(self.memory.ramp * self.steps)
        return min(1.0, (step - self.first + 1) / ramp) if ramp else 1.0

    def evaluation(self, steps: int) -> float:
        """How strongly an evaluation after some steps reads: as the last of them did."""
        return self.training(steps - 1) if steps > 0 else 0.0
