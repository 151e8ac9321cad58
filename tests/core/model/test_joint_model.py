"""Joint model: initial weights are keyed by (seed, parameter name), so that what two systems share starts equal."""

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from core.model.encoder import load_encoder
from core.model.joint_model import initialise
from core.training.loop import train_step
from core.training.optimizer import build_optimizer
from tests.tiny import document, encoded, tiny_batch, tiny_config, tiny_model, wordpieces

LARGER = {"encoder": {"scratch": {"width": 64, "layers": 2, "intermediate": 128}}, "model": {"meta_width": 25}}


def weights(preset: str, row: dict | None = None, seed: int = 0) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in tiny_model(tiny_config(preset, row), seed=seed).state_dict().items()}


@pytest.mark.parametrize("head", ["grc", "mrc"])
def test_shared_modules_of_jerex_and_memory_start_equal(head: str) -> None:
    jerex, memory = weights(f"jerex-{head}"), weights(f"memory-{head}")
    shared = [name for name in jerex if name in memory and jerex[name].shape == memory[name].shape]
    assert all(torch.equal(jerex[name], memory[name]) for name in shared)
    assert {name.split(".")[0] for name in shared} >= {"encoder", "mention_head", "coref_head", "relation_head"}
    # What differs: the replaced heads, and the hidden layer that takes type rows of another width.
    assert {name.split(".")[0] for name in set(jerex) - set(shared)} == {
        "entity_head",
        "type_embedding",
        "relation_head",
        "relation_classifier",
    }


@pytest.mark.parametrize(
    "row",
    [{"read_mode": "normal"}, {"read_mode": "inverse-normal"}, {"slots_per_type": 2}]
    + [{"read_mode": "normal", "pooling": "residual"}]
    + [{"reads": control} for control in ("learned", "random", "uniform", "constant")],
)
def test_memory_rows_share_what_they_have_in_common(row: dict) -> None:
    plain, other = weights("memory-grc"), weights("memory-grc", {"memory": row})
    shared = [name for name in plain if name in other and plain[name].shape == other[name].shape]
    assert len(shared) >= len(plain) - 12
    assert all(torch.equal(plain[name], other[name]) for name in shared)


def test_a_frozen_matrix_is_drawn_as_the_learned_one_is() -> None:
    learned, frozen = (weights("memory-grc", {"memory": {"reads": control}}) for control in ("learned", "random"))
    assert list(learned) == list(frozen)
    assert all(torch.equal(value, frozen[name]) for name, value in learned.items())
    assert not torch.equal(learned["read_matrices.entity.slots"], learned["memories.entity.slots"])


@pytest.mark.parametrize("row", [None, {"memory": {"reads": "random"}}])
def test_another_seed_draws_other_weights(row: dict | None) -> None:
    one, same, two = (weights("memory-mrc", row, seed=seed) for seed in (0, 0, 1))
    for name, value in one.items():
        assert torch.equal(value, same[name]), name
        constant = name.endswith("bias") or "LayerNorm" in name
        assert torch.equal(value, two[name]) == constant, name


