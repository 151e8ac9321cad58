"""Optimizers, their parameter groups, and the schedules."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

from core.config.memory import MemoryConfig
from core.config.schema import TrainingConfig
from core.training.optimizer import (
    ReadingSchedule,
    UncorrectedAdamW,
    build_optimizer,
    lr_factor,
    parameter_groups,
    set_lr,
)
from tests.tiny import tiny_config, tiny_model


def test_uncorrected_adamw_is_the_hand_computation() -> None:
    weight = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    optimizer = UncorrectedAdamW([weight], lr=0.1, eps=1e-6, weight_decay=0.5)
    weight.grad = torch.tensor([0.5], dtype=torch.float64)
    optimizer.step()
    # m = .1 * .5, v = .001 * .25; 2 - .1 * m / (sqrt(v) + eps), then times 1 - .1 * .5.
    after = (2.0 - 0.1 * 0.05 / (math.sqrt(0.00025) + 1e-6)) * 0.95
    assert float(weight.detach()) == pytest.approx(after, abs=1e-12)
    weight.grad = torch.tensor([-1.0], dtype=torch.float64)
    optimizer.step()
    first, second = 0.9 * 0.05 + 0.1 * -1.0, 0.999 * 0.00025 + 0.001 * 1.0
    after = (after - 0.1 * first / (math.sqrt(second) + 1e-6)) * 0.95
    assert float(weight.detach()) == pytest.approx(after, abs=1e-12)


def test_the_first_uncorrected_step_is_about_three_times_larger() -> None:
    steps = []
    for kind in (UncorrectedAdamW, torch.optim.AdamW):
        weight = nn.Parameter(torch.zeros(1))
        optimizer = kind([weight], lr=0.1, eps=1e-6, weight_decay=0.0)
        weight.grad = torch.ones(1)
        optimizer.step()
        steps.append(-float(weight.detach()))
    assert steps[0] / steps[1] == pytest.approx(0.1 / math.sqrt(0.001), rel=1e-3)


def former_step(
    weight: torch.Tensor, gradient: torch.Tensor, state: dict[str, Any], *, lr: float, eps: float, decay: float
) -> torch.Tensor:
    """One update as transformers' former AdamW(correct_bias=False) made it, a tensor at a time."""
    state["m"] = state["m"] * 0.9 + gradient * (1.0 - 0.9)
    state["v"] = state["v"] * 0.999 + gradient * gradient * (1.0 - 0.999)
    weight = weight - lr * state["m"] / (state["v"].sqrt() + eps)
    return weight - lr * decay * weight if decay > 0.0 else weight


def test_uncorrected_adamw_is_transformers_former_one() -> None:
    generator = torch.Generator().manual_seed(0)
    parameters = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4, 3), (5,), (2, 2, 2))]
    groups = [{"params": parameters[:1], "weight_decay": 0.1}, {"params": parameters[1:], "lr": 0.02}]
    optimizer = UncorrectedAdamW(groups, lr=0.01, eps=1e-6, weight_decay=0.0)
    naive = [parameter.detach().clone() for parameter in parameters]
    states = [{"m": torch.zeros_like(value), "v": torch.zeros_like(value)} for value in naive]
    for step in range(20):
        for number, parameter in enumerate(parameters):
            # Now and then a parameter has no gradient: nothing of it moves, not even by decay.
            if step % 5 == 3 and number == 0:
                parameter.grad = None
                continue
            gradient = torch.randn(parameter.shape, generator=generator)
            parameter.grad = gradient
            rates = {"lr": 0.01 if number == 0 else 0.02, "decay": 0.1 if number == 0 else 0.0}
            naive[number] = former_step(naive[number], gradient, states[number], eps=1e-6, **rates)
        optimizer.step()
        for value, parameter in zip(naive, parameters, strict=True):
            torch.testing.assert_close(parameter.detach(), value, rtol=1e-5, atol=1e-6)


def test_the_optimizer_state_survives_saving() -> None:
    weight = nn.Parameter(torch.ones(3))
    one = UncorrectedAdamW([weight], lr=0.1, eps=1e-6, weight_decay=0.1)
    weight.grad = torch.tensor([1.0, -2.0, 3.0])
    one.step()
    twin = nn.Parameter(weight.detach().clone())
    two = UncorrectedAdamW([twin], lr=0.1, eps=1e-6, weight_decay=0.1)
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    twin.grad = weight.grad.clone()
    one.step()
    two.step()
    assert torch.equal(weight, twin)


