"""The driver of a search: takes in what runs have scored, judges, proposes, and hands the launch runs to compute.

What it knows is in two places, the storage of the trials and the records of the runs, and each of its steps follows
from them. So there is one way to begin: load, and go on. After a kill, a stop or a database that was away, trials that
were open go on with the parameters that they had, and what was computed meanwhile is read from its record.

With one job every decision and proposal follows from the scores alone, however often the search was cut off. With
several jobs they also follow from the order in which runs end: which rivals a config met, and what a proposal knew.
Decisions that were made are kept in either case.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from core.errors import UserError
from core.records.record import SCORED
from studies.plan import PlannedRun
from studies.search.proposals import propose
from studies.search.racing import Tried, decide, incumbent
from studies.search.space import Point, SearchSpace
from studies.search.spec import Search
from studies.search.trials import SearchTrial, StorageLost, TrialStore
from studies.search.trials import State as TrialState
from sweeps.run_states import BAD, RUNNING, WAITING, RunState, RunStates

FAILURES = 5
"""So many failed trials one after another end a search: then it is no config that is wrong."""

Runs = Callable[[int, Point], Mapping[int, PlannedRun]]
"""Trial number and point -> the run of every search seed."""
Add = Callable[[PlannedRun], RunState]
Hear = Callable[[SearchTrial], None]
Reached = Callable[[StorageLost | None], None]


class SearchLoop:
    """Decides which run comes next, of up to `slots` at once; `runs` are those of a point."""

    def __init__(
        self,
        search: Search,
        space: SearchSpace,
        store: TrialStore,
        run_states: RunStates,
        *,
        slots: int,
        runs: Runs,
    ) -> None:
        self.search, self.space, self.store, self.run_states = search, space, store, run_states
        self._slots, self._runs_of = slots, runs
        self.wire(add=run_states.add)
        self.trials: list[SearchTrial] = []
        self._runs: dict[int, Mapping[int, PlannedRun]] = {}
        self._cells: dict[str, str] = {}
        self._loaded = False
        self._tried_out = False
        self.lost: StorageLost | None = None
        """Why the storage does not answer, as long as it does not."""
        self.gave_up_because: str | None = None
        """Why the search ended early."""

    def wire(self, *, add: Add, hear: Hear = lambda trial: None, reached: Reached = lambda lost: None) -> None:
        """Whom it works with.

        `add` puts a run on the board and says where it stands; `hear` is told of every trial that has changed,
        `reached` when the storage does not answer, and by None that it does again.
        """
        self._add, self._hear, self._reached = add, hear, reached

    @property
    def best(self) -> SearchTrial | None:
        """The best trial so far."""
        found = incumbent(self._tried())
        return self.trials[found.number] if found is not None else None

    @property
    def is_ended(self) -> bool:
        """Whether nothing is left to try."""
        complete = len(self.trials) >= self.search.trials or self._tried_out or self.gave_up_because is not None
        return self._loaded and complete and not any(trial.is_open for trial in self.trials)

    def feed(self) -> bool:
        """Take in what has ended and add runs until every slot has one; whether any was added."""
        added = False
        try:
            if not self._loaded:
                self._load()
            self._settle()
            while len(self.run_states.with_status(WAITING, RUNNING)) < self._slots and self._add_next():
                added = True
                self._settle()
        except StorageLost as error:
            # What is in memory may be ahead of the storage: both begin again from what is kept.
            self._loaded = False
            self._tell(error)
        else:
            self._tell(None)
        return added

    def _tell(self, lost: StorageLost | None) -> None:
        before, self.lost = self.lost, lost
        if (before is None) != (lost is None):
            self._reached(lost)

    def _load(self) -> None:
        self.trials = self.store.load()
        for trial in self.trials:
            if trial.is_open:
                self._runs[trial.number] = self._checked(trial)
        self._loaded = True

    def _checked(self, trial: SearchTrial) -> Mapping[int, PlannedRun]:
        runs = self._runs_of(trial.number, self.space.point_from_params(trial.params))
        if _cell(runs) != trial.signature:
            raise UserError(
                f"trial {trial.number} was begun as cell {trial.signature} and is {_cell(runs)} now: documents or code "
                "have changed since; keep the changed search apart (--name NAME)"
            )
        return runs

    def _settle(self) -> None:
        """Judge every open trial whose runs have all ended."""
        for trial in self.trials:
            if not trial.is_open:
                continue
            states = [self.run_states.by_id.get(run_id) for run_id in trial.runs.values()]
            bad = next((state for state in states if state is not None and state.status in BAD), None)
            if bad is not None:
                last = (bad.error or "no reason told").strip().splitlines()[-1]
                why = f"seed {bad.run.seed} {bad.status}: {last}"
                self._keep(msgspec.structs.replace(trial, state="failed", why=why))
            elif all(state is not None and state.status in SCORED for state in states):
                self._judge(trial, [state for state in states if state is not None])
        self._give_up_where_all_fails()

    def _judge(self, trial: SearchTrial, states: Sequence[RunState]) -> None:
        scores: dict[int, float] = {}
        for state in states:
            # The one number that a search reads of a run; scores of test must not choose.
            score = state.summary.f1(self.run_states.study.metric, splits=["validation"])
            if score is None:
                why = f"seed {state.run.seed}: its record has no validation score of {self.run_states.study.metric}"
                self._keep(msgspec.structs.replace(trial, state="failed", why=why))
                return
            scores[state.run.seed] = score
        scored = trial.scored(scores)
        decision = decide(scored.tried(), self._tried(but=trial.number), self.search)
        if decision.goes_on:
            rung = min(rung for rung in self.search.rungs if rung > len(scores))
            runs = {seed: self._runs[trial.number][seed].run_id for seed in self.search.seeds[:rung]}
            self._keep(msgspec.structs.replace(scored, rung=rung, runs=runs, why=decision.why))
        else:
            ended: TrialState = "finished" if len(scores) == self.search.rungs[-1] else "stopped"
            self._keep(msgspec.structs.replace(scored, state=ended, why=decision.why))

    def _tried(self, *, but: int | None = None) -> list[Tried]:
        """The scores of every trial that has not failed."""
        return [one.tried() for one in self.trials if one.state != "failed" and one.number != but]

    def _add_next(self) -> bool:
        """Add the next run: of the first open trial that lacks one, else of a new trial; whether there was any."""
        for trial in self.trials:
            missing = [seed for seed, run_id in trial.runs.items() if run_id not in self.run_states.by_id]
            if trial.is_open and missing:
                self._add(self._runs[trial.number][missing[0]])
                return True
        if self.gave_up_because is not None or len(self.trials) >= self.search.trials:
            return False
        return self._begin()

    def _begin(self) -> bool:
        number = len(self.trials)

        def signature_of(point: Point) -> str:
            told = repr(point.params)
            if told not in self._cells:
                self._cells[told] = _cell(self._runs_of(number, point))
            return self._cells[told]

        point = propose(self.space, self.trials, self.search, signature_of)
        if point is None:
            self._tried_out = True
            return False
        runs = self._runs_of(number, point)
        rung = self.search.rungs[0]
        trial = SearchTrial(
            number=number,
            params=point.params,
            signature=_cell(runs),
            runs={seed: runs[seed].run_id for seed in self.search.seeds[:rung]},
            rung=rung,
        )
        self.store.add(trial)
        self.trials.append(trial)
        self._runs[number] = runs
        self._hear(trial)
        return True

    def _keep(self, trial: SearchTrial) -> None:
        self.store.keep(trial)
        self.trials[trial.number] = trial
        self._hear(trial)

    def _give_up_where_all_fails(self) -> None:
        closed = [trial for trial in self.trials if not trial.is_open]
        last = closed[-FAILURES:]
        if len(last) == FAILURES and all(trial.state == "failed" for trial in last):
            self.gave_up_because = (
                f"the last {FAILURES} trials all failed ({last[-1].why}): mend the cause, then give it a new --name"
            )


def _cell(runs: Mapping[int, PlannedRun]) -> str:
    return next(iter(runs.values())).run_id.rpartition("-")[0]
