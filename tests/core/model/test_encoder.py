"""Encoders of every family, tiny, from a folder with its own kind of tokenizer: loaded, stepped, grown, saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoModel,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    GPT2Config,
    ModernBertConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
)

from core.config.schema import RunConfig
from core.data.issues import Issues
from core.errors import UserError
from core.features.batches import pad_pieces
from core.features.prepare import PreparedData
from core.features.wordpieces import EncodedDocument, WordPieces, load_wordpieces
from core.model.decoder import Decoded, Decoder, DecoderSettings
from core.model.encoder import load_encoder
from core.model.joint_model import JointModel
from core.run.execute import build_fresh_model
from core.training.checkpoints import ModelState, TrainedModel, load_model, save_model
from core.training.loop import train_step
from core.training.optimizer import build_optimizer
from tests.tiny import LABELS, document, tiny_batch, tiny_config

SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
POSITIONS = 48


def deberta(**changes: Any) -> DebertaV2Config:
    relative = {"relative_attention": True, "max_relative_positions": -1, "pos_att_type": ["p2c", "c2p"]}
    return DebertaV2Config(**SIZES, **relative, max_position_embeddings=POSITIONS, pad_token_id=0, **changes)


def modern() -> ModernBertConfig:
    sizes = {name: value for name, value in SIZES.items() if "dropout" not in name}
    specials = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    return ModernBertConfig(**sizes, **specials, max_position_embeddings=POSITIONS, local_attention=8)


FAMILIES: dict[str, Callable[[], PreTrainedConfig]] = {
    "bert": lambda: BertConfig(**SIZES, max_position_embeddings=POSITIONS),
    "roberta": lambda: RobertaConfig(**SIZES, max_position_embeddings=POSITIONS + 2, pad_token_id=1, type_vocab_size=1),
    "deberta-v2": lambda: deberta(position_biased_input=True),
    "deberta-v3": lambda: deberta(
        position_biased_input=False, share_att_key=True, position_buckets=8, norm_rel_ebd="layer_norm"
    ),
    "modernbert": modern,
}
TABLES = {
    "bert": "embeddings.position_embeddings.weight",
    "roberta": "embeddings.position_embeddings.weight",
    "deberta-v2": "embeddings.position_embeddings.weight",
}
BYTE_LEVEL = ("roberta", "modernbert")
TEXTS = [token for number in range(8) for token in document(number, extra=1).tokens]


def make_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """A tiny tokenizer of the kind that the family is published with."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    roles = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), specials, strict=True))
    if family in BYTE_LEVEL:
        if family == "roberta":
            specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
            roles = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"}
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator([" " + text for text in TEXTS], trainer)
    elif family.startswith("deberta"):
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=120, special_tokens=specials, unk_token="[UNK]", show_progress=False
        )
        tokenizer.train_from_iterator(TEXTS, trainer)
    else:
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.train_from_iterator(
            TEXTS, trainers.WordPieceTrainer(vocab_size=90, special_tokens=specials, show_progress=False)
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each family, as `save_pretrained` writes it."""
    folders = {}
    for family, architecture in FAMILIES.items():
        folder = tmp_path_factory.mktemp(family)
        tokenizer, config = make_tokenizer(family), architecture()
        config.vocab_size = len(tokenizer)
        torch.manual_seed(5)
        AutoModel.from_config(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        folders[family] = folder
    return folders


def config_for(folder: Path, preset: str = "memory-mrc", **encoder: Any) -> RunConfig:
    # An untrained model says about one half: some mentions, each an entity, with relations.
    thresholds = {"mention_threshold": 0.4, "coref_threshold": 0.7, "relation_threshold": 0.4}
    row = {"encoder": {"source": str(folder), "positions": 80} | encoder, "model": thresholds}
    return tiny_config(preset, row | {"inference": {"max_mentions": 7}})


def build(config: RunConfig, wordpieces: WordPieces, seed: int = 0) -> JointModel:
    data = PreparedData({"train": []}, LABELS, wordpieces, {})
    return build_fresh_model(config.model_copy(update={"seed": seed}), data).eval()


def encode(wordpieces: WordPieces) -> list[EncodedDocument]:
    return [wordpieces.encode(document(0)), wordpieces.encode(document(1, extra=1))]


def decode(model: JointModel, wordpieces: WordPieces, config: RunConfig) -> list[Decoded]:
    decoder = Decoder(model, wordpieces, LABELS, DecoderSettings.from_config(config))
    return decoder.decode(encode(wordpieces), reading=1.0, issues=Issues())


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_loaded_and_stepped(saved: dict[str, Path], family: str, pretrained: bool) -> None:
    config = config_for(saved[family], pretrained=pretrained, positions=80)
    wordpieces = load_wordpieces(str(saved[family]))
    model = build(config, wordpieces)
    original = dict(AutoModel.from_pretrained(saved[family]).named_parameters())
    own = dict(model.encoder.transformer.named_parameters())
    words = next(name for name in own if "word_embeddings" in name or "tok_embeddings" in name)
    assert torch.equal(own[words], original[words]) == pretrained
    optimizer = build_optimizer(model, config.training)
    before = own[words].detach().clone()
    losses, norm = train_step(
        model, tiny_batch(config, encode(wordpieces)), config, Accelerator(cpu=True), optimizer, 1.0
    )
    assert 0 < losses["total"] < 50
    assert 0 < norm < 1e4
    assert not torch.equal(before, own[words])
    for name, parameter in own.items():
        assert parameter.grad is not None or "rel_embeddings" in name, name


@pytest.mark.parametrize("family", FAMILIES)
def test_batching_does_not_change_the_states(saved: dict[str, Path], family: str) -> None:
    wordpieces = load_wordpieces(str(saved[family]))
    model = build(config_for(saved[family]), wordpieces)
    documents = encode(wordpieces)
    with torch.no_grad():
        alone = [model.encoder(pad_pieces([one], wordpieces.padding)) for one in documents]
        together = model.encoder(pad_pieces(documents, wordpieces.padding))
    assert len(alone[0]) != len(alone[1])
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_document_longer_than_the_old_table_works(saved: dict[str, Path], family: str) -> None:
    wordpieces = load_wordpieces(str(saved[family]))
    config = config_for(saved[family], positions=300)
    model = build(config, wordpieces)
    assert model.encoder.positions == 300
    long = wordpieces.encode(document(0, extra=200))
    cut = long.ids[:300]
    pieces = pad_pieces([EncodedDocument(long.document, cut, long.bounds)], wordpieces.padding)
    assert pieces.counts == (300,)
    with torch.no_grad():
        states = model.encoder(pieces)
    assert states.shape == (300, 16)
    assert states.isfinite().all()


@pytest.mark.parametrize("family", TABLES)
def test_growing_keeps_the_first_rows_and_draws_the_rest(saved: dict[str, Path], family: str) -> None:
    wordpieces = load_wordpieces(str(saved[family]))
    first, again, other = (
        dict(build(config_for(saved[family], positions=900), wordpieces, seed).encoder.transformer.named_parameters())
        for seed in (0, 0, 1)
    )
    old = dict(AutoModel.from_pretrained(saved[family]).named_parameters())
    name = TABLES[family]
    rows = len(old[name])
    offset = 2 if family == "roberta" else 0
    assert rows == POSITIONS + offset
    assert len(first[name]) == 900 + offset
    assert torch.equal(first[name][:rows], old[name])
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name][rows:], other[name][rows:])
    assert float(first[name][rows:].detach().std()) == pytest.approx(0.02, rel=0.05)
    for parameter in set(old) - {name}:
        if not parameter.startswith("pooler."):
            assert torch.equal(first[parameter], old[parameter]), parameter


@pytest.mark.parametrize("family", FAMILIES)
def test_a_longer_table_changes_no_state_of_a_short_document(saved: dict[str, Path], family: str) -> None:
    wordpieces = load_wordpieces(str(saved[family]))
    pieces = pad_pieces(encode(wordpieces)[:1], wordpieces.padding)
    with torch.no_grad():
        short, long = (
            build(config_for(saved[family], positions=positions), wordpieces).encoder(pieces) for positions in (48, 300)
        )
    torch.testing.assert_close(short, long, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pretrained", [True, False])
def test_roberta_counts_positions_behind_its_padding_row(saved: dict[str, Path], pretrained: bool) -> None:
    wordpieces = load_wordpieces(str(saved["roberta"]))
    model = build(config_for(saved["roberta"], positions=100, pretrained=pretrained), wordpieces)
    assert model.encoder.positions == 100
    assert len(model.encoder.transformer.embeddings.position_embeddings.weight) == 102
    assert wordpieces.padding == 1


@pytest.mark.parametrize("family", BYTE_LEVEL)
def test_byte_level_tokens_are_pieced_as_words_after_a_space(saved: dict[str, Path], family: str) -> None:
    wordpieces = load_wordpieces(str(saved[family]))
    pieced = wordpieces.pieces(["works", "\u00a0", "Zürich"])
    names = wordpieces.tokenizer.convert_ids_to_tokens(pieced[0])
    assert names[0].startswith("\u0120")
    assert "".join(names) == "\u0120works"
    assert pieced[1] == [wordpieces.unknown]
    backend = wordpieces.tokenizer.backend_tokenizer
    assert pieced[2] == backend.encode(" Zürich", add_special_tokens=False).ids
    assert pieced[2] != backend.encode("Zürich", add_special_tokens=False).ids
    assert wordpieces.decode(pieced[0]) == "works"


@pytest.mark.parametrize("family", ["bert", "deberta-v2"])
def test_other_tokens_are_pieced_as_they_are(saved: dict[str, Path], family: str) -> None:
    wordpieces = load_wordpieces(str(saved[family]))
    backend = wordpieces.tokenizer.backend_tokenizer
    assert wordpieces.pieces(["works"]) == [backend.encode("works", add_special_tokens=False).ids]
    assert wordpieces.pieces([" "]) == [[wordpieces.unknown]]


@pytest.mark.parametrize(
    "architecture",
    [
        GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=90, n_positions=48),
        DistilBertConfig(dim=16, n_layers=1, n_heads=2, hidden_dim=16, vocab_size=90),
    ],
    ids=lambda one: one.model_type,
)
@pytest.mark.parametrize("pretrained", [True, False])
def test_another_family_is_refused(tmp_path: Path, architecture: PreTrainedConfig, pretrained: bool) -> None:
    AutoModel.from_config(architecture).save_pretrained(tmp_path)
    config = config_for(tmp_path, pretrained=pretrained)
    with pytest.raises(UserError, match=architecture.model_type) as caught:
        load_encoder(config.encoder, vocabulary=90)
    line = str(caught.value).splitlines()[0]
    assert str(tmp_path) in line
    assert all(name in line for name in ("BERT", "RoBERTa", "DeBERTa-v2/v3", "ModernBERT"))


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_checkpointing_gives_the_same_gradients(saved: dict[str, Path], family: str) -> None:
    wordpieces = load_wordpieces(str(saved[family]))
    gradients = []
    for recompute in (False, True):
        config = config_for(saved[family], gradient_checkpointing=recompute)
        model = build(config, wordpieces).train()
        layers = [module for module in model.encoder.modules() if getattr(module, "gradient_checkpointing", False)]
        assert bool(layers) == recompute
        # Heads drop out; the same generator state makes the same masks.
        torch.manual_seed(3)
        logits = model(tiny_batch(config, encode(wordpieces)), reading=1.0)
        sum(value.square().sum() for value in vars(logits).values()).backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        if gradient is None:
            assert gradients[1][name] is None, name
        else:
            torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("preset", ["jerex-grc", "memory-mrc"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_gives_back_the_same_predictions(
    saved: dict[str, Path], tmp_path: Path, family: str, preset: str
) -> None:
    wordpieces = load_wordpieces(str(saved[family]))
    config = config_for(saved[family], preset, positions=80)
    model = build(config, wordpieces)
    state = ModelState(epoch=2, step=7, reading=1.0)
    save_model(tmp_path / "best", TrainedModel(model, wordpieces, LABELS, state))
    loaded = load_model(tmp_path / "best", config)
    assert loaded.state == state
    assert loaded.labels == LABELS
    assert not loaded.model.training
    assert loaded.wordpieces.pieces(TEXTS) == wordpieces.pieces(TEXTS)
    wanted = decode(model, wordpieces, config)
    assert decode(loaded.model, loaded.wordpieces, config) == wanted
    assert any(one.ranked for one in wanted)
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_a_checkpoint_of_another_model_is_refused(saved: dict[str, Path], tmp_path: Path) -> None:
    wordpieces = load_wordpieces(str(saved["bert"]))
    config = config_for(saved["bert"], "jerex-grc")
    state = ModelState(epoch=1, step=1, reading=0.0)
    save_model(tmp_path / "best", TrainedModel(build(config, wordpieces), wordpieces, LABELS, state))
    with pytest.raises(UserError, match="holds another model than its config says"):
        load_model(tmp_path / "best", config_for(saved["bert"], "memory-grc"))
    (tmp_path / "best" / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(UserError, match="is damaged"):
        load_model(tmp_path / "best", config)
    with pytest.raises(UserError, match="no checkpoint there"):
        load_model(tmp_path / "absent", config)
