"""What the runs of a plan take, by records that a test writes; whether memory and disk hold them."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.config.model_source import estimate_parameter_count
from core.errors import UserError
from core.files import content_hash
from core.records.record import RunRecord, write_record
from core.records.summary import read_summary
from core.records.timings import StepCosts
from studies.cost_calibration import (
    FILE,
    Calibration,
    calibrate,
    cost_order,
    find_setup,
    find_system,
    read_calibrations,
    save_calibrations,
)
from studies.estimate import (
    BYTES_BESIDES_WEIGHTS,
    Estimate,
    default_jobs,
    describe_estimate,
    estimate_plan,
    format_duration,
    memory_warnings,
    refuse_full_disk,
)
from studies.plan import Plan, PlannedRun, plan
from studies.study import find_study
from tests.studies.planning import CLEAN

GIB = 2**30


def planned(tmp_path: Path, settings: Mapping[str, Any], name: str = "paper", *, seeds: int = 2) -> Plan:
    study = find_study(name)
    rows = {row: known for row, known in study.rows.items() if not row.startswith("residual")}
    study = msgspec.structs.replace(study, rows=rows)
    return plan(study, profile="quick", runs=tmp_path / "runs", seeds=range(seeds), settings=settings)


def finish(run: PlannedRun, *, host: str = platform.node(), seconds: float = 60.0, **changes: Any) -> None:
    """Write the record that a run would have left."""
    train = run.config.data.train
    assert train is not None
    record = RunRecord(
        run_id=run.run_id,
        status="finished",
        config=run.config.model_dump(mode="json"),
        provenance=msgspec.structs.replace(
            CLEAN, machine=f"{host} Linux x86_64", data={train: content_hash(Path(train))}
        ),
        seconds=seconds,
        peak_memory_mib=512.0,
        parameters=1_000_000,
    )
    run.folder.mkdir(parents=True)
    write_record(run.folder, msgspec.structs.replace(record, **changes))


def estimated(found: Plan, tmp_path: Path, *, jobs: int = 1) -> Estimate:
    summaries = {run.run_id: read_summary(run.folder) for run in found.runs}
    return estimate_plan(found, summaries, tmp_path / "runs", jobs=jobs)


def seconds_of(estimate: Estimate) -> dict[str, float | None]:
    pairs = zip(estimate.runs, estimate.costs, strict=True)
    return {run.run_id: None if cost is None else cost.seconds for run, cost in pairs}


def row_of(found: Plan, row: str, seed: int = 0) -> PlannedRun:
    return next(run for run in found.runs if run.row == row and run.seed == seed)


def test_the_nearest_that_is_known_speaks_for_a_run(tmp_path: Path, documents: dict) -> None:
    found = planned(tmp_path, documents)
    assert not estimated(found, tmp_path).known
    finish(row_of(found, "jerex-mrc"), seconds=100.0)
    # Nothing else is known: any run of the profile on these documents is better than no word.
    assert set(seconds_of(estimated(found, tmp_path)).values()) == {100.0}
    finish(row_of(found, "memory-grc"), seconds=40.0)
    estimate = estimated(found, tmp_path)
    assert seconds_of(estimate)[row_of(found, "memory-grc", 1).run_id] == 40.0
    assert seconds_of(estimate)[row_of(found, "jerex-mrc", 1).run_id] == 100.0
    assert seconds_of(estimate)[row_of(found, "jerex-grc", 1).run_id] == 70.0
    assert len(estimate.runs) == 6
    # Rows of another study: those with a memory and the same relation head cost what that one did.
    other = planned(tmp_path, documents, "pooling", seeds=1)
    assert set(seconds_of(estimated(other, tmp_path)).values()) == {40.0}


def test_a_run_that_shared_its_machine_does_not_stretch_the_others(tmp_path: Path, documents: dict) -> None:
    found = planned(tmp_path, documents, seeds=4)
    for seed, seconds in enumerate((100.0, 110.0, 440.0)):
        finish(row_of(found, "jerex-grc", seed), seconds=seconds)
    assert seconds_of(estimated(found, tmp_path))[row_of(found, "jerex-grc", 3).run_id] == 110.0


def test_seconds_grow_with_epochs(tmp_path: Path, documents: dict) -> None:
    finish(row_of(planned(tmp_path, documents), "jerex-grc"), seconds=40.0)
    longer = planned(tmp_path, documents | {"training": {"epochs": 12}})
    assert set(seconds_of(estimated(longer, tmp_path)).values()) == {120.0}


@pytest.mark.parametrize("change", ["documents", "encoder", "profile", "unfinished"])
def test_runs_of_another_ground_do_not_count(tmp_path: Path, documents: dict, change: str) -> None:
    settings = dict(documents)
    if change == "documents":
        settings = {"data": documents["data"] | {"train": documents["data"]["test"]}}
    if change == "encoder":
        settings |= {"encoder": {"scratch": {"layers": 3}}}
    run = row_of(planned(tmp_path, settings), "jerex-grc")
    config = run.config.model_copy(update={"profile": "minilm"} if change == "profile" else {})
    changes = {"status": "failed"} if change == "unfinished" else {"config": config.model_dump(mode="json")}
    finish(run, **changes)
    assert not estimated(planned(tmp_path, documents), tmp_path).known


def test_other_machines_count_where_this_one_has_computed_nothing(tmp_path: Path, documents: dict) -> None:
    found = planned(tmp_path, documents)
    finish(row_of(found, "jerex-grc"), seconds=5.0, host="elsewhere")
    estimate = estimated(found, tmp_path)
    assert estimate.known[0].seconds == 5.0
    assert "on other machines" in describe_estimate(estimate, "quick", tmp_path)[0]
    finish(row_of(found, "jerex-mrc"), seconds=50.0)
    assert {cost.seconds for cost in estimated(found, tmp_path).known} == {50.0}


COSTS = StepCosts(
    steps=8,
    step_seconds=0.5,
    document_seconds=0.1,
    start_seconds=3.0,
    documents={"train": 41, "validation": 10, "test": 20},
    peak_memory_mib=700.0,
    parameters=2_000_000,
)


def calibration(run: PlannedRun, costs: StepCosts = COSTS, host: str = platform.node()) -> Calibration:
    return Calibration(find_setup(run.config), find_system(run.config), run.row, host, costs)


def test_a_calibration_foretells_a_run_from_its_parts(tmp_path: Path, documents: dict) -> None:
    found = planned(tmp_path, documents | {"training": {"epochs": 3, "batch_size": 4}}, seeds=1)
    run = row_of(found, "memory-mrc")
    assert COSTS.total_steps(run.config) == 30
    # 30 steps, 3 x 10 documents validated twice over, and 2 decodings of 30 documents at the end, at 1.5 forwards each.
    assert COSTS.seconds(run.config) == pytest.approx(3.0 + 15.0 + 0.1 * (30 + 1.5 * (30 + 60)))
    save_calibrations([calibration(run)], tmp_path / "runs")
    estimate = estimated(found, tmp_path)
    assert [cost.seconds for cost in estimate.known] == pytest.approx([34.5] * 4)
    [time, memory, _] = describe_estimate(estimate, "quick", tmp_path)
    assert "measured on 8 steps of row memory-mrc" in time
    assert "up to 700.0 MiB a run" in memory
    # A run that was really computed knows better; of what it knows nothing, the calibration still speaks.
    finish(row_of(found, "jerex-grc"), seconds=20.0)
    assert [cost.seconds for cost in estimated(found, tmp_path).known] == pytest.approx([34.5] * 3)


def test_calibrations_are_kept_by_kind_and_of_this_machine_alone(tmp_path: Path, documents: dict) -> None:
    found, runs = planned(tmp_path, documents, seeds=1), tmp_path / "runs"
    fast = msgspec.structs.replace(COSTS, step_seconds=0.1)
    save_calibrations([calibration(row_of(found, "memory-mrc")), calibration(row_of(found, "memory-grc"), fast)], runs)
    save_calibrations([calibration(row_of(found, "jerex-grc"), fast, host="elsewhere")], runs)
    assert len(read_calibrations(runs)) == 3
    slower, faster = COSTS.seconds(found.runs[0].config), fast.seconds(found.runs[0].config)
    assert list(seconds_of(estimated(found, tmp_path)).values()) == pytest.approx([slower, faster, slower, slower])
    save_calibrations([calibration(row_of(found, "memory-mrc"), fast)], runs)
    assert len(read_calibrations(runs)) == 3
    assert list(seconds_of(estimated(found, tmp_path)).values()) == pytest.approx([faster] * 4)
    (runs / "studies" / FILE).write_text("[{")
    assert read_calibrations(runs) == []


def test_the_slowest_row_is_measured_and_leaves_no_run(
    tmp_path: Path, documents: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("studies.cost_calibration.measure_steps", lambda config: asked.append(config) or COSTS)
    found = planned(tmp_path, documents)
    calibrate(found, tmp_path / "runs")
    [made] = read_calibrations(tmp_path / "runs")
    assert made.row == "memory-mrc"
    assert asked == [found.configs["memory-mrc"]]
    assert [path.name for path in (tmp_path / "runs").rglob("*") if path.is_file()] == [FILE]
    order = sorted(found.configs, key=lambda row: cost_order(found.configs[row]))
    assert order == ["jerex-grc", "memory-grc", "jerex-mrc", "memory-mrc"]
    wide = planned(tmp_path, documents, "memory-size").configs
    assert max(wide, key=lambda row: cost_order(wide[row])) == "slot-width=1536"


def test_time_is_shared_out_but_never_less_than_the_longest_run(tmp_path: Path, documents: dict) -> None:
    found = planned(tmp_path, documents)
    for seconds, row in enumerate(("jerex-grc", "memory-grc", "jerex-mrc", "memory-mrc"), 1):
        finish(row_of(found, row), seconds=60.0 * seconds)
    estimate = estimated(found, tmp_path, jobs=2)
    assert (estimate.seconds(1), estimate.seconds(2), estimate.seconds(100)) == (600.0, 300.0, 240.0)
    time, memory, _ = describe_estimate(estimate, "quick", tmp_path)
    assert time.startswith(
        "time: about 10 min one after another, 5 min with 2 at once (60 s to 4 min a run; measured on"
    )
    assert memory.startswith("memory: up to 512.0 MiB a run, 1.0 GiB with 2 at once;")


def test_more_runs_at_once_than_memory_holds_are_warned_of(
    tmp_path: Path, documents: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = planned(tmp_path, documents)
    finish(row_of(found, "jerex-grc"))
    monkeypatch.setattr("studies.estimate.machine_memory", lambda: 16 * GIB // 10)
    assert not list(memory_warnings(estimated(found, tmp_path, jobs=3)))
    [line] = memory_warnings(estimated(found, tmp_path, jobs=6))
    assert line.startswith("6 runs at once hold up to 3.0 GiB of memory, this machine has 1.6 GiB: give --jobs 3, or a")
    monkeypatch.setattr("studies.estimate.machine_memory", lambda: 4 * GIB // 10)
    [line] = memory_warnings(estimated(found, tmp_path))
    assert line.endswith("give --jobs 1, or a smaller training.batch_size")


def test_a_disk_that_cannot_hold_what_is_left_is_refused_with_numbers_and_ways_out(
    tmp_path: Path, documents: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = planned(tmp_path, documents)
    finish(row_of(found, "jerex-grc"), parameters=100 * 2**20)
    estimate = estimated(found, tmp_path, jobs=2)
    weights, beside = 400 * 2**20, BYTES_BESIDES_WEIGHTS
    # Seven runs keep their weights, and two at once hold eight times theirs while they train.
    assert estimate.disk_bytes == 7 * (weights + beside) + 16 * weights
    free = {"bytes": 10 * GIB}
    monkeypatch.setattr("studies.estimate.free_bytes", lambda runs: free["bytes"])
    refuse_full_disk(estimate, tmp_path)
    free["bytes"] = 7 * GIB
    with pytest.raises(UserError) as refused:
        refuse_full_disk(estimate, tmp_path)
    message = str(refused.value)
    assert message.startswith("the 7 runs left need about 9.0 GiB on the disk, 7.0 GiB are free in ")
    assert "--training.keep none keeps no weights" in message
    assert "--runs DIR" in message
    assert "engram runs gc" in message
    bare = estimated(planned(tmp_path, documents | {"training": {"keep": "none"}}), tmp_path, jobs=2)
    assert bare.disk_bytes == 7 * beside + 16 * weights
    refuse_full_disk(bare, tmp_path)


def test_without_records_the_encoder_says_how_large_weights_are(tmp_path: Path, documents: dict) -> None:
    found = planned(tmp_path, documents)
    each = estimate_parameter_count(found.runs[0].config)
    assert each is not None
    assert estimated(found, tmp_path).disk_bytes > 4 * each * (len(found.runs) + 8)
    # Where only the hub would know, nothing is claimed.
    hub = planned(tmp_path, documents | {"encoder": {"source": "some/model-of-no-cache"}})
    estimate = estimated(hub, tmp_path)
    assert estimate.disk_bytes == len(hub.runs) * BYTES_BESIDES_WEIGHTS
    assert "without the weights, whose size is not known here" in describe_estimate(estimate, "quick", tmp_path)[-1]


def test_the_number_of_parameters_is_about_right() -> None:
    # Counted by torch: BERT-base with the heads of JEREX has 112 million, the systems of quick 0.22 to 0.29 million.
    from core.config.presets import build

    quick = estimate_parameter_count(build("jerex-grc", profile="quick"))
    assert quick is not None
    assert 0.2e6 < quick < 0.6e6
    base = {"source": "scratch", "positions": 512, "scratch": {"width": 768, "layers": 12, "intermediate": 3072}}
    large = estimate_parameter_count(
        build("jerex-grc", row={"encoder": base | {"scratch": base["scratch"] | {"heads": 12, "vocabulary": 28_996}}})
    )
    assert large is not None
    assert 105e6 < large < 125e6


def test_as_many_at_once_as_processors_and_devices_allow(
    tmp_path: Path, documents: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert default_jobs(planned(tmp_path, documents)) == 8
    assert default_jobs(planned(tmp_path, documents | {"runtime": {"threads": 3}})) == 2
    assert default_jobs(planned(tmp_path, documents | {"runtime": {"threads": None}})) == 1
    assert default_jobs(planned(tmp_path, documents), ("cuda:0", "cuda:1")) == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "under 1 s"), (89, "89 s"), (120, "2 min"), (5_399, "90 min"), (7_200, "2.0 h"), (172_800, "2.0 days")],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_runs_on_fewer_documents_say_nothing_of_runs_on_all(tmp_path: Path, documents: dict) -> None:
    everything = planned(tmp_path, documents, seeds=1)
    few = planned(tmp_path, {**documents, "data": {**documents["data"], "limit": 20}}, seeds=2)
    finish(few.runs[0], seconds=5.0)
    assert estimated(everything, tmp_path).known == []
    assert [cost.seconds for cost in estimated(few, tmp_path).known] == pytest.approx([5.0] * 7)
