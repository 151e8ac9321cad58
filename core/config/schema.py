"""Config schema: the settings of one run, with every default, limit and explanation, each written once.

Frozen pydantic models; an unknown or impossible setting is refused before anything is read or built. The memories have
a module of their own, `core.config.memory`.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from core.config.memory import MemoryConfig
from core.config.section import (
    ADDED_LATER,
    CONTENT,
    NEUTRAL,
    SOURCE,
    DrawCount,
    Label,
    Location,
    Positive,
    Probability,
    Section,
    Share,
    TableSize,
    Weight,
)

Format = Literal["auto", "docred", "pubtator", "predictions", "text"]


class DataConfig(Section):
    """Which documents the run reads."""

    name: Annotated[Location | None, NEUTRAL] = None
    """A registered data set (`engram data list`); instead of the paths below. Its files enter the signature."""
    train: Annotated[Location | None, CONTENT] = None
    """Training documents: DocRED JSON, PubTator, or prediction lines."""
    validation: Annotated[Location | None, CONTENT] = None
    """Validation documents; without it `validation_share` of the training documents, chosen by a hash of the title."""
    test: Annotated[Location | None, CONTENT] = None
    """Test documents, read once by the chosen checkpoint."""
    types: Annotated[Location | None, CONTENT] = None
    """Types file (JSON; the order of its keys is the class index); without it the types seen in training."""
    format: Format = "auto"
    """Format of the files; auto looks at their first bytes."""
    validation_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    """Share of the training documents that validate where there is no validation file."""
    limit: Annotated[Annotated[int, Field(ge=1, le=10**9)] | None, ADDED_LATER] = None
    """Most documents of each split, the first by a hash of the id; split and types are those of the whole files."""
    overlong: Literal["error", "truncate", "skip"] = "error"
    """What happens to a document with more word pieces than the encoder has positions; repairs are counted."""
    surface: Literal["tokens", "decoded"] = "tokens"
    """Surface of a mention for edit distances at inference: its tokens, or its decoded word pieces (JEREX's way)."""

    @model_validator(mode="after")
    def _one_source(self) -> "DataConfig":
        if self.name is not None and (self.train or self.validation or self.test or self.types):
            raise ValueError(
                f"data.name ({self.name!r}) and data paths exclude each other: give the name of a registered data set, "
                "or paths, not both"
            )
        return self


class ScratchConfig(Section):
    """The small BERT that `encoder.source: scratch` builds, with a word-piece vocabulary of the training text."""

    width: Annotated[int, Field(ge=8, le=4_096)] = 128
    """Width H of its states."""
    layers: Annotated[int, Field(ge=1, le=48)] = 2
    """Number of transformer layers."""
    heads: Annotated[int, Field(ge=1, le=64)] = 2
    """Attention heads per layer; must divide the width."""
    intermediate: Annotated[int, Field(ge=8, le=16_384)] = 256
    """Width of the feed-forward layer."""
    vocabulary: Annotated[int, Field(ge=100, le=200_000)] = 4_000
    """Largest number of word pieces that are learned from the training documents."""

    @model_validator(mode="after")
    def _heads_divide(self) -> "ScratchConfig":
        if self.width % self.heads:
            raise ValueError(f"encoder.scratch.heads ({self.heads}) must divide encoder.scratch.width ({self.width})")
        return self


class EncoderConfig(Section):
    """The transformer that turns word pieces into states."""

    source: Annotated[Location, SOURCE] = "bert-base-cased"
    """A local folder, `package:NAME` (an installed package that carries a model), a hub name[@revision], or scratch."""
    pretrained: bool = True
    """Start from the weights of the source; off: its architecture with fresh weights."""
    tokenizer: Annotated[Location | None, SOURCE] = None
    """Tokenizer folder, file or name where it is not in the encoder's folder."""
    scratch: ScratchConfig = ScratchConfig()
    """Sizes of the encoder that `source: scratch` builds."""
    positions: Annotated[int, Field(ge=16, le=65_536)] = 700
    """Word pieces that a document may have; a shorter position table grows to it."""
    attention: Literal["sdpa", "eager"] = "sdpa"
    """Attention kernel: sdpa is torch's fused one, eager the plain formula."""
    gradient_checkpointing: bool = False
    """Recompute the encoder's activations in the backward pass: less memory, about a third more time."""


class ModelConfig(Section):
    """The joint model's heads."""

    relation_head: Literal["grc", "mrc"] = "grc"
    """Relation classification: global over entity pairs (grc) or multi-instance over mention pairs (mrc)."""
    meta_width: Annotated[int, Field(ge=1, le=1_024)] = 25
    """Width of the embeddings of span width, edit distance, token and sentence distance, and entity type."""
    width_table: TableSize = 30
    """Rows of the span-width embedding; wider spans share the last row."""
    edit_distance_table: TableSize = 300
    """Rows of the edit-distance embedding; larger distances share the last row."""
    token_distance_table: TableSize = 700
    """Rows of the token-distance embedding; larger distances share the last row."""
    sentence_distance_table: TableSize = 50
    """Rows of the sentence-distance embedding; larger distances share the last row."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """Dropout in the heads and on entity vectors."""
    mention_threshold: Probability = 0.85
    """A span is a mention where its sigmoid reaches this."""
    coref_threshold: Probability = 0.85
    """Clusters merge while their complete-linkage distance stays under one minus this."""
    relation_threshold: Probability = 0.6
    """A relation holds where its sigmoid reaches this."""


class SamplesConfig(Section):
    """What is scored in training: all gold, and drawn negatives per document."""

    max_span_tokens: Annotated[int, Field(ge=1, le=100)] = 10
    """Width in tokens of the widest candidate span; wider gold mentions are trained on but cannot be predicted."""
    neg_mentions: DrawCount = 200
    """Negative spans drawn per document, up to half of them inside a gold mention."""
    neg_corefs: DrawCount = 200
    """Negative ordered mention pairs drawn per document."""
    neg_relations: DrawCount = 200
    """Unrelated ordered entity pairs drawn per document."""


class LossConfig(Section):
    """Weights of the four losses."""

    mention: Weight = 1.0
    """Weight of the mention loss."""
    coref: Weight = 1.0
    """Weight of the coreference loss."""
    entity: Weight = 0.25
    """Weight of the entity-type loss."""
    relation: Weight = 1.0
    """Weight of the relation loss."""


class TrainingConfig(Section):
    """The optimisation, the same for baseline and variant."""

    epochs: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Passes over the training documents."""
    batch_size: Annotated[int, Field(ge=1, le=4_096)] = 2
    """Documents per optimiser step; the last incomplete batch of an epoch is dropped."""
    lr: Positive = 5e-5
    """Peak learning rate of AdamW."""
    head_lr: Positive | None = None
    """Peak learning rate of everything but the encoder; none: the same as `lr`."""
    lr_warmup: Share = 0.1
    """Share of all steps over which the learning rate rises; it falls linearly to 0 afterwards."""
    weight_decay: Weight = 0.01
    """Decoupled weight decay; none on biases and LayerNorm."""
    eps: Positive = 1e-6
    """AdamW's epsilon."""
    bias_correction: bool = True
    """AdamW's bias correction; the references train without it."""
    clip: Positive = 1.0
    """Largest norm of the whole gradient."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format of the forward pass; losses and masks stay fp32."""
    select_from: Share = 0.0
    """Only epochs that end after this share of all steps may be chosen; a memory row's warm-up, for all rows alike."""
    keep: Annotated[Literal["best", "none"], NEUTRAL] = "best"
    """Keep the chosen checkpoint when the run is finished, or nothing but its records."""


class InferenceConfig(Section):
    """How documents are decoded; no setting here but `max_mentions` can change a prediction."""

    max_mentions: Annotated[int, Field(ge=1, le=100_000)] = 400
    """Most mentions a document may have; an untrained classifier that accepts more keeps its best ones, counted."""
    piece_budget: Annotated[int, Field(ge=1, le=2**24), NEUTRAL] = 4_096
    """Word pieces, padding included, that are encoded at once."""
    row_budget: Annotated[int, Field(ge=1, le=2**24), NEUTRAL] = 16_384
    """Spans or pairs whose hidden layers are held at once."""


class RuntimeConfig(Section):
    """Where the run happens and how often it reports; nothing here enters the signature."""

    device: Annotated[str, NEUTRAL, Field(pattern=r"^(auto|cpu|mps|cuda(:\d{1,3})?)$")] = "auto"
    """auto, cpu, mps, cuda or cuda:N."""
    threads: Annotated[Annotated[int, Field(ge=1, le=1_024)] | None, NEUTRAL] = None
    """Processor threads; none: torch's own choice."""
    log_every: Annotated[int, Field(ge=1, le=10**9), NEUTRAL] = 10
    """Optimiser steps between rows of history.jsonl."""
    checkpoint_seconds: Annotated[float, Field(ge=0.0, le=1e9), NEUTRAL] = 60.0
    """Seconds between training checkpoints, the most that a killed run loses; 0 saves after every step."""


def _name_artifacts(value: object) -> object:
    """The choice of artifacts; files of earlier versions say whether there are any."""
    return {"false": "none", "true": "results"}.get(str(value).lower(), value)


class TrackingConfig(Section):
    """Following the run in W&B, which mirrors its folder; nothing here enters the signature."""

    wandb: Annotated[Literal["auto", "online", "offline", "disabled"], NEUTRAL] = "auto"
    """auto is online where the user is logged in to W&B, offline elsewhere; disabled writes nothing."""
    project: Annotated[Annotated[str, Field(min_length=1, max_length=128)] | None, NEUTRAL] = None
    """W&B project; none: WANDB_PROJECT, else engram."""
    entity: Annotated[Label | None, NEUTRAL] = None
    """W&B user or team; none: WANDB_ENTITY, else the logged-in user's default."""
    group: Annotated[Label | None, NEUTRAL] = None
    """W&B group; none: preset and signature, so that the seeds of one row are grouped."""
    job_type: Annotated[str, NEUTRAL, Field(min_length=1, max_length=64)] = "train"
    """W&B job type."""
    tags: Annotated[Label, NEUTRAL] = ""
    """W&B tags in addition to preset, profile and WANDB_TAGS, separated by commas."""
    study: Annotated[Label | None, NEUTRAL] = None
    """The study that asked for this run first, as `<study>@<profile>`; studies set it themselves."""
    row: Annotated[Label | None, NEUTRAL] = None
    """The row of that study; W&B calls the run by it and its seed."""
    artifacts: Annotated[Literal["none", "results", "model"], NEUTRAL, BeforeValidator(_name_artifacts)] = "none"
    """What is also uploaded: results are record and predictions, model is that and the chosen weights."""
    system_metrics: Annotated[bool, NEUTRAL] = False
    """Also log processor, memory and device use."""
    console: Annotated[bool, NEUTRAL] = False
    """Also upload what the run prints."""


class RunConfig(Section):
    """The config of one run: what it reads, what it builds, how it trains."""

    preset: Annotated[Label, NEUTRAL] = "custom"
    """Name of the preset this config started from; a label only."""
    profile: Annotated[Label, NEUTRAL] = "none"
    """Name of the profile this config started from; a label only."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Keys every random draw of the run."""
    data: DataConfig = DataConfig()
    encoder: EncoderConfig = EncoderConfig()
    model: ModelConfig = ModelConfig()
    memory: MemoryConfig | None = None
    samples: SamplesConfig = SamplesConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    inference: InferenceConfig = InferenceConfig()
    runtime: RuntimeConfig = RuntimeConfig()
    tracking: TrackingConfig = TrackingConfig()
