"""Data issues of a document: what is counted is what looking at every pair finds."""

from hypothesis import given
from hypothesis import strategies as st

from core.data.documents import Annotation, Document, Entity
from core.data.issues import Issues, count_issues

TOKENS = tuple("a b c d e f g h".split())
SPANS = st.tuples(st.integers(0, 6), st.integers(1, 4)).map(lambda span: (span[0], min(sum(span), len(TOKENS))))
CLUSTERS = st.lists(st.lists(SPANS, min_size=1, max_size=4), min_size=1, max_size=5)


@given(CLUSTERS)
def test_nested_mentions_are_counted_in_pairs_of_different_clusters(clusters: list[list[tuple[int, int]]]) -> None:
    gold = Annotation.from_entities((Entity(mentions=tuple(spans), type="T") for spans in clusters), ())
    document = Document(id="one", tokens=TOKENS, sentences=((0, len(TOKENS)),), gold=gold)
    issues = Issues()
    count_issues(document, issues, max_span_tokens=10)
    members = [(span, number) for number, spans in enumerate(clusters) for span in {*spans}]
    pairs = [
        f"one: {document.surface(inner)} in {document.surface(outer)}"
        for inner, number in members
        for outer, other in members
        if number != other and inner != outer and outer[0] <= inner[0] and inner[1] <= outer[1]
    ]
    assert issues.counts.get("nested_mention", 0) == len(pairs)
    assert {*issues.examples.get("nested_mention", [])} <= {*pairs}