@pytest.mark.parametrize("preset", ["jerex-mrc", "memory-mrc"])
def test_groups_split_encoder_from_heads_and_decayed_from_not(preset: str) -> None:
    config = tiny_config(preset, {"training": {"lr": 1e-4, "head_lr": 1e-3, "weight_decay": 0.3}})
    model = tiny_model(config)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {}
    for group in parameter_groups(model, config.training):
        for parameter in group["params"]:
            found[names.pop(id(parameter))] = (group["peak_lr"], group["weight_decay"])
    assert not names
    for name, (lr, decay) in found.items():
        assert lr == (1e-4 if name.startswith("encoder.") else 1e-3), name
        assert decay == (0.0 if name.endswith("bias") or "LayerNorm" in name else 0.3), name
    assert found["encoder.transformer.embeddings.LayerNorm.weight"][1] == 0.0
    assert found["coref_head.edit_distance_embedding.weight"][1] == 0.3


def test_without_a_head_rate_all_parameters_share_one() -> None:
    config = tiny_config("memory-grc")
    assert {group["peak_lr"] for group in parameter_groups(tiny_model(config), config.training)} == {config.training.lr}


def test_bias_correction_chooses_the_optimizer() -> None:
    model = tiny_model(tiny_config())
    plain = build_optimizer(model, TrainingConfig())
    assert isinstance(plain, torch.optim.AdamW)
    assert {group["eps"] for group in plain.param_groups} == {1e-6}
    assert isinstance(build_optimizer(model, TrainingConfig(bias_correction=False)), UncorrectedAdamW)


@pytest.mark.parametrize(("steps", "warmup"), [(100, 0.1), (60, 0.25), (7, 0.5)])
def test_the_learning_rate_rises_and_falls_linearly(steps: int, warmup: float) -> None:
    config = TrainingConfig(lr=1.0, lr_warmup=warmup)
    optimizer = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "peak_lr": 3.0}], lr=1.0)
    rates = []
    for step in range(steps + 1):
        rates.append(set_lr(optimizer, config, step=step, steps=steps))
        assert optimizer.param_groups[0]["lr"] == 3.0 * rates[-1]
    peak = int(warmup * steps)
    assert rates[0] == 0.0
    assert rates[-1] == 0.0
    assert rates[peak] == max(rates) == 1.0
    wanted = [step / peak if step < peak else (steps - step) / (steps - peak) for step in range(steps + 1)]
    assert rates == pytest.approx(wanted)


def test_without_warmup_the_learning_rate_starts_at_its_peak() -> None:
    assert lr_factor(0, steps=10, warmup=0.0) == 1.0
    assert lr_factor(9, steps=10, warmup=1.0) == pytest.approx(0.9)
    assert lr_factor(10, steps=10, warmup=1.0) == 0.0


@pytest.mark.parametrize(("steps", "share"), [(100, 0.4), (7, 0.4), (10, 0.0), (3, 0.5), (10, 0.99)])
def test_reading_starts_at_its_share_of_the_steps(steps: int, share: float) -> None:
    schedule = ReadingSchedule(MemoryConfig(warmup=share), steps)
    first = int(share * steps)
    for step in range(steps):
        assert schedule.training(step) == float(step >= first)
    for done in range(steps + 1):
        assert schedule.evaluation(done) == float(done > first), done


def test_a_whole_share_never_reads() -> None:
    schedule = ReadingSchedule(MemoryConfig(warmup=1.0), 50)
    assert not any(schedule.training(step) for step in range(50))
    assert not any(schedule.evaluation(done) for done in range(51))


@pytest.mark.parametrize("memory", [None, MemoryConfig(read_mode="none", warmup=0.0)])
def test_without_a_read_nothing_is_read(memory: MemoryConfig | None) -> None:
    schedule = ReadingSchedule(memory, 50)
    assert not any(schedule.training(step) for step in range(50))
    assert schedule.evaluation(50) == 0.0


def test_the_ramp_rises_over_its_share() -> None:
    schedule = ReadingSchedule(MemoryConfig(warmup=0.2, ramp=0.4), 50)
    strengths = [schedule.training(step) for step in range(50)]
    assert strengths[:10] == [0.0] * 10
    assert strengths[10:30] == pytest.approx([(number + 1) / 20 for number in range(20)])
    assert strengths[30:] == [1.0] * 20
    assert [schedule.evaluation(done) for done in range(1, 51)] == strengths
