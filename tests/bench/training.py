"""A training step of every system and of the encoder alone, in turn on the same batches of two documents."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from core.config.schema import RunConfig, TrainingConfig
from core.features.batches import collate, pad_pieces, to_device
from core.features.candidates import draw_sample
from core.features.wordpieces import EncodedDocument
from core.model.joint_model import JointModel
from core.run.execute import build_accelerator
from core.seeding import seed_for
from core.training.loss import joint_loss
from tests.bench.material import Bench, Material, floor_optimizer, system_config
from tests.bench.timing import Readings, Stopwatch

BATCH = 2
CLIP = TrainingConfig().clip
PLAIN, OWN = "encoder, plain", "encoder, own"


def measure_training(bench: Bench, material: Material, precision: str, first: int, rounds: int) -> Readings:
    """Seconds of `rounds` batches from number `first` on, after one batch that only warms up."""
    readings: Readings = {}
    plain_optimizer = floor_optimizer(bench.plain)
    own_optimizer = floor_optimizer(bench.encoder)
    order = [OWN, *bench.models]
    for number in range(first - 1, first + rounds):
        batch = [material.documents[(BATCH * number + i) % len(material.documents)] for i in range(BATCH)]
        watches: dict[str, Stopwatch] = {}
        # Everybody takes every place in the round: what ran before may leave a warm or a cold cache.
        turn = number % (len(order) + 1)
        for what in [*order[turn:], PLAIN, *order[:turn]]:
            watch = watches[what] = Stopwatch()
            if what == PLAIN:
                with bench.optimizer_of(plain_optimizer) as optimizer:
                    plain_step(bench, material, batch, optimizer, precision, watch)
            elif what == OWN:
                with bench.optimizer_of(own_optimizer) as optimizer:
                    own_step(bench, material, batch, optimizer, precision, number, watch)
            else:
                with bench.optimizer_of(bench.optimizers[what]) as optimizer:
                    config = system_config(what, precision)
                    joint_step(bench.models[what], material, config, batch, optimizer, number, watch)
        if number >= first:
            for what, watch in watches.items():
                watch.into(readings, what)
    return readings


def joint_step(
    model: JointModel,
    material: Material,
    config: RunConfig,
    documents: Sequence[EncodedDocument],
    optimizer: torch.optim.Optimizer,
    step: int,
    watch: Stopwatch,
) -> None:
    """One step of `core.training.loop`, its parts apart."""
    accelerator = build_accelerator(config)
    model.train()
    with watch.part("sampling"):
        samples = [draw_sample(one, config.samples, material.labels, seed=0, epoch=step) for one in documents]
    with watch.part("collation"):
        batch = collate(samples, padding=material.wordpieces.padding, multi_instance=model.multi_instance)
        batch = to_device(batch, accelerator.device)
    torch.manual_seed(seed_for("dropout", 0, step))
    with watch.part("forward"):
        optimizer.zero_grad(set_to_none=True)
        with accelerator.autocast():
            logits = model(batch, reading=1.0)
        loss = joint_loss(logits, batch.targets, config.loss).total
        float(loss.detach())
    descend(loss, model, optimizer, watch, backward=accelerator.backward)


def plain_step(
    bench: Bench,
    material: Material,
    documents: Sequence[EncodedDocument],
    optimizer: torch.optim.Optimizer,
    precision: str,
    watch: Stopwatch,
) -> None:
    """The plain transformers encoder with its default dropout, as anyone would train it: no determinism asked for."""
    torch.use_deterministic_algorithms(False)
    bench.plain.train()
    pieces = pad_pieces(documents, material.wordpieces.padding)
    with watch.part("forward"):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            states = bench.plain(input_ids=pieces.ids, attention_mask=pieces.mask.long()).last_hidden_state
        loss = spread(states)
    descend(loss, bench.plain, optimizer, watch)


def own_step(
    bench: Bench,
    material: Material,
    documents: Sequence[EncodedDocument],
    optimizer: torch.optim.Optimizer,
    precision: str,
    step: int,
    watch: Stopwatch,
) -> None:
    """Our own encoder alone, with the dropout, the clipping and the optimiser of a joint step."""
    accelerator = build_accelerator(system_config("grc", precision))
    bench.encoder.train()
    pieces = pad_pieces(documents, material.wordpieces.padding)
    torch.manual_seed(seed_for("dropout", 0, step))
    with watch.part("forward"):
        with accelerator.autocast():
            states = bench.encoder(pieces)
        loss = spread(states)
    descend(loss, bench.encoder, optimizer, watch)


def descend(
    loss: Tensor,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    watch: Stopwatch,
    *,
    backward: Callable[[Tensor], None] = Tensor.backward,
) -> None:
    """Everything behind the loss, the same for systems and floors."""
    with watch.part("backward"):
        backward(loss)
    with watch.part("optimiser"):
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def spread(states: Tensor) -> Tensor:
    """A loss whose gradient is dense and of ordinary size (a sum would vanish in the last layer norm)."""
    weights = torch.linspace(-1.0, 1.0, states.shape[-1]).sin()
    return (states.float() * weights).mean()
