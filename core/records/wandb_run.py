"""One run of W&B, online or in offline files, that never stops what it follows: trouble with W&B is one warning."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from core.config.schema import TrackingConfig
from core.progress import say

Mode = Literal["online", "offline"]
STEP_KEY = "global_step"
LONGEST_TAG = 64
"""Characters; W&B refuses longer tags."""
INIT_SECONDS = 30.0
FINISH_SECONDS = 120.0
"""How long a run waits at its end for W&B to take what is left; the rest stays in files that can be uploaded later."""
SYNCED, UPLOAD_INCOMPLETE = ".synced", ".cut-short"
"""Empty files beside a run's own: W&B's mark of a finished `wandb sync`, and ours that an upload was cut short."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a run is called in W&B, and under what it stands there.

    `run_id` is W&B's id: the same one again goes on with that run. `folder` is where its files go.
    """

    folder: Path
    run_id: str
    name: str
    job_type: str
    group: str | None = None
    tags: Sequence[str] = ()
    notes: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


class WandbRun:
    """A W&B run, opened when it is made.

    Offline, each opening makes another fragment of that id in `folder`/wandb, which `wandb sync` joins. Online without
    a server that answers, it is written offline.
    """

    def __init__(self, identity: Identity, settings: TrackingConfig, *, mode: Mode) -> None:
        self.identity, self.settings, self.mode = identity, settings, mode
        self._run: Any = None
        self._open()

    def _open(self) -> None:
        try:
            self._run = self._init()
            # W&B counts from 0 in every fragment; our own step is what all have in common.
            self._run.define_metric("*", step_metric=STEP_KEY)
        except Exception as error:  # noqa: BLE001 - whatever W&B dies of, the run goes on
            if self.mode == "online":
                self._warn(f"cannot be reached ({reason(error)}): written offline, to be uploaded later")
                self.mode = "offline"
                give_back()
                self._open()
            else:
                self._run = None
                self._warn(f"cannot be written in {self.identity.folder} ({reason(error)}): nothing follows this run")

    def _init(self) -> Any:
        import wandb

        return wandb.init(
            project=self.settings.project,
            entity=self.settings.entity,
            group=self.identity.group,
            job_type=self.identity.job_type,
            name=self.identity.name,
            id=self.identity.run_id,
            notes=self.identity.notes,
            tags=list(dict.fromkeys(tag[:LONGEST_TAG] for tag in self.identity.tags if tag)),
            resume="allow",
            mode=self.mode,
            dir=str(self.identity.folder),
            config=dict(self.identity.config),
            reinit="create_new",
            settings=wandb.Settings(
                x_disable_stats=True,
                console="off",
                silent=True,
                disable_git=True,
                x_disable_meta=True,
                save_code=False,
                init_timeout=INIT_SECONDS,
                finish_timeout=FINISH_SECONDS,
                finish_timeout_raises=True,
                # By default rows wait 15 s: a killed run would lose them all.
                x_transaction_log_flush_interval=1.0,
            ),
        )

    @property
    def is_open(self) -> bool:
        """Whether W&B takes what is told."""
        return self._run is not None

    def log(self, row: Mapping[str, Any], *, step: int) -> None:
        """Log a row under our own step."""
        if self._run is not None:
            try:
                self._run.log({**row, STEP_KEY: step})
            except Exception as error:  # noqa: BLE001 - as above
                self._warn(f"took no row of step {step} ({reason(error)}): nothing follows this run any more")
                self._run = None

    def show(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Log a table that W&B shows."""
        if self._run is not None:
            import wandb

            try:
                self._run.log({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})
            except Exception as error:  # noqa: BLE001 - as above
                self._warn(f"took no table ({reason(error)})")

    def attach(self, name: str, kind: str, files: Iterable[tuple[Path, str]]) -> None:
        """Add files, each under a name, as one artifact."""
        if self._run is not None:
            import wandb

            try:
                artifact = wandb.Artifact(name, type=kind)
                for path, inside in files:
                    artifact.add_file(str(path), name=inside)
                self._run.log_artifact(artifact)
            except Exception as error:  # noqa: BLE001 - as above
                self._warn(f"took no artifact {name} ({reason(error)})")

    def close(self, summary: Mapping[str, Any], *, good: bool, goes_on: bool = False) -> bool:
        """Write the summary and end; whether W&B, or its files, took everything.

        Waits for the upload, but not for ever. A run that goes on later is shown as preempted.
        """
        run, self._run = self._run, None
        if run is None:
            return False
        try:
            run.summary.update(dict(summary))
            if goes_on:
                run.mark_preempting()
            run.finish(exit_code=0 if good else 1)
        except Exception as error:  # noqa: BLE001 - as above
            self._warn(f"did not take everything ({reason(error)}): the rest is to be uploaded later")
            if self.mode == "online":
                with suppress(OSError):
                    Path(run.settings.sync_file + UPLOAD_INCOMPLETE).touch()
            return False
        return True

    def _warn(self, trouble: str) -> None:
        say(f"engram: warning: {self.identity.run_id}: W&B {trouble}")


def reason(error: Exception) -> str:
    """The first line of an error, or its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def give_back() -> None:
    """End W&B's service of this process, which holds the id of a run that could not be opened."""
    import wandb

    with suppress(Exception):
        wandb.teardown()
