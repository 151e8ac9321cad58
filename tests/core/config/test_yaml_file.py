"""YAML files: read back as written, refused in one line where they are twice, too much or no value of their type."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import engram
from core.config.yaml_file import MAX_BYTES, MAX_WHOLE_NUMBER, NumberLoader, load_yaml
from core.records.record import CONFIG

NUMBERS = st.integers(1 - MAX_WHOLE_NUMBER, MAX_WHOLE_NUMBER - 1)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS | st.floats(allow_nan=False)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{number + 1}: &a{number + 1} [*a{number}]\n" for number in range(100))
BOMB = "a0: &a0 [x]\n" + "".join(
    f"a{number + 1}: &a{number + 1} [{', '.join([f'*a{number}'] * 10)}]\n" for number in range(9)
)


@given(TREES)
def test_what_yaml_writes_is_read_back(tree: object) -> None:
    assert load_yaml(yaml.safe_dump(tree)) == tree


@given(st.dictionaries(TEXTS.filter(bool), NUMBERS, min_size=1), st.data())
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
        ("- " * 3000, "^line 1: it is nested too deeply"),
        ("a: " + "[" * 5000, "^line 1: it is nested too deeply"),
        (CHAIN, "^line 32: it is nested too deeply"),
        ("a: &a [*a]", "^line 1: an alias stands for what it is in"),
        (BOMB, "^line 6: its aliases stand for 211,111 values, at most 100,000 are read$"),
        ("b: 1\na: !!bool foo", "^line 2: 'foo' is no bool$"),
        ('a: !!int ""', "^line 1: '' is no int$"),
        ('a: !!float ""', "^line 1: '' is no float$"),
        ("a: !!timestamp x", "^line 1: 'x' is no timestamp$"),
        ("a: 2024-13-45", "^line 1: '2024-13-45' is no timestamp$"),
        ("a: 1" + "0" * 5000, "^line 1: '10+…0+' is no int$"),
        ("a: 0x" + "f" * 5000, "^line 1: .* is out of range: whole numbers go to 9223372036854775807$"),
        ('a: "x\\0y"', "^line 1: .* holds a character that no file name can have"),
        ('a: "\\ud800"', "^line 1: .* holds a character that no file name can have"),
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


@pytest.mark.parametrize("command", ["study plan broken.yaml", "train jerex-grc --config broken.yaml", "evaluate run"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("question: !!bool foo", "line 1: 'foo' is no bool"),
        ("seed: !!timestamp x", "line 1: 'x' is no timestamp"),
        (BOMB, "at most 100,000 are read"),
        ("[" * 5000, "line 1: it is nested too deeply, at most 32 levels are read"),
        ("seed: 0x" + "f" * 5000, "is out of range: whole numbers go to 9223372036854775807"),
        ("a: b\n" * (MAX_BYTES // 4), f"at most {MAX_BYTES:,} are read"),
        ("{1: 2}", "line 1: the key 1 is no text: write it in quotes"),
    ],
)
def test_every_command_that_reads_yaml_names_the_file_and_the_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    text: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("run", CONFIG) if command == "evaluate run" else Path("broken.yaml")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    assert engram.main(command.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    first = err.splitlines()[0]
    assert first.startswith(f"engram: {path}")
    assert message in first
    assert len(first) < 400
