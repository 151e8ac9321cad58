"""What a run does while it trains: history rows, progress, validation after each epoch, the best checkpoint."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from core.checkpoint import ModelState, TrainedModel, save_model
from core.config import RunConfig
from core.decode import Decoder
from core.documents import Dirt
from core.evaluation import evaluate_split
from core.metrics import HEADLINE, TASKS
from core.model import JointModel
from core.preparing import PreparedData
from core.progress import Meter, say
from core.record import BEST
from core.tracking import Tracker
from core.train import StepReport
from core.validation import held_out_loss


@dataclass(frozen=True)
class Chosen:
    """The epoch that validation has chosen so far, and its strict relation F1."""

    state: ModelState
    headline: float


class Watcher:
    """Observes the training loop of one run and owns its files while it trains."""

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        data: PreparedData,
        model: JointModel,
        decoder: Decoder,
        *,
        steps: int,
        history: IO[str],
        tracker: Tracker,
        progress: Meter,
    ) -> None:
        self.folder, self.config, self.data, self.model, self.decoder = folder, config, data, model, decoder
        self.steps, self.history, self.tracker, self.progress = steps, history, tracker, progress
        self.chosen: Chosen | None = None
        self.step = 0
        self.dirt = Dirt()
        self._since, self._documents = time.perf_counter(), 0

    def stepped(self, report: StepReport) -> None:
        """Show every step, write every `runtime.log_every`th."""
        self.step = report.step
        self._documents += self.config.training.batch_size
        speed = self._documents / max(1e-9, time.perf_counter() - self._since)
        parts = " ".join(f"{name} {value:.3f}" for name, value in report.losses.items())
        text = f"epoch {report.epoch}/{self.config.training.epochs}  {parts}  {speed:.1f} documents/s"
        self.progress.advance(1, text)
        if report.step % self.config.runtime.log_every == 0 or report.step == self.steps:
            row = {
                "epoch": report.epoch,
                **{f"loss/{name}": value for name, value in report.losses.items()},
                "gradient_norm": report.gradient_norm,
                "lr": report.lr,
                "reading": report.reading,
                "documents_per_second": speed,
            }
            self._write("step", report.step, row)
            self._since, self._documents = time.perf_counter(), 0

    def epoch_ended(self, epoch: int, step: int, reading: float) -> None:
        """Validate, and keep the weights if strict relation F1 is the best so far (of equal ones the later)."""
        held_out = self.data.splits["validation"]
        dirt = Dirt()
        result = evaluate_split(self.decoder, held_out, reading=reading, dirt=dirt)
        losses = held_out_loss(
            self.model,
            held_out,
            self.config,
            self.data.labels,
            padding=self.data.wordpieces.padding,
            reading=reading,
        )
        self._report_flood(dirt, len(held_out))
        row: dict[str, Any] = {f"validation/loss/{name}": value for name, value in losses.items()}
        row |= {f"validation/{task}/f1": result.scores[task]["f1"] for task in TASKS}
        row["validation/relation_strict/average_precision"] = result.scores["extra"]["ranking"]["average_precision"]
        self._write("validation", step, {"epoch": epoch, "reading": reading, **row})
        shown = "  ".join(f"{task} {result.scores[task]['f1']:.2f}" for task in TASKS)
        say(f"epoch {epoch}: validation loss {losses['total']:.3f}, F1 {shown}")
        self._choose(ModelState(epoch, step, reading), float(result.scores[HEADLINE]["f1"]))
        self._since, self._documents = time.perf_counter(), 0

    def _choose(self, state: ModelState, headline: float) -> None:
        # The last epoch may always be chosen: a run must end with a model.
        if state.step <= self.config.training.select_from * self.steps and state.step < self.steps:
            return
        if self.chosen is None or headline >= self.chosen.headline:
            trained = TrainedModel(self.model, self.data.wordpieces, self.data.labels, state)
            (self.folder / BEST).parent.mkdir(parents=True, exist_ok=True)
            save_model(self.folder / BEST, trained)
            self.chosen = Chosen(state, headline)

    def _report_flood(self, dirt: Dirt, documents: int) -> None:
        flooded = dirt.counts.get("mention_flood", 0)
        if flooded:
            self.dirt.add("mention_flood", dirt.examples["mention_flood"][0], times=flooded)
            say(
                f"{flooded} of {documents} validation documents had more than inference.max_mentions "
                f"({self.config.inference.max_mentions}) spans accepted, as an untrained mention classifier does "
                f"({dirt.examples['mention_flood'][0]}): only the best were kept, as pairs grow with the square. "
                "Train longer, or raise the limit"
            )

    def _write(self, kind: str, step: int, row: Mapping[str, Any]) -> None:
        self.history.write(json.dumps({"kind": kind, "step": step, **row}) + "\n")
        self.history.flush()
        self.tracker.log(row, step=step)
