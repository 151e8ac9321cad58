"""Terminal output: data reports, documents and scores as tables, or any result as JSON, on stdout."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from core.data.documents import Annotation, Document, LabelSet
from core.scoring.metrics import HEADLINE, TASKS, Scores

COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red")
NUMBERS = ("count", "P", "R", "F1", "macro P", "macro R", "macro F1", "TP", "FP", "FN")
NAMES = {
    "coref": "coreference",
    "relation_strict": "strict relation",
    "muc": "MUC",
    "b_cubed": "B³",
    "ceaf_phi4": "CEAF φ4",
    "mean": "mean of the three",
}


def print_json(content: Any) -> None:
    """Print a result as indented JSON."""
    print(msgspec.json.format(msgspec.json.encode(content)).decode())


def print_report(content: Mapping[str, Any], kinds: Mapping[str, str], names: Mapping[str, str]) -> None:
    """Print a data report; `kinds` explains each data issue, `names` the relation types where known."""
    statistics = dict(content["statistics"])
    types = {kind: statistics.pop(kind) for kind in ("entity_types", "relation_types")}
    counts = _table("statistics", "count")
    for key, value in statistics.items():
        counts.add_row(key.replace("_", " "), f"{value:,}")
    for key, value in content.get("word_pieces", {}).items():
        counts.add_row(f"word pieces: {key.replace('_', ' ')}", f"{value:,}")
    tables = [counts]
    if content["dirt"]:
        issues = _table("data issue", "count", "what it is, and what becomes of it", "for example")
        for kind, count in content["dirt"].items():
            issues.add_row(kind, f"{count:,}", kinds[kind], Text(content["examples"][kind][0], overflow="ellipsis"))
        tables.append(issues)
    for kind, type_counts in types.items():
        if type_counts:
            tables.append(_table(kind.replace("_", " "), "count", "name"))
            for key, value in type_counts.items():
                tables[-1].add_row(key, f"{value:,}", names.get(key, ""))
    _print(Text(content["file"], style="bold"), *tables)


def print_document(document: Document, labels: LabelSet | None) -> None:
    """Print sentences with every mention in brackets and its entity's number, then the clusters, then the relations."""
    title = f"{document.id}: {document.title}" if document.title not in (None, document.id) else document.id
    gold = document.gold or Annotation()
    _print(Text(title, style="bold"), *_sentences(document, gold))
    if document.gold is None:
        _print(Text("no annotation", style="italic"))
        return
    clusters = _table("entity", "type", "mentions")
    for number, entity in enumerate(gold.entities):
        surfaces = " | ".join(document.surface(span) for span in entity.mentions)
        clusters.add_row(Text(str(number), style=_colour(number)), entity.type, Text(surfaces))
    ends = [
        Text(f"{number} {document.surface(entity.mentions[0])}", style=_colour(number))
        for number, entity in enumerate(gold.entities)
    ]
    relations = _table("head", "relation", "tail")
    for relation in gold.relations:
        name = labels.relation_name(relation.type) if labels else relation.type
        relation_text = relation.type if name == relation.type else f"{relation.type} {name}"
        relations.add_row(ends[relation.head], relation_text, ends[relation.tail])
    _print(clusters, relations)


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


def print_scores(scores: Scores) -> None:
    """Print the five tasks in one table, the diagnostics in another, the notes below; percent throughout."""
    extra = scores.extra
    tasks = _table(f"{extra['documents']} documents, percent", *NUMBERS[1:])
    for task in TASKS:
        values = [f"{value:.2f}" for value in msgspec.structs.astuple(getattr(scores, task))]
        counts = [str(extra["counts"][task][key]) for key in ("tp", "fp", "fn")]
        tasks.add_row(_name(task), *values, *counts, style="bold" if task == HEADLINE else None)
    headline = _name(HEADLINE)
    rows = [(f"coreference, {_name(measure)}", values) for measure, values in extra["coreference"].items()]
    rows += [(f"{_name(task)}, found by first mention", values) for task, values in extra["lenient"].items()]
    by_distance = extra.get("by_sentence_distance", {})
    rows += [(f"{headline}, {distance}-sentence", values) for distance, values in by_distance.items()]
    if "ign" in extra:
        rows.append((f"{headline}, without training facts (Ign)", extra["ign"]))
    diagnostics = _table("beyond the five tasks, percent", "P", "R", "F1")
    for name, measures in rows:
        keys = ("precision", "recall", "f1")
        diagnostics.add_row(name, *(f"{measures[key]:.2f}" if key in measures else "" for key in keys))
    notes = list(extra["notes"])
    if "ranking" in extra:
        ranking = extra["ranking"]
        average, best = f"{ranking['average_precision']:.2f}", f"{ranking['best_f1']:.2f}"
        notes.insert(
            0,
            f"{headline}, ranked by score: average precision {average}, best F1 {best} from "
            f"{ranking['best_threshold']:.3f} on",
        )
    if "on_gold" in extra:
        on_gold = [f"{extra['on_gold'][task]['f1']:.2f}" for task in ("relation", HEADLINE)]
        notes.insert(0, f"relation F1 on gold mentions and clusters {on_gold[0]}, strict {on_gold[1]}")
    _print(tasks, "", diagnostics, "", *(f"- {note}" for note in notes))


def _name(key: str) -> str:
    return NAMES.get(key, key)


def _colour(number: int) -> str:
    return f"not dim {COLOURS[number % len(COLOURS)]}"


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in NUMBERS else "left", overflow="fold")
    return table


def _print(*parts: RenderableType) -> None:
    # A pipe has no width of its own, and rich's 80 columns would break lines that a reader wants whole.
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    for part in parts:
        console.print(part)
