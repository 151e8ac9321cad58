"""A study of a user's own with a mistake in it: one line that names the file, the part, the value and the way out."""

from pathlib import Path

import pytest

from core.errors import UserError
from studies.plan import plan
from studies.study import find_study, read_study

ROW = "rows: {a: {preset: jerex-grc}}"
AXIS = "base: {preset: memory-grc}, baseline: warmup=0"


def test_an_unknown_study_names_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"unknown study 'papr'.*paper.*Did you mean paper"):
        find_study("papr")
    with pytest.raises(UserError, match=r"nowhere\.yaml: .*o such file"):
        find_study("nowhere.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "is not readable YAML: line 1: expected"),
        ("rows: {a: {preset: jerex-grc}, a: {preset: jerex-mrc}}", "line 1: 'a' is given twice"),
        ("", "it holds nothing, not a study: a study has a question, a baseline and rows"),
        ("[1]", "it holds list, not a study"),
        ("{question: q, baseline: a}", "a study needs `rows`, or `base` and `axes`"),
        (f"{{question: q, baselin: a, {ROW}}}", "unknown field 'baselin': the fields are .*Did you mean baseline"),
        (f"{{question: 3, baseline: a, {ROW}}}", "Expected `str`, got `int` - at `question`"),
        (f"{{question: q, baseline: a, {ROW}, seeds: 5}}", "Expected `list`, got `int` - at `seeds`"),
        (
            f"{{question: q, baseline: a, {ROW}, seeds: [0, 2147483648]}}",
            r"Expected `int` <= 2147483647 - at `seeds\[1\]`",
        ),
        (f"{{question: q, baseline: a, {ROW}, seeds: [-1]}}", r"Expected `int` >= 0 - at `seeds\[0\]`"),
        (
            f"{{question: q, baseline: a, {ROW}, metric: relaton}}",
            "metric 'relaton' is no task: .*Did you mean relation",
        ),
        (f"{{question: q, baseline: a, {ROW}, varies: [memry]}}", "varies: unknown setting memry: Did you mean memory"),
        (f"{{question: q, baseline: a, {ROW}, varies: [loss.ent]}}", "loss has mention, coref, entity, relation"),
        (f"{{question: q, baseline: a, {ROW}, varies: [a.b]}}", "varies: unknown setting a.b: A run has"),
        (f"{{question: q, baseline: aa, {ROW}}}", r"'aa', which is none of the rows \(a\): .*Did you mean a"),
        ("{question: q, baseline: a, rows: {a: 3}}", "row a: Expected `mapping`, got `int`"),
        ("{question: q, baseline: a, rows: {1: {preset: x}}}", "line 1: the key 1 is no text: write it in quotes"),
        ("{question: q, baseline: a, rows: {a: {preset: x, setings: {}}}}", "row a: unknown field 'setings'.*settings"),
        ("{question: q, baseline: a, rows: {a: {settings: {}}}}", "row a: .*preset"),
        (
            f"{{question: q, baseline: a, {ROW[:-1]}, b: {{predictions: [x.json]}}}}}}",
            "row b needs `gold`, the annotated documents",
        ),
        (
            f"{{question: q, baseline: a, {ROW[:-1]}, b: {{preset: x, predictions: [x.json], gold: g}}}}}}",
            "row b has `predictions`, so leave `preset` out",
        ),
        (
            f"{{question: q, baseline: a, {ROW[:-1]}, b: {{predictions: [x, y], gold: g}}}}, seeds: [4]}}",
            "row b has 2 prediction files, one a seed, but the study has 1 seed: leave",
        ),
        ("{question: q, baseline: b, rows: {b: {predictions: [x], gold: g}}}", "all rows are scored from files"),
        (f"{{question: q, {AXIS}, axes: [{{nam: warmup}}]}}", "axis : unknown field 'nam'.*Did you mean name"),
        (f"{{question: q, {AXIS}, axes: [{{name: warmup, vlues: [0]}}]}}", "axis warmup: unknown field 'vlues'"),
        (
            f"{{question: q, {AXIS}, axes: [{{name: warmup, values: 3}}]}}",
            "axis warmup: Expected `list`, got `int` - at `values`",
        ),
        (f"{{question: q, {AXIS}, axes: [3]}}", "axis 3: Expected `mapping`, got `int`"),
        ("{question: q, baseline: a, base: {prest: x}, axes: [warmup]}", "base: unknown field 'prest'"),
        (
            "{question: q, baseline: a, rows: {a: {preset: jerex-grc, settings: {seed: 4}}}}",
            r"row a: leave seed \(4\) out of its settings: .* all share the seeds",
        ),
        (
            "{question: q, baseline: a, rows: {a: {preset: jerex-grc, settings: {preset: b}}}}",
            r"row a: leave preset \('b'\) out",
        ),
        (
            "{question: q, baseline: a, rows: {a: {preset: jerex-grc, settings: {training: 3}}}}",
            "row a: training is 3: it is a section",
        ),
        (
            "{question: q, baseline: a, rows: {a: {preset: jerex-gcr}}}",
            "row a: unknown preset 'jerex-gcr'.*Did you mean jerex-grc",
        ),
        (
            "{question: q, baseline: a, rows: {a: {preset: memory-grc, settings: {memory: {sise: 3}}}}}",
            "row a: .*memory.sise",
        ),
        (
            "{question: q, baseline: a, rows: {a: {preset: memory-grc, settings: {memory: {warmup: 3}}}}}",
            "row a: memory.warmup is 3",
        ),
        (f"{{question: q, baseline: a, {ROW}, seeds: [1, 1]}}", "must be different"),
        (f"{{question: q, baseline: a, {ROW}, name: a@b}}", "study name 'a@b': use no"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, documents: dict, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as refused:
        plan(read_study(path), profile="quick", runs=tmp_path, settings=documents)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith((f"{path}", "row a: "))


def test_numbers_may_be_written_as_one_likes(tmp_path: Path, documents: dict) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "{question: q, baseline: lr=1e-05, base: {preset: memory-grc}, "
        "axes: [{name: lr, path: training.lr, values: [1e-5, 0.0001, 2E-3]}]}"
    )
    found = plan(read_study(path), profile="quick", runs=tmp_path, settings=documents)
    assert {row: config.training.lr for row, config in found.configs.items()} == {
        "lr=1e-05": 1e-5,
        "lr=0.0001": 1e-4,
        "lr=0.002": 2e-3,
    }
