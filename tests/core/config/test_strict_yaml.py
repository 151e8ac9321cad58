"""YAML files of users: a key given twice, and messages that say where."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.config.presets import NumberLoader, from_yaml, load_yaml
from core.errors import UserError

SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(TREES)
def test_what_yaml_writes_is_read_back(tree: object) -> None:
    assert load_yaml(yaml.safe_dump(tree)) == tree


@given(st.dictionaries(st.text(min_size=1), st.integers(), min_size=1), st.data())
def test_a_key_given_twice_is_refused_at_any_depth(tree: dict[str, int], data: st.DataObject) -> None:
    lines = [yaml.safe_dump({key: value}) for key, value in tree.items()]
    lines.insert(data.draw(st.integers(0, len(lines))), data.draw(st.sampled_from(lines)))
    with pytest.raises(ValueError, match="is given twice"):
        load_yaml("".join(lines))
    with pytest.raises(ValueError, match="is given twice"):
        load_yaml("outer:\n" + "".join(f"  {line}\n" for text in lines for line in text.splitlines()))


def test_merged_keys_are_no_repetition() -> None:
    text = "a: &a {x: 2}\nouter: {b: &b {<<: *a, x: 1}}\nc: {<<: *b, x: 3, y: 1}\n"
    assert load_yaml(text) == {"a": {"x": 2}, "outer": {"b": {"x": 1}}, "c": {"x": 3, "y": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", r"^line 3: 'a' is given twice \(first in line 1\): leave one out$"),
        ("a: [1", "^line 1: expected ',' or ']'"),
        ("a: b: c", "^line 1: mapping values are not allowed here$"),
        ("a: !!python/object/apply:os.getcwd []", "^line 1: could not determine a constructor"),
        ("a: *nowhere", "^line 1: found undefined alias"),
        ("- " * 3000, "nested too deeply"),
        ("\x00", "unacceptable character"),
    ],
)
def test_a_mistake_is_one_line_that_says_where(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as found:
        load_yaml(text)
    assert "\n" not in str(found.value)


def test_studies_write_numbers_as_they_like() -> None:
    text = "[1e-5, 1.5E3, -2e+4, 1.0e-5, 12, 1e, e5, 3e2x]"
    assert load_yaml(text, NumberLoader) == [1e-5, 1500.0, -20000.0, 1e-5, 12, "1e", "e5", "3e2x"]
    # A config may name a thing 12e34, which is then no number.
    assert load_yaml(text)[0] == "1e-5"


def test_a_config_with_a_setting_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("training: {epochs: 2, epochs: 3}")
    with pytest.raises(UserError, match=r"config.yaml is not readable YAML: line 1: 'epochs' is given twice"):
        from_yaml(path)
