"""W&B runs: one run, online or in offline files, that never stops what it follows. Trouble with W&B is a warning."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any, Literal

from core.config.schema import TrackingConfig
from core.errors import UserError, first_line
from core.progress import say

Mode = Literal["online", "offline"]
STEP_KEY = "global_step"
LONGEST_TAG = 64
"""Characters; W&B refuses longer tags."""
INIT_SECONDS = 30.0
FINISH_SECONDS = 120.0
"""How long a run waits at its end for W&B to take what is left; the rest stays in files that can be uploaded later."""
SYNCED, UPLOAD_INCOMPLETE = ".synced", ".cut-short"
"""Ends of the names of empty files next to a run's own: W&B's mark of a finished `wandb sync`, and our mark of an
upload that is not complete."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a run is called in W&B; `run_id` is W&B's id, `folder` is where its files go."""

    folder: Path
    run_id: str
    name: str
    job_type: str
    group: str | None = None
    tags: Sequence[str] = ()
    notes: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    sweep_id: str | None = None
    """The W&B sweep that it is a trial of."""


class WandbRun:
    """A W&B run, opened when it is made; the same id again resumes that run.

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
            self._run = None
            if self.mode == "online":
                self._warn("W&B cannot be reached, so the run is written offline, to be uploaded later", error)
                self.mode = "offline"
                with suppress(Exception):
                    import wandb

                    wandb.teardown()  # its service keeps the id of a run that could not be opened
                self._open()
            else:
                self._warn(f"W&B cannot write in {self.identity.folder}, so this run is not tracked", error)

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
                sweep_id=self.identity.sweep_id,
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

    def log(self, row: Mapping[str, Any], *, step: int) -> None:
        """Log a row under our own step."""
        trouble = f"W&B took no row of step {step}, so this run is not tracked any more"
        if not self._attempt(trouble, lambda run: run.log({**row, STEP_KEY: step})):
            self._run = None

    def log_artifact(self, name: str, kind: str, files: Iterable[Path]) -> None:
        """Add files, each under its own name, as one artifact."""

        def log(run: Any) -> None:
            import wandb

            artifact = wandb.Artifact(name, type=kind)
            for path in files:
                artifact.add_file(str(path), name=path.name)
            run.log_artifact(artifact)

        self._attempt(f"W&B took no artifact {name}", log)

    def close(self, summary: Mapping[str, Any], *, good: bool, resumable: bool = False) -> bool:
        """Write the summary and end; whether W&B, or its files, took everything.

        Waits for the upload, but not for ever. A run that can be resumed is shown as preempted.
        """

        def close(run: Any) -> None:
            run.summary.update(dict(summary))
            # In a sweep that would ask its controller to start the run once more.
            if resumable and not run.sweep_id:
                run.mark_preempting()
            run.finish(exit_code=0 if good else 1)

        complete = self._attempt("W&B did not take everything, the rest is to be uploaded later", close)
        if self._run is not None and not complete and self.mode == "online":
            with suppress(OSError):
                Path(self._run.settings.sync_file + UPLOAD_INCOMPLETE).touch()
        self._run = None
        return complete

    def _attempt(self, trouble: str, action: Callable[[Any], None]) -> bool:
        """Do something with the W&B run, if there is one; whether it was done."""
        if self._run is None:
            return False
        try:
            action(self._run)
        except Exception as error:  # noqa: BLE001 - as above
            self._warn(trouble, error)
            return False
        return True

    def _warn(self, trouble: str, error: Exception) -> None:
        say(f"engram: warning: {self.identity.run_id}: {trouble} ({first_line(error)})")


def wandb_mode(settings: TrackingConfig) -> Mode:
    """online or offline, as settings and login say; a UserError where online is asked for without a key."""
    if settings.wandb == "offline" or (settings.wandb == "auto" and not logged_in()):
        return "offline"
    if not logged_in():
        raise UserError(
            "tracking.wandb is online, but there is no W&B key: run `wandb login`, set WANDB_API_KEY, or use "
            "--tracking.wandb offline"
        )
    return "online"


def logged_in() -> bool:
    """Whether there is a W&B key, in the environment or the user's netrc; WANDB_MODE=offline says no."""
    if os.environ.get("WANDB_MODE", "online") != "online":
        return False
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = address().split("//")[-1].split("/")[0].split(":")[0]
    try:
        return netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, NetrcParseError):
        return False


def address() -> str:
    """Where W&B's server is."""
    return os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
