"""Search loop: reads what runs have scored, judges trials, proposes new ones, and feeds their runs to the launcher.

What it knows is in two places, the storage of the trials and the records of the runs, and each of its steps follows
from them. So there is one way to start: load, and continue. After a kill, a stop or a lost database, trials that were
open keep their parameters, and what was computed meanwhile is read from its record.

With one job every decision and proposal follows from the scores alone, however often the search was killed. With
several jobs they also follow from the order in which runs end: which rivals a config met, and what a proposal knew.
Decisions that were made are kept in either case.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from core.errors import UserError
from core.progress import say
from core.records.record import SCORED
from studies.plan import PlannedRun
from studies.search.proposals import propose
from studies.search.racing import decide, incumbent
from studies.search.space import Point, SearchSpace
from studies.search.storage import StorageLost, TrialStore
from studies.search.trials import SearchRecord, SearchTrial
from sweeps.run_states import BAD, RUNNING, WAITING, RunState, RunStates

MAX_FAILURES = 5
"""So many failed trials one after another end a search: then it is no config that is wrong."""

PlanTrial = Callable[[int, Point], Mapping[int, PlannedRun]]
"""Trial number and point -> the run of every search seed."""


class SearchLoop:
    """Decides which run comes next, of up to `slots` at once; `header` is search.json without its trials."""

    def __init__(
        self,
        header: SearchRecord,
        space: SearchSpace,
        store: TrialStore,
        run_states: RunStates,
        *,
        slots: int,
        plan_trial: PlanTrial,
    ) -> None:
        self.search, self.space, self.store, self.run_states = header.search, space, store, run_states
        self._header, self._slots, self._plan_trial = header, slots, plan_trial
        self.on_trial: Callable[[SearchTrial], None] = lambda trial: None
        """Called with every trial that has started or was judged."""
        self.trials: list[SearchTrial] = []
        self._runs: dict[int, Mapping[int, PlannedRun]] = {}
        self._signatures: dict[str, str] = {}
        self._loaded = False
        self._tried_out = False
        self.lost: StorageLost | None = None
        """Why the storage does not answer, as long as it does not."""
        self.gave_up_because: str | None = None
        """Why the search ended early."""

    @property
    def best(self) -> SearchTrial | None:
        """The best trial so far."""
        return incumbent([trial for trial in self.trials if trial.state != "failed"])

    @property
    def is_ended(self) -> bool:
        """Whether nothing is left to try."""
        complete = len(self.trials) >= self.search.trials or self._tried_out or self.gave_up_because is not None
        return self._loaded and complete and not any(trial.is_open for trial in self.trials)

    @property
    def record(self) -> SearchRecord:
        """What search.json holds of the search as it is now."""
        best = self.best
        return msgspec.structs.replace(
            self._header, trials=list(self.trials), best=best.number if best else None, ended=self.is_ended
        )

    def feed(self) -> Iterator[PlannedRun]:
        """Judge what has ended, and give runs until every slot has one; each is added before the next is asked for."""
        try:
            if not self._loaded:
                self._load()
            self._judge_all()
            while len(self.run_states.with_status(WAITING, RUNNING)) < self._slots:
                run = self._next_run()
                if run is None:
                    break
                yield run
                self._judge_all()
        except StorageLost as error:
            # What is in memory may be ahead of the storage: both start again from what is stored.
            self._loaded = False
            if self.lost is None:
                say(f"{error}; running runs continue, and are entered when it answers")
            self.lost = error
        else:
            if self.lost is not None:
                say("the trials can be reached again")
            self.lost = None

    def _load(self) -> None:
        self.trials = self.store.load()
        for trial in self.trials:
            if trial.is_open:
                runs = self._plan_trial(trial.number, self.space.point_from_params(trial.params))
                now = runs[self.search.seeds[0]].signature
                if now != trial.signature:
                    raise UserError(
                        f"trial {trial.number} was started with signature {trial.signature} and has {now} now: "
                        "documents or code have changed since; keep the changed search apart (--name NAME)"
                    )
                self._runs[trial.number] = runs
        self._loaded = True

    def _judge_all(self) -> None:
        """Judge every open trial whose runs have all ended."""
        for trial in self.trials:
            if not trial.is_open:
                continue
            states = [self.run_states.by_id[run] for run in trial.runs.values() if run in self.run_states.by_id]
            bad = next((state for state in states if state.status in BAD), None)
            if bad is not None:
                self._fail(trial, f"seed {bad.run.seed} {bad.status}: {bad.last_error or 'no error message'}")
            elif len(states) == len(trial.runs) and all(state.status in SCORED for state in states):
                self._judge(trial, states)
        last_ended = [trial for trial in self.trials if not trial.is_open][-MAX_FAILURES:]
        if len(last_ended) == MAX_FAILURES and all(trial.state == "failed" for trial in last_ended):
            self.gave_up_because = (
                f"the last {MAX_FAILURES} trials all failed ({last_ended[-1].why}): remove the cause, then search "
                "under a new --name"
            )

    def _judge(self, trial: SearchTrial, states: Sequence[RunState]) -> None:
        metric = self.run_states.study.metric
        scores: dict[int, float] = {}
        for state in states:
            # The one number that a search reads of a run; scores of test must not choose.
            score = state.summary.f1(metric, splits=["validation"])
            if score is None:
                self._fail(trial, f"seed {state.run.seed}: its record has no validation score of {metric}")
                return
            scores[state.run.seed] = score
        trial = trial.with_scores(scores)
        others = [other for other in self.trials if other.state != "failed" and other.number != trial.number]
        decision = decide(trial, others, self.search)
        if decision.continues:
            rung = min(rung for rung in self.search.rungs if rung > trial.n)
            runs = {seed: self._runs[trial.number][seed].run_id for seed in self.search.seeds[:rung]}
            trial = msgspec.structs.replace(trial, rung=rung, runs=runs, why=decision.why)
        else:
            finished = trial.n == self.search.rungs[-1]
            trial = msgspec.structs.replace(trial, state="finished" if finished else "stopped", why=decision.why)
        self._update(trial)

    def _next_run(self) -> PlannedRun | None:
        """The next run: of the first open trial that lacks one, else of a new trial; None where there is none."""
        for trial in self.trials:
            missing = [seed for seed, run_id in trial.runs.items() if run_id not in self.run_states.by_id]
            if trial.is_open and missing:
                return self._runs[trial.number][missing[0]]
        if self.gave_up_because is not None or len(self.trials) >= self.search.trials:
            return None
        return self._start_trial()

    def _start_trial(self) -> PlannedRun | None:
        """Propose and store the next trial; its first run, None where no config is left to try."""
        number, first_seed = len(self.trials), self.search.seeds[0]

        def find_signature(point: Point) -> str:
            key = repr(point.params)
            if key not in self._signatures:
                self._signatures[key] = self._plan_trial(number, point)[first_seed].signature
            return self._signatures[key]

        point = propose(self.space, self.trials, self.search, find_signature)
        if point is None:
            self._tried_out = True
            return None
        runs, rung = self._plan_trial(number, point), self.search.rungs[0]
        run_ids = {seed: runs[seed].run_id for seed in self.search.seeds[:rung]}
        trial = SearchTrial(number, point.params, runs[first_seed].signature, run_ids, rung)
        self.store.add(trial)
        self.trials.append(trial)
        self._runs[number] = runs
        self.on_trial(trial)
        return runs[first_seed]

    def _fail(self, trial: SearchTrial, why: str) -> None:
        self._update(msgspec.structs.replace(trial, state="failed", why=why))

    def _update(self, trial: SearchTrial) -> None:
        self.store.update(trial)
        self.trials[trial.number] = trial
        self.on_trial(trial)
