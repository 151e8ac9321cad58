r"""LaTeX of notes: what captions of one sentence leave out of a report's tables, for a paper's appendix."""

from collections.abc import Sequence

from reports.tables.latex.text import add_breaks, escape
from reports.tables.layout import Table


def to_notes(tables: Sequence[Table]) -> str:
    """A paragraph per table: every sentence of its caption behind the first, and its notes; each sentence once."""
    said: set[str] = set()
    lines = [r"\begingroup\sloppy"]
    for table in tables:
        sentences = [text for text in (*table.caption[1:], *table.notes) if text not in said]
        said.update(sentences)
        if sentences:
            heading = table.short_title + "." * (table.title[-1:] not in "?!.")
            lines += [
                rf"\paragraph{{{escape(add_breaks(heading))}}}",
                *(escape(add_breaks(sentence)) for sentence in sentences),
            ]
    return "\n".join([*lines, r"\par\endgroup", ""])
