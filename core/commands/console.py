"""A report on a file and a single document as text for a terminal.

Scores as tables for a terminal.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from core.data.documents import Annotation, Document, LabelSet
from core.scoring.metrics import HEADLINE, TASKS, Scores

COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red")


def report_view(content: Mapping[str, Any], kinds: Mapping[str, str], names: Mapping[str, str]) -> RenderableType:
    """The content of a data report; `kinds` explains each data issue, `names` the relation types where known."""
    statistics = dict(content["statistics"])
    types = {kind: statistics.pop(kind) for kind in ("entity_types", "relation_types")}
    counts = _table("statistics", "count")
    for key, value in statistics.items():
        counts.add_row(key.replace("_", " "), f"{value:,}")
    for key, value in content.get("word_pieces", {}).items():
        counts.add_row(f"word pieces: {key.replace('_', ' ')}", f"{value:,}")
    issues = _table("data issue", "count", "what it is, and what becomes of it", "for example")
    for kind, count in content["dirt"].items():
        issues.add_row(kind, f"{count:,}", kinds[kind], Text(content["examples"][kind][0], overflow="ellipsis"))
    parts: list[RenderableType] = [Text(content["file"], style="bold"), counts]
    if content["dirt"]:
        parts.append(issues)
    for kind, found in types.items():
        if found:
            table = _table(kind.replace("_", " "), "count", "name")
            for key, value in found.items():
                table.add_row(key, f"{value:,}", names.get(key, ""))
            parts.append(table)
    return Group(*parts)


def document_view(document: Document, labels: LabelSet | None) -> RenderableType:
    """Sentences with every mention in brackets and its entity's number, then the clusters, then the relations."""
    title = f"{document.id}: {document.title}" if document.title not in (None, document.id) else document.id
    gold = document.gold or Annotation()
    parts: list[RenderableType] = [Text(title, style="bold")]
    parts.extend(_sentences(document, gold))
    if document.gold is None:
        return Group(*parts, Text("no annotation", style="italic"))
    clusters = _table("entity", "type", "mentions")
    for number, entity in enumerate(gold.entities):
        surfaces = " | ".join(document.surface(span) for span in entity.mentions)
        clusters.add_row(Text(str(number), style=_colour(number)), entity.type, Text(surfaces))
    relations = _table("head", "relation", "tail")
    for relation in gold.relations:
        name = labels.relation_name(relation.type) if labels else relation.type
        shown = relation.type if name == relation.type else f"{relation.type} {name}"
        relations.add_row(
            _entity_name(document, gold, relation.head), shown, _entity_name(document, gold, relation.tail)
        )
    return Group(*parts, clusters, relations)


def _sentences(document: Document, gold: Annotation) -> Iterator[Text]:
    opening: dict[int, list[tuple[int, int]]] = {}
    closing: dict[int, list[tuple[int, int]]] = {}
    for number, entity in enumerate(gold.entities):
        for start, end in dict.fromkeys(entity.mentions):
            opening.setdefault(start, []).append((end, number))
            closing.setdefault(end, []).append((start, number))
    for index, (first, last) in enumerate(document.sentences):
        line = Text(f"{index:>3}  ", style="dim")
        for position in range(first, last):
            # Of mentions that begin or end together, the wider one is the outer one.
            for _, number in sorted(opening.get(position, ()), reverse=True):
                line.append("[", style=_colour(number))
            line.append(document.tokens[position], style="default not dim")
            for _, number in sorted(closing.get(position + 1, ()), reverse=True):
                line.append(f"]{number}", style=_colour(number))
            line.append(" ")
        yield line


def _entity_name(document: Document, gold: Annotation, number: int) -> Text:
    return Text(f"{number} {document.surface(gold.entities[number].mentions[0])}", style=_colour(number))


def _colour(number: int) -> str:
    return f"not dim {COLOURS[number % len(COLOURS)]}"


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column == "count" else "left", overflow="fold")
    return table


TASK_NAMES = {"coref": "coreference", "relation_strict": "strict relation"}
MEASURE_NAMES = {"muc": "MUC", "b_cubed": "B³", "ceaf_phi4": "CEAF φ4", "mean": "mean of the three"}


def score_view(scores: Scores) -> RenderableType:
    """The five tasks in one table, the diagnostics in another, the notes below; percent throughout."""
    extra = scores.extra
    tasks = _score_table(f"{extra['documents']} documents, percent", "P", "R", "F1", *_macro_names(), "TP", "FP", "FN")
    for task in TASKS:
        values = [f"{value:.2f}" for value in msgspec.structs.astuple(getattr(scores, task))]
        counts = [str(extra["counts"][task][key]) for key in ("tp", "fp", "fn")]
        tasks.add_row(_name(task), *values, *counts, style="bold" if task == HEADLINE else None)
    beyond = _score_table("Beyond the five tasks, percent", "P", "R", "F1")
    for measure, values in extra["coreference"].items():
        _add(beyond, f"coreference, {MEASURE_NAMES[measure]}", values)
    for task, values in extra["lenient"].items():
        _add(beyond, f"{_name(task)}, found by first mention", values)
    for distance, values in extra.get("by_sentence_distance", {}).items():
        _add(beyond, f"{_name(HEADLINE)}, {distance}-sentence", values)
    if "ign" in extra:
        _add(beyond, f"{_name(HEADLINE)}, without training facts (Ign)", extra["ign"])
    notes = [f"- {note}" for note in extra["notes"]]
    if "ranking" in extra:
        ranking = extra["ranking"]
        found = f"average precision {ranking['average_precision']:.2f}, best F1 {ranking['best_f1']:.2f}"
        notes.insert(0, f"{_name(HEADLINE)}, ranked by score: {found} from {ranking['best_threshold']:.3f} on")
    return Group(tasks, beyond, *notes)


def _score_table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right")
    return table


def _macro_names() -> list[str]:
    return [f"macro {name}" for name in ("P", "R", "F1")]


def _name(task: str) -> str:
    return TASK_NAMES.get(task, task)


def _add(table: Table, name: str, values: Mapping[str, float]) -> None:
    table.add_row(name, *(f"{values[key]:.2f}" if key in values else "" for key in ("precision", "recall", "f1")))