def test_the_global_generator_is_neither_read_nor_moved() -> None:
    model = tiny_model(tiny_config("memory-mrc"))
    before = torch.random.get_rng_state()
    initialise(model, None, seed=4)
    assert torch.equal(before, torch.random.get_rng_state())
    first = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(99)
    initialise(model, None, seed=4)
    assert all(torch.equal(value, first[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("preset", ["jerex-mrc", "memory-mrc"])
def test_weights_are_narrow_normals_biases_zero_and_norms_one(preset: str) -> None:
    row = LARGER | ({"memory": {"pooling": "gated", "read_mode": "inverse-normal"}} if "memory" in preset else {})
    kinds = {"bias": 0, "norm": 0, "weight": 0}
    for name, value in weights(preset, row).items():
        if name.endswith("bias"):
            kinds["bias"] += 1
            assert bool(value.eq(0).all()), name
        elif "LayerNorm" in name:
            kinds["norm"] += 1
            assert bool(value.eq(1).all()), name
        else:
            kinds["weight"] += 1
            # Five standard errors, of the mean and of the standard deviation.
            bound = 5 * 0.02 / value.numel() ** 0.5
            assert abs(float(value.mean())) < bound, name
            assert float(value.std()) == pytest.approx(0.02, abs=bound), name
    assert min(kinds.values()) >= 5


FAN_IN = {"memory": {"slot_init": "fan-in", "slot_width": 40}}
FAN_IN_STDS = {"memories.entity.slots": 40, "memories.relation.slots": 40, "read_matrices.entity.slots": 40} | {
    "read_matrices.relation.slots": 40,
    "entity_head.project.weight": 64,
    "relation_classifier.project.weight": 64,
}


@pytest.mark.parametrize("control", ["written", "learned", "random"])
def test_the_fan_in_start_scales_the_normal_draw_of_slots_and_projections(control: str) -> None:
    row = LARGER | {"memory": {"slot_width": 40, "reads": control}}
    plain = weights("memory-mrc", row)
    scaled = weights("memory-mrc", LARGER | {"memory": FAN_IN["memory"] | {"reads": control}})
    assert list(plain) == list(scaled)
    for name, value in plain.items():
        fan_in = FAN_IN_STDS.get(name)
        torch.testing.assert_close(scaled[name], value if fan_in is None else value * (fan_in**-0.5 / 0.02))
        if fan_in is not None:
            deviations = scaled[name].std() * fan_in**0.5
            assert float(deviations) == pytest.approx(1.0, abs=5 / value.numel() ** 0.5), name


@pytest.mark.parametrize("slot_width", [None, 5])
@pytest.mark.parametrize("preset", ["memory-residual-grc", "memory-residual-mrc"])
def test_a_residual_read_starts_as_no_change_and_then_trains_all_of_its_parts(
    preset: str, slot_width: int | None
) -> None:
    config = tiny_config(preset, {"memory": {"slot_width": slot_width}, "training": {"lr": 1e-2}})
    model = tiny_model(config).train()
    optimizer = build_optimizer(model, config.training)
    batch = tiny_batch(config, encoded(document(0), document(1, extra=1)))
    maps = {name for name, _ in model.named_parameters() if name.startswith("reads.") and "widen" in name}
    keys = {name for name, _ in model.named_parameters() if name.startswith("reads.") and "key" in name}
    assert len(maps) == len(keys) == 4
    # A few steps of warm-up: the slots are written, and the read is still no change.
    for _ in range(3):
        train_step(model, batch, config, Accelerator(cpu=True), optimizer, 0.0)
    model.eval()
    unread, read = (vars(model(batch, reading=strength)) for strength in (0.0, 1.0))
    assert all(torch.equal(value, read[task]) for task, value in unread.items())

    def mention_gradients() -> dict[str, float]:
        """What reaches every parameter from the mentions, for which no memory classifies."""
        model.zero_grad()
        model(batch, reading=1.0).mention.square().sum().backward()
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        return {name: 0.0 if value is None else float(value.abs().max()) for name, value in gradients.items()}

    slots = {"memories.entity.slots", "memories.relation.slots"}
    first = mention_gradients()
    assert all(first[name] > 0 for name in maps)
    assert all(first[name] == 0 for name in keys | slots)
    train_step(model, batch, config, Accelerator(cpu=True), optimizer, 1.0)
    assert all(value > 0 for name, value in mention_gradients().items() if name in maps | keys | slots)


def save_encoder(folder: Path) -> Path:
    """A folder as `save_pretrained` makes it, its weights not those that a fresh start would have."""
    transformer = load_encoder(tiny_config().encoder, vocabulary=wordpieces().size).transformer
    with torch.no_grad():
        for number, parameter in enumerate(transformer.parameters()):
            parameter.fill_(0.1 + number)
    transformer.save_pretrained(folder)
    return folder


def test_pretrained_weights_stay_and_only_the_rest_is_drawn(tmp_path: Path) -> None:
    folder = save_encoder(tmp_path)
    row = {"encoder": {"source": str(folder), "positions": 64}}
    one, two = weights("memory-grc", row, seed=0), weights("memory-grc", row, seed=1)
    for name, value in one.items():
        if name.startswith("encoder."):
            assert torch.equal(value, two[name]), name
            assert float(value.flatten()[0]) >= 0.1, name
        elif not name.endswith("bias"):
            assert not torch.equal(value, two[name]), name
    drawn = weights("memory-grc", {"encoder": row["encoder"] | {"pretrained": False}})
    assert all(float(value.abs().max()) < 0.2 for name, value in drawn.items() if "embeddings.weight" in name)
    assert all(torch.equal(value, drawn[name]) for name, value in one.items() if not name.startswith("encoder."))


def test_a_grown_position_table_keeps_its_rows_and_draws_the_new_ones(tmp_path: Path) -> None:
    folder = save_encoder(tmp_path)
    row = {"encoder": {"source": str(folder), "positions": 400}}
    name = "encoder.transformer.embeddings.position_embeddings.weight"
    first, again, other = (weights("jerex-grc", row, seed)[name] for seed in (0, 0, 1))
    assert first.shape[0] == 400
    assert len({float(value) for value in first[:64].flatten()}) == 1
    assert torch.equal(first, again)
    assert torch.equal(first[:64], other[:64])
    assert not torch.equal(first[64:], other[64:])
    assert float(first[64:].std()) == pytest.approx(0.02, rel=0.1)
