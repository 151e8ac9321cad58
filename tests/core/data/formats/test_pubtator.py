"""PubTator: offsets, clusters by identifier, the data issues of CDR."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.corpus import Corpus
from core.data.documents import LabelSet
from core.data.formats import parse_corpus, read_corpus
from core.errors import UserError

GOOD = (
    "1|t|Alpha-beta harms rats.\n1|a|Beta 2.5 mg did. It hurt.\n"
    "1\t0\t5\tAlpha\tChemical\tC1\n1\t17\t21\trats\tDisease\tD1\t\n1\t23\t27\tBeta\tChemical\tC1|C2\tAlpha|Beta\n"
    "1\t6\t10\tbeta\tChemical\t-1\n1\tCID\tC1\tD1\n\n"
)
CDR = {"Training": (76, 98, 107, 89, 18), "Development": (59, 100, 89, 89, 0)}


def parse(text: str, labels: LabelSet | None = None) -> Corpus:
    return parse_corpus(text.encode(), "cdr.txt", labels=labels, format="pubtator")


@pytest.mark.parametrize("part", CDR)
def test_cdr_is_read_and_its_issues_counted(shared_path, part: str) -> None:
    corpus = read_corpus(shared_path(f"data/cdr/CDR_{part}Set.PubTator.txt"))
    kinds = ("unknown_id", "several_ids", "seventh_column", "composite_mention", "trailing_tab")
    assert tuple(corpus.issues.counts.get(kind, 0) for kind in kinds) == CDR[part]
    for absent in ("text_mismatch", "relation_without_mention", "crossing_sentence", "mixed_type_cluster"):
        assert absent not in corpus.issues.counts
    assert len(corpus.documents) == 500
    relations = sum(len(document.gold.relations) for document in corpus.documents if document.gold)
    assert relations == {"Training": 1038, "Development": 1012}[part]
    for document in corpus.documents:
        assert document.offsets is not None
        assert document.text is not None
        assert tuple(document.text[start:end] for start, end in document.offsets) == document.tokens
        assert "".join(document.tokens) == "".join(document.text.split())


def test_every_mention_of_cdr_has_the_tokens_of_its_text(shared_path) -> None:
    path = shared_path("data/cdr/CDR_DevelopmentSet.PubTator.txt")
    documents = {document.id: document for document in read_corpus(path).documents}
    for line in path.read_text().splitlines():
        columns = line.split("\t")
        if len(columns) >= 6:
            document = documents[columns[0]]
            assert document.offsets is not None
            assert document.gold is not None
            start = next(n for n, offset in enumerate(document.offsets) if offset[0] == int(columns[1]))
            end = next(n for n, offset in enumerate(document.offsets) if offset[1] == int(columns[2])) + 1
            assert (start, end) in document.gold.mentions


def test_a_document_becomes_clusters_by_identifier() -> None:
    corpus = parse(GOOD)
    (document,) = corpus.documents
    assert document.id == "1"
    assert document.text == "Alpha-beta harms rats. Beta 2.5 mg did. It hurt."
    assert document.tokens == (
        *("Alpha", "-", "beta", "harms", "rats", "."),
        *("Beta", "2.5", "mg", "did", ".", "It", "hurt", "."),
    )
    assert document.sentences == ((0, 6), (6, 11), (11, 14))
    assert document.gold is not None
    clusters = [
        (entity.type, [document.surface(span) for span in entity.mentions]) for entity in document.gold.entities
    ]
    assert clusters == [
        ("Chemical", ["Alpha", "Beta"]),
        ("Disease", ["rats"]),
        ("Chemical", ["Beta"]),
        ("Chemical", ["beta"]),
    ]
    assert [(relation.head, relation.tail, relation.type) for relation in document.gold.relations] == [(0, 1, "CID")]
    assert corpus.issues.counts == {
        "trailing_tab": 1,
        "seventh_column": 2,
        "composite_mention": 1,
        "several_ids": 1,
        "unknown_id": 1,
        "shared_span": 1,
    }


def test_what_survives_is_counted() -> None:
    text = "1|t|A b.\n1|a|C d e.\n1\t2\t6\tb. C\tX\tX1\n1\t7\t8\tD\tX\tX2\n1\t9\t10\te\tY\tX2\n1\tCID\tX1\tX9\n"
    corpus = parse(text)
    assert corpus.issues.counts == {
        "text_mismatch": 1,
        "mixed_type_cluster": 1,
        "crossing_sentence": 1,
        "relation_without_mention": 1,
        "no_relations": 1,
    }
    # The title's end stays a border, and the mention stays in gold.
    assert corpus.documents[0].sentences == ((0, 3), (3, 7))
    assert corpus.documents[0].gold is not None
    assert corpus.documents[0].gold.entities[0].mentions == ((1, 4),)


def test_a_sentence_is_not_split_inside_a_mention() -> None:
    corpus = parse("1|t|T.\n1|a|We saw it. The end.\n1\t10\t17\tit. The\tX\tX1\n")
    assert corpus.issues.counts == {"joined_sentence": 1, "no_relations": 1}
    assert len(corpus.documents[0].sentences) == 2


def test_unlinked_mentions_and_documents_without_a_blank_line() -> None:
    corpus = parse("1|t|A b\n1|a|\n1\t0\t1\tA\tX\n1\t2\t3\tb\tX\t\n2|t|C\n2|a|D\n")
    assert corpus.issues.counts == {"unknown_id": 2, "trailing_tab": 1, "no_relations": 2}
    assert [document.text for document in corpus.documents] == ["A b", "C D"]


FAULTS = {
    "span outside": (GOOD.replace("17\t21", "17\t99"), "the span is 17 to 99, but title and abstract have 48"),
    "empty span": (GOOD.replace("17\t21", "17\t17"), "the span is 17 to 17"),
    "no token": (GOOD.replace("17\t21\trats", "16\t17\t "), "holds no token"),
    "offset": (GOOD.replace("17\t21", "x\t21"), "start is 'x'"),
    "columns": (GOOD.replace("\tDisease\tD1\t\n", "\n"), "4 columns"),
    "other document": (GOOD.replace("1\t17", "2\t17"), "is not an annotation of document 1"),
    "no title": (GOOD.replace("1|t|", "1|a|"), "without a title"),
    "nothing": ("\n", "holds 0 documents"),
    "entity type": (GOOD.replace("Disease", "Diseese"), 'the type is "Diseese", which is none of the 2 entity types'),
    "relation type": (GOOD.replace("CID", "CDI"), 'relation type is "CDI"'),
    "no text": ("1|t|\n1|a|\n", "holds 0 tokens"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_names_file_and_line(fault: str) -> None:
    text, expected = FAULTS[fault]
    with pytest.raises(UserError) as caught:
        parse(text, LabelSet(entity_types=("Chemical", "Disease"), relation_types=("CID",)))
    message = str(caught.value)
    assert message.startswith("cdr.txt: ")
    assert expected in message
    assert "line " in message or fault == "nothing"


def test_a_file_that_is_not_utf8_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "cdr.txt"
    path.write_bytes(GOOD.encode().replace(b"harms", b"h\xe4rms"))
    with pytest.raises(UserError, match="byte 16 is 0xe4, which is not UTF-8"):
        read_corpus(path)


TEXT = st.text(alphabet="aB1. -é,(\u00a0'", min_size=1, max_size=30).filter(str.strip)


@given(TEXT, TEXT, st.data())
def test_offsets_hold_and_tokens_never_cross_annotation_borders(title: str, abstract: str, data: st.DataObject) -> None:
    text = f"{title} {abstract}"
    starts = [number for number, character in enumerate(text) if not character.isspace()]
    lines = [f"7|t|{title}", f"7|a|{abstract}"]
    spans = []
    for number in range(data.draw(st.integers(0, 4))):
        start, last = sorted((data.draw(st.sampled_from(starts)), data.draw(st.sampled_from(starts))))
        spans.append((start, last + 1))
        lines.append(f"7\t{start}\t{last + 1}\t{text[start : last + 1]}\tX\tX{number}")
    (document,) = parse("\n".join(lines)).documents
    assert document.text == text
    assert document.offsets is not None
    assert tuple(text[start:end] for start, end in document.offsets) == document.tokens
    assert "".join(document.tokens) == "".join(text.split())
    for start, end in document.offsets:
        assert all(not start < border < end for span in spans for border in span)
    assert document.gold is not None
    for entity, (start, end) in zip(document.gold.entities, spans, strict=True):
        ((first, last),) = entity.mentions
        assert (document.offsets[first][0], document.offsets[last - 1][1]) == (start, end)
    # Sentences tile the tokens; only the title's end may lie inside a mention.
    assert [bound for sentence in document.sentences for bound in sentence][:: len(document.sentences) * 2 - 1] == [
        0,
        len(document.tokens),
    ]
    for start, end in document.sentences[1:]:
        assert start < end
        inside = any(first < start < last for entity in document.gold.entities for first, last in entity.mentions)
        assert not inside or document.offsets[start][0] > len(title)
