"""What a run does while it trains: history rows, progress, validation after each epoch, checkpoints, stops."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from core.config.schema import RunConfig
from core.data.issues import Issues
from core.features.prepare import PreparedData
from core.model.decoder import Decoder
from core.model.joint_model import JointModel
from core.progress import ProgressBar, StopRequest, say
from core.records.history import STEP, VALIDATION, History
from core.records.record import BEST, HISTORY, LAST
from core.records.tracking import Tracker
from core.scoring.metrics import HEADLINE, TASKS
from core.training.checkpoints import ChosenEpoch, ModelState, TrainedModel, restore_training, save_model, save_training
from core.training.held_out import evaluate_split, held_out_loss
from core.training.loop import Position, StepReport, TrainingState


class RunObserver:
    """Observes the training loop of one run and owns its files while it trains."""

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        data: PreparedData,
        decoder: Decoder,
        *,
        run_id: str,
        steps: int,
        tracker: Tracker,
        progress: ProgressBar,
        stop: StopRequest,
    ) -> None:
        self.folder, self.config, self.data, self.decoder = folder, config, data, decoder
        self.run_id, self.steps, self.tracker = run_id, steps, tracker
        self.progress, self.stop = progress, stop
        self.history = History(folder / HISTORY)
        self.chosen: ChosenEpoch | None = None
        self.repairs: dict[str, int] = {}
        self._saved = self._since = time.perf_counter()
        self._documents = 0

    def restore(self, model: JointModel, optimizer: torch.optim.Optimizer) -> Position:
        """Go back to the last checkpoint, the history with it; the start where there is none."""
        restored = restore_training(self.folder / LAST, model, optimizer, run_id=self.run_id)
        position = restored.position
        if position.step:
            say(f"goes on from step {position.step} of {self.steps}")
        self.chosen, self.repairs = restored.chosen, dict(restored.repairs)
        self.history.cut(step=position.step, validated=position.validated)
        self.progress.advance(position.step)
        return position

    def on_step(self, report: StepReport, moment: TrainingState) -> None:
        """Show every step, write every `runtime.log_every`th, save when it is time or a stop is asked for."""
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
            }
            self.history.add(STEP, report.step, row)
            self.tracker.log({**row, "documents_per_second": speed}, step=report.step)
            self._since, self._documents = time.perf_counter(), 0
        if self.stop.asked:
            self._stop(moment)
        if time.perf_counter() - self._saved >= self.config.runtime.checkpoint_seconds:
            self.save(moment)

    def on_epoch_end(self, epoch: int, step: int, reading: float, moment: TrainingState) -> None:
        """Validate, and keep the weights if strict relation F1 is the best so far (of equal ones the later)."""
        unvalidated = TrainingState(Position(step, validated=False), moment.model, moment.optimizer)
        held_out = self.data.splits["validation"]
        issues = Issues()

        def advance(done: int) -> None:
            if self.stop.asked:
                self._stop(unvalidated)

        result = evaluate_split(self.decoder, held_out, reading=reading, issues=issues, advance=advance)
        losses = held_out_loss(
            moment.model,
            held_out,
            self.config,
            self.data.labels,
            padding=self.data.wordpieces.padding,
            reading=reading,
        )
        self._report_flood(issues, len(held_out))
        row: dict[str, Any] = {"epoch": epoch, "reading": reading}
        row |= {f"validation/loss/{name}": value for name, value in losses.items()}
        row |= {f"validation/{task}/f1": result.scores[task]["f1"] for task in TASKS}
        row["validation/relation_strict/average_precision"] = result.scores["extra"]["ranking"]["average_precision"]
        self._choose(moment, ModelState(epoch, step, reading), float(result.scores[HEADLINE]["f1"]))
        self._write_validation(step, row)
        shown = "  ".join(f"{task} {result.scores[task]['f1']:.2f}" for task in TASKS)
        say(f"epoch {epoch}: validation loss {losses['total']:.3f}, F1 {shown}")
        if step == self.steps or time.perf_counter() - self._saved >= self.config.runtime.checkpoint_seconds:
            self.save(moment)
        self._since, self._documents = time.perf_counter(), 0

    def save(self, moment: TrainingState) -> None:
        """Write the training checkpoint."""
        save_training(self.folder / LAST, moment, run_id=self.run_id, chosen=self.chosen, repairs=self.repairs)
        self._saved = time.perf_counter()

    def _stop(self, moment: TrainingState) -> None:
        self.save(moment)
        say(f"stopped at step {moment.position.step} of {self.steps}, saved: the same command goes on from there")
        raise KeyboardInterrupt

    def _choose(self, moment: TrainingState, state: ModelState, headline: float) -> None:
        # The last epoch may always be chosen: a run must end with a model.
        if state.step <= self.config.training.select_from * self.steps and state.step < self.steps:
            return
        if self.chosen is None or headline >= self.chosen.headline:
            trained = TrainedModel(moment.model, self.data.wordpieces, self.data.labels, state)
            save_model(self.folder / BEST, trained)
            self.chosen = ChosenEpoch(state, headline)

    def _report_flood(self, issues: Issues, documents: int) -> None:
        flooded = issues.counts.get("mention_flood", 0)
        if flooded:
            self.repairs["mention_flood"] = self.repairs.get("mention_flood", 0) + flooded
            say(
                f"{flooded} of {documents} validation documents had more than inference.max_mentions "
                f"({self.config.inference.max_mentions}) spans accepted, as an untrained mention classifier does "
                f"({issues.examples['mention_flood'][0]}): only the best were kept, as pairs grow with the square. "
                "Train longer, or raise the limit"
            )

    def _write_validation(self, step: int, row: Mapping[str, Any]) -> None:
        self.history.add(VALIDATION, step, row)
        self.tracker.log(row, step=step)
