"""W&B runs: one run, online or in offline files, that never stops what it follows. Trouble with W&B is a warning."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from core.config.schema import TrackingConfig
from core.errors import UserError, first_line
from core.progress import say

Mode = Literal["online", "offline", "disabled"]
STEP_KEY, TABLE = "global_step", "_table"
"""The key of our own step, and the end of a table's key."""
LONGEST_TAG = 64
"""Characters; W&B refuses longer tags."""
INIT_SECONDS = 30.0
FINISH_SECONDS = 120.0
"""How long a run waits at its end for W&B to take what is left; the rest stays in files that can be uploaded later."""
FILES = "wandb"
"""The folder in which W&B leaves its files, in the folder of a run or a study."""
SYNCED, UPLOAD_INCOMPLETE = ".synced", ".cut-short"
"""Ends of the names of empty files next to a run's own: W&B's mark of a finished `wandb sync`, and our mark of an
upload that is not complete."""
PROJECT = "engram"
LOGIN_VARIABLES = ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE", "HOME", "NETRC")
_read_under: list[str | None] = []
"""The working folder and login variables under which W&B's client last read its settings."""


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

    @property
    def url(self) -> str | None:
        """Where W&B shows the run; None offline."""
        return self._run.url if self._run is not None and self.mode == "online" else None

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

        tags = (*self.identity.tags, *(client_settings().run_tags or ()))
        return wandb.init(
            project=project_name(self.settings),
            entity=self.settings.entity,
            group=self.identity.group,
            job_type=self.identity.job_type,
            name=self.identity.name,
            id=self.identity.run_id,
            notes=self.identity.notes,
            tags=list(dict.fromkeys(tag[:LONGEST_TAG] for tag in tags if tag)),
            resume="allow",
            mode=self.mode,
            dir=str(self.identity.folder),
            config=dict(self.identity.config),
            reinit="create_new",
            settings=wandb.Settings(
                sweep_id=self.identity.sweep_id,
                x_disable_stats=not self.settings.system_metrics,
                console="wrap" if self.settings.console else "off",
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

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, bars: str = "") -> None:
        """Add a table to the summary, `bars` a column that a bar chart `name` shows by the first column.

        Its key is `<name>_table`, which is where W&B's charts look for their table.
        """

        def log(run: Any) -> None:
            import wandb

            table = wandb.Table(columns=list(columns), data=[list(row) for row in rows], allow_mixed_types=True)
            if bars:
                chart = wandb.plot.bar(table, columns[0], bars, title=name)
                chart.set_key(name)
                # `run.log` does the same, and adds a row without a step to the history.
                run._config_callback(key=chart.spec.config_key, val=chart.spec.config_value)
            # Its copies of tables lie in the run's folder, not in the user's home.
            staging = os.environ.get("WANDB_DATA_DIR") or str(self.identity.folder.resolve() / FILES)
            with environment_variable("WANDB_DATA_DIR", staging):
                run.summary.update({f"{name}{TABLE}": table})

        self._attempt(f"W&B took no table {name}", log)

    def log_artifact(self, name: str, kind: str, files: Mapping[str, Path], *, aliases: Iterable[str] = ()) -> None:
        """Add files by their names in it as one artifact; they are not copied and must stay until they are uploaded."""

        def log(run: Any) -> None:
            import wandb

            artifact = wandb.Artifact(name, type=kind)
            for entry, path in files.items():
                artifact.add_file(str(path.resolve()), name=entry, policy="immutable", skip_cache=True)
            run.log_artifact(artifact, aliases=["latest", *aliases])

        self._attempt(f"W&B took no artifact {name}", log)

    def alert(self, title: str, text: str) -> None:
        """Send an alert, which W&B forwards as the user has set it up; offline it is sent with the upload."""
        self._attempt("W&B took no alert", lambda run: run.alert(title=title, text=text, level="ERROR"))

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


@contextmanager
def environment_variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable while this lasts."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def project_name(settings: TrackingConfig) -> str:
    """The W&B project: that of the settings, else WANDB_PROJECT or the one of `wandb init`, else engram."""
    return settings.project or client_settings().project or PROJECT


def entity_name(settings: TrackingConfig) -> str | None:
    """The user or team that runs belong to: that of the settings, else WANDB_ENTITY or the one of `wandb init`.

    None: the default of whoever is logged in.
    """
    return settings.entity or client_settings().entity


def is_disabled(settings: TrackingConfig) -> bool:
    """Whether nothing is to be written for W&B, as our settings or W&B's own say."""
    return settings.wandb == "disabled" or client_settings().mode == "disabled"


def wandb_mode(settings: TrackingConfig) -> Mode:
    """online, offline or disabled, as settings, login and W&B's own settings say.

    Raises a UserError where online is asked for and nobody is logged in, or W&B is switched off.
    """
    if is_disabled(settings) and settings.wandb != "online":
        return "disabled"
    if settings.wandb == "offline":
        return "offline"
    if logged_in():
        return "online"
    if settings.wandb == "auto":
        return "offline"
    raise UserError(f"tracking.wandb is online, but {why_offline()}, or use --tracking.wandb offline")


def why_offline() -> str:
    """Why nothing can be uploaded, and the way out."""
    mode = client_settings().mode
    if mode in ("offline", "dryrun", "disabled"):
        return f"W&B is set to {mode} here: unset WANDB_MODE, or run `wandb online`"
    return "there is no W&B key: run `wandb login`, or set WANDB_API_KEY"


def logged_in() -> bool:
    """Whether W&B would upload: there is a key, in the environment or a file of W&B, and its mode is online."""
    client_settings()
    import wandb

    return bool(wandb.login(prompt=False, verify=False))


def address() -> str:
    """Where W&B's server is."""
    return str(client_settings().base_url)


def client_settings() -> Any:
    """W&B's own settings, from its environment variables and files."""
    import wandb

    now = [os.getcwd(), *map(os.environ.get, LOGIN_VARIABLES)]
    if _read_under and _read_under != now:
        wandb.teardown()  # it reads them once, and would keep another login
    _read_under[:] = now
    # A client that is not silent prints who is logged in, and asks the server for it.
    with environment_variable("WANDB_SILENT", "true"):
        return wandb.setup().settings
