"""Properties of the parsers: what is written is read back, and whatever is cut off is one clear error."""

import contextlib
import random
from itertools import accumulate, pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.documents import Annotation, Document, Entity, Relation
from core.data.formats import detect_format, parse_corpus, read_corpus
from core.data.formats.docred import document_to_docred, write_docred
from core.data.formats.predictions import encode_prediction, parse_predictions, read_predictions, write_predictions
from core.errors import UserError

TOKENS = st.one_of(st.sampled_from(["The", "\u00a0", ".", "Łódź", '"', "\\", "𝔘"]), st.text(min_size=1, max_size=5))
TYPES = st.sampled_from(["PER", "LOC", "a b", "é"])


@st.composite
def documents(draw: st.DrawFn, within_sentences: bool = True) -> Document:
    sentences = draw(st.lists(st.lists(TOKENS, max_size=6), min_size=1, max_size=5).filter(lambda found: any(found)))
    bounds = list(pairwise([0, *accumulate(len(sentence) for sentence in sentences)]))
    tokens = tuple(token for sentence in sentences for token in sentence)
    places = [bound for bound in bounds if bound[0] < bound[1]] if within_sentences else [(0, len(tokens))]
    spans = st.sampled_from(places).flatmap(
        lambda place: st.integers(place[0], place[1] - 1).flatmap(
            lambda start: st.integers(start + 1, place[1]).map(lambda end: (start, end))
        )
    )
    entities = draw(
        st.lists(st.builds(Entity, mentions=st.lists(spans, min_size=1, max_size=4).map(tuple), type=TYPES), max_size=4)
    )
    relations: list[Relation] = []
    if entities:
        number = st.integers(0, len(entities) - 1)
        relations = draw(st.lists(st.builds(Relation, head=number, tail=number, type=TYPES), max_size=4))
    mentions = tuple(dict.fromkeys(span for entity in entities for span in entity.mentions))
    gold = draw(st.sampled_from([None, Annotation(mentions, tuple(entities), tuple(relations))]))
    title = draw(st.text(min_size=1, max_size=8))
    return Document(id=title, tokens=tokens, sentences=tuple(bounds), title=title, gold=gold)


@given(st.lists(documents(), min_size=1, max_size=4, unique_by=lambda document: document.id))
def test_docred_written_and_read_is_the_same(found: list[Document]) -> None:
    raw = msgspec.json.encode([document_to_docred(document) for document in found])
    assert list(parse_corpus(raw, "written", format="docred").documents) == found


@given(documents(within_sentences=False), st.data())
def test_prediction_lines_written_and_read_are_the_same(document: Document, data: st.DataObject) -> None:
    annotation = document.gold or Annotation()
    extra = data.draw(st.sampled_from([(), ((0, 1),)]))
    mentions = tuple(dict.fromkeys([*extra, *annotation.mentions]))
    scores = st.floats(0, 1) | st.none()
    relations = tuple(msgspec.structs.replace(relation, score=data.draw(scores)) for relation in annotation.relations)
    annotation = msgspec.structs.replace(annotation, mentions=mentions, relations=relations)
    for field in ("mention", "entity") if data.draw(st.booleans()) else ():
        items = annotation.mentions if field == "mention" else annotation.entities
        drawn = tuple(data.draw(scores) for _ in items)
        # None at all is the same as a file without scores.
        drawn = drawn if any(score is not None for score in drawn) else ()
        annotation = msgspec.structs.replace(annotation, **{f"{field}_scores": drawn})
    (read,) = parse_predictions(encode_prediction(document, annotation), "written")
    assert read.annotation == annotation
    assert read.document == msgspec.structs.replace(document, gold=None)


@given(st.lists(documents(), min_size=1, max_size=3, unique_by=lambda document: document.id), st.floats(0, 1))
def test_docred_cut_off_anywhere_is_a_user_error(found: list[Document], where: float) -> None:
    raw = msgspec.json.encode([document_to_docred(document) for document in found])
    with pytest.raises(UserError, match=r"truncated"):
        parse_corpus(raw[: max(1, int(where * (len(raw) - 1)))], "cut", format="docred")


@given(st.lists(documents(), min_size=1, max_size=3, unique_by=lambda document: document.id), st.floats(0, 1))
def test_predictions_cut_off_anywhere_are_a_prefix_or_a_user_error(found: list[Document], where: float) -> None:
    lines = b"".join(encode_prediction(document, document.gold or Annotation()) for document in found)
    cut = lines[: max(1, int(where * len(lines)))]
    try:
        read = [prediction.document.id for prediction in parse_predictions(cut, "cut")]
    except UserError:
        assert not cut.endswith(b"\n")
    else:
        assert read == [document.id for document in found][: len(read)]


@given(st.binary(max_size=60) | st.text(alphabet='[]{}":,0 tokensvertexSet|a1\t\n', max_size=60).map(str.encode))
@settings(max_examples=300)
def test_no_bytes_whatever_raise_anything_but_a_user_error(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.any"
    path.write_bytes(raw)
    for chosen in ("auto", "docred", "pubtator", "predictions", "text"):
        with contextlib.suppress(UserError):
            assert read_corpus(path, format=chosen).documents


def test_files_are_written_whole_and_read_back(tmp_path) -> None:
    document = Document(
        id="A",
        title="A",
        tokens=("a", "b"),
        sentences=((0, 2),),
        gold=Annotation.from_entities([Entity(((0, 1),), "X")]),
    )
    write_docred([document], tmp_path / "gold.json")
    assert read_corpus(tmp_path / "gold.json").documents == (document,)
    annotation = Annotation(mentions=((1, 2),))
    write_predictions([(document, annotation)], tmp_path / "predictions.jsonl")
    assert read_predictions(tmp_path / "predictions.jsonl")[0].annotation == annotation
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gold.json", "predictions.jsonl"]
    with pytest.raises(UserError, match="mkdir"):
        write_docred([document], tmp_path / "none" / "gold.json")


def test_a_real_file_cut_off_at_random_is_a_user_error(shared_path) -> None:
    raw = shared_path("data/docred_joint/dev_joint.json").read_bytes()
    generator = random.Random(0)
    for _ in range(10):
        cut = raw[: generator.randrange(1, len(raw) - 1)]
        with pytest.raises(UserError, match="truncated"):
            parse_corpus(cut, "cut.json", format="docred")


def test_sniffing_reads_the_content() -> None:
    assert detect_format(b'[{"vertexSet": []}]', "a") == "docred"
    assert detect_format(b'{"tokens": ["a"]}', "a.jsonl") == "predictions"
    assert detect_format(b"\n1|t|Title\n", "a") == "pubtator"
    assert detect_format(b"A sentence.", "a") == "text"
    assert detect_format(b'[{"title":"a|t|b","sents":[]}]', "a") == "docred"
    assert detect_format(b'["tokens": odd', "notes.txt") == "text"
    assert detect_format(b'[{"vertexSet": [], "title": "\\"tokens\\": 1"}]', "a") == "docred"
    with pytest.raises(UserError, match="no known format"):
        detect_format(b'{"a": 1}', "a.json")
    with pytest.raises(UserError, match="truncated"):
        detect_format(b'[{"ti', "a.json")
