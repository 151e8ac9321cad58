"""Observer of a run's training: history rows, progress, validation after each epoch, checkpoints, stops."""

import time
from pathlib import Path
from typing import Any

import msgspec
import torch

from core.config.schema import RunConfig
from core.data.issues import Issues
from core.features.prepare import PreparedData
from core.model.decoder import Decoder
from core.model.joint_model import JointModel
from core.progress import ProgressBar, StopRequest, say
from core.records.history import STEP, VALIDATION, History, read_history
from core.records.record import BEST, HISTORY, LAST
from core.records.tracking import Tracker, flatten
from core.run.reading_switch import describe_switch
from core.scoring.metrics import HEADLINE, TASKS
from core.training.checkpoints import ChosenEpoch, ModelState, TrainedModel, restore_training, save_model, save_training
from core.training.held_out import evaluate_split, held_out_loss
from core.training.loop import Position, StepReport, TrainingState


class RunObserver:
    """Observes the training loop of one run and owns the files of its folder meanwhile."""

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
        self._validated: dict[str, Any] | None = None
        """The last validation row."""
        self._saved = self._logged = time.perf_counter()
        self._documents = 0
        """Documents trained on since the last row was logged."""

    def restore(self, model: JointModel, optimizer: torch.optim.Optimizer) -> Position:
        """Go back to the last checkpoint, the history with it; to the start where there is none."""
        restored = restore_training(self.folder / LAST, model, optimizer, run_id=self.run_id)
        position = restored.position
        if position.step:
            say(f"resumed at step {position.step} of {self.steps}")
        self.chosen, self.repairs = restored.chosen, dict(restored.repairs)
        self.history.cut(step=position.step, validated=position.validated)
        validated = (row for row in reversed(read_history(self.history.path)) if row["kind"] == VALIDATION)
        self._validated = next(validated, None)
        self.progress.resume(position.step)
        return position

    def on_step(self, report: StepReport, state: TrainingState) -> None:
        """Show every step, write every `runtime.log_every`th, save when it is time or a stop is asked for."""
        self._documents += self.config.training.batch_size
        speed = self._documents / max(1e-9, time.perf_counter() - self._logged)
        losses = " ".join(f"{name} {value:.3f}" for name, value in report.losses.items())
        text = f"epoch {report.epoch}/{self.config.training.epochs}  {losses}  {speed:.1f} documents/s"
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
            self.tracker.log({**row, "documents_per_second": speed}, kind=STEP, step=report.step)
            self._logged, self._documents = time.perf_counter(), 0
        if self.stop.asked:
            self._save_and_stop(state)
        if self._is_time_to_save():
            self.save(state)

    def on_epoch_end(self, epoch: int, reading: float, state: TrainingState) -> None:
        """Validate, and keep the weights if strict relation F1 is the best so far (of equal ones the later)."""
        step, documents = state.position.step, self.data.splits["validation"]
        unvalidated = TrainingState(Position(step, validated=False), state.model, state.optimizer)
        issues = Issues()

        def advance(done: int) -> None:
            if self.stop.asked:
                self._save_and_stop(unvalidated)

        result = evaluate_split(self.decoder, documents, reading=reading, issues=issues, advance=advance)
        padding = self.data.wordpieces.padding
        held_out = held_out_loss(
            state.model, documents, self.config, self.data.labels, padding=padding, reading=reading
        )
        reads = {
            place: msgspec.structs.replace(use, factor_training=held_out.factors.get(place))
            for place, use in result.reads.items()
        }
        self._report_flood(issues, len(documents))
        row: dict[str, Any] = {"epoch": epoch, "reading": reading}
        row |= {f"validation/loss/{name}": value for name, value in held_out.losses.items()}
        row |= {f"validation/{task}/f1": result.scores[task]["f1"] for task in TASKS}
        row["validation/relation_strict/average_precision"] = result.scores["extra"]["ranking"]["average_precision"]
        uses = {place: msgspec.to_builtins(use) | {"ratio": use.ratio} for place, use in reads.items()}
        row |= dict(flatten({"validation": {"memory": uses}}))
        self._choose(state, ChosenEpoch(ModelState(epoch, step, reading), float(result.scores[HEADLINE]["f1"]), reads))
        self.history.add(VALIDATION, step, row)
        self.tracker.log(row, kind=VALIDATION, step=step)
        scores = "  ".join(f"{task} {result.scores[task]['f1']:.2f}" for task in TASKS)
        say(f"epoch {epoch}: validation loss {held_out.losses['total']:.3f}, F1 {scores}")
        memory, before, self._validated = self.config.memory, self._validated, row
        if memory is not None and (loss := describe_switch(before, row, reads, memory)) is not None:
            say(loss)
        if step == self.steps or self._is_time_to_save():
            self.save(state)
        self._logged, self._documents = time.perf_counter(), 0

    def save(self, state: TrainingState) -> None:
        """Write the training checkpoint."""
        save_training(self.folder / LAST, state, run_id=self.run_id, chosen=self.chosen, repairs=self.repairs)
        self._saved = time.perf_counter()

    def _is_time_to_save(self) -> bool:
        return time.perf_counter() - self._saved >= self.config.runtime.checkpoint_seconds

    def _save_and_stop(self, state: TrainingState) -> None:
        self.save(state)
        say(f"interrupted at step {state.position.step} of {self.steps} and saved: the same command resumes it")
        raise KeyboardInterrupt

    def _choose(self, state: TrainingState, epoch: ChosenEpoch) -> None:
        # The last epoch may always be chosen: a run must end with a model.
        step = epoch.state.step
        if step <= self.config.training.select_from * self.steps and step < self.steps:
            return
        if self.chosen is None or epoch.headline >= self.chosen.headline:
            trained = TrainedModel(state.model, self.data.wordpieces, self.data.labels, epoch.state)
            save_model(self.folder / BEST, trained)
            self.chosen = epoch

    def _report_flood(self, issues: Issues, documents: int) -> None:
        flooded = issues.counts.get("mention_flood", 0)
        if flooded:
            self.repairs["mention_flood"] = self.repairs.get("mention_flood", 0) + flooded
            say(
                f"{flooded} of {documents} validation documents had more than inference.max_mentions "
                f"({self.config.inference.max_mentions}) spans accepted as mentions, as happens with a mention head "
                f"that is not trained yet (first {issues.examples['mention_flood'][0]}): only the best were kept, as "
                "the pairs to score grow with the square. Train longer, or raise the limit"
            )
