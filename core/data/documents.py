"""Documents: tokens in sentences, and an annotation of mentions, entities and relations, gold and predicted alike.

Spans are half-open token spans in the document, never in the sentence. Readers (`core.data.formats`) make these objects
from files; nothing downstream looks at a file format again.
"""

from collections.abc import Iterable, Sequence

import msgspec

from core.errors import UserError

Span = tuple[int, int]


class Entity(msgspec.Struct, frozen=True):
    """A cluster of mentions and its type.

    `mentions` keeps the order and the duplicates of its source; `type` is the type of the first mention where a source
    types every mention on its own.
    """

    mentions: tuple[Span, ...]
    type: str


class Relation(msgspec.Struct, frozen=True):
    """A typed, directed relation between two entities, by their index in `Annotation.entities`.

    `score` is the sigmoid of the relation logit where a model predicted it, None in gold.
    """

    head: int
    tail: int
    type: str
    score: float | None = None


class Annotation(msgspec.Struct, frozen=True):
    """Mentions, entities and relations of one document.

    `mentions` holds every mention span; a predicted mention that no entity holds still counts in the mention score.
    Where a model predicted them, `mention_scores` are the sigmoids of the mention logits, in the order of `mentions`,
    and `entity_scores` the softmax probabilities of the entities' types among all entity types: how sure the type is,
    not the cluster. Both are empty in gold and in files without scores.
    """

    mentions: tuple[Span, ...] = ()
    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()
    mention_scores: tuple[float | None, ...] = ()
    entity_scores: tuple[float | None, ...] = ()
    relations_listed: bool = True
    """False for gold of a source that lists entities but no relations, such as DocRED's own test file: relation scores
    on it would mean nothing."""

    @staticmethod
    def from_entities(entities: Iterable[Entity], relations: Iterable[Relation] = ()) -> "Annotation":
        """An annotation whose mentions are those of its entities, each span once, in order of appearance."""
        entities = tuple(entities)
        spans = dict.fromkeys(span for entity in entities for span in entity.mentions)
        return Annotation(mentions=tuple(spans), entities=entities, relations=tuple(relations))


class Document(msgspec.Struct, frozen=True):
    """A tokenised document, its sentences as token spans, and its gold annotation where it has one.

    `id` is unique within a corpus and keys every random draw for the document. `text` and `offsets` (character span of
    every token in `text`) are there where the source was running text.
    """

    id: str
    tokens: tuple[str, ...]
    sentences: tuple[Span, ...]
    title: str | None = None
    gold: Annotation | None = None
    text: str | None = None
    offsets: tuple[Span, ...] | None = None

    @property
    def lacks_relations(self) -> bool:
        """Whether it has gold, but no list of relations."""
        return self.gold is not None and not self.gold.relations_listed

    def surface(self, span: Span) -> str:
        """The tokens of a span joined by single spaces and stripped (MODEL.md, section 1.4)."""
        return " ".join(self.tokens[span[0] : span[1]]).strip()

    def sentence_numbers(self) -> list[int]:
        """The sentence index of every token."""
        return [number for number, (start, end) in enumerate(self.sentences) for _ in range(start, end)]


def describe_unlabelled(unlabelled: int, documents: int) -> str:
    """Why relations cannot be scored on some documents."""
    return f"{unlabelled} of {documents} gold documents have no list of relations (DocRED: the field labels)"


class LabelSet(msgspec.Struct, frozen=True):
    """The entity and relation types in class-index order, which is the order of the types file, never sorted.

    `entity_names` and `relation_names` are the readable names in the same order (equal to the types where there are
    none).
    """

    entity_types: tuple[str, ...]
    relation_types: tuple[str, ...]
    entity_names: tuple[str, ...] = ()
    relation_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind, types in (("entity", self.entity_types), ("relation", self.relation_types)):
            if not types:
                raise UserError(f"no {kind} types: a corpus needs at least one {kind} type to train or predict")
            if len(set(types)) != len(types):
                raise UserError(f"{kind} types occur twice: {sorted({t for t in types if types.count(t) > 1})}")
        if not self.entity_names:
            msgspec.structs.force_setattr(self, "entity_names", self.entity_types)
        if not self.relation_names:
            msgspec.structs.force_setattr(self, "relation_names", self.relation_types)

    def type_names(self) -> dict[str, dict[str, str]]:
        """`entity` and `relation` -> type -> readable name, of the types that have one: what a run record holds."""
        pairs = {
            "entity": zip(self.entity_types, self.entity_names, strict=True),
            "relation": zip(self.relation_types, self.relation_names, strict=True),
        }
        named = {kind: {key: name for key, name in types if name != key} for kind, types in pairs.items()}
        return {kind: names for kind, names in named.items() if names}

    def relation_name(self, relation_type: str) -> str:
        """The readable name of a relation type; the type itself where the set does not hold it."""
        return dict(zip(self.relation_types, self.relation_names, strict=True)).get(relation_type, relation_type)

    @staticmethod
    def observed(documents: Sequence[Document]) -> "LabelSet":
        """The types that occur in the gold of some documents, in order of first appearance."""
        gold = [document.gold for document in documents if document.gold is not None]
        return LabelSet(
            entity_types=tuple(dict.fromkeys(entity.type for annotation in gold for entity in annotation.entities)),
            relation_types=tuple(dict.fromkeys(item.type for annotation in gold for item in annotation.relations)),
        )
