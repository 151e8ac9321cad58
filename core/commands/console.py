"""Terminal output: data reports, documents and scores as tables, or any result as JSON, on stdout."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import msgspec
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from core.data.documents import Annotation, Document, LabelSet
from core.records.memory_use import KnockOut
from core.scoring.metrics import HEADLINE, TASKS, Scores

NUMBERS = ("count", "P", "R", "F1", "macro P", "macro R", "macro F1", "TP", "FP", "FN")
COMPARED = ("difference", "better", "worse")
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
    pieces = {f"word pieces: {key}": value for key, value in content.get("word_pieces", {}).items()}
    tables = [_table("statistics", "count")]
    for key, value in {**statistics, **pieces}.items():
        tables[-1].add_row(key.replace("_", " "), f"{value:,}")
    if content["issues"]:
        tables.append(_table("data issue", "count", "what it is, and what becomes of it", "for example"))
        for kind, count in content["issues"].items():
            example = Text(content["examples"][kind][0], overflow="ellipsis")
            tables[-1].add_row(kind, f"{count:,}", kinds[kind], example)
    for kind, type_counts in types.items():
        if type_counts:
            tables.append(_table(kind.replace("_", " "), "count", "name"))
            for key, value in type_counts.items():
                tables[-1].add_row(key, f"{value:,}", names.get(key, ""))
    _print(content["file"], *tables)


def print_document(document: Document, labels: LabelSet | None) -> None:
    """Print sentences with every mention in brackets and its entity's number, then the clusters, then the relations."""
    title = f"{document.id}: {document.title}" if document.title not in (None, document.id) else document.id
    gold = document.gold or Annotation()
    _print(title, *_sentences(document, gold))
    if document.gold is None:
        _print("no annotation")
        return
    clusters, relations = _table("entity", "type", "mentions"), _table("head", "relation", "tail")
    for number, entity in enumerate(gold.entities):
        clusters.add_row(str(number), entity.type, " | ".join(document.surface(span) for span in entity.mentions))
    ends = [f"{number} {document.surface(entity.mentions[0])}" for number, entity in enumerate(gold.entities)]
    for relation in gold.relations:
        name = labels.relation_name(relation.type) if labels else relation.type
        relation_text = relation.type if name == relation.type else f"{relation.type} {name}"
        relations.add_row(ends[relation.head], relation_text, ends[relation.tail])
    _print(clusters, relations)


def _sentences(document: Document, gold: Annotation) -> Iterator[str]:
    # Of mentions that begin or end together, the wider one is the outer one.
    mentions = {(*span, number) for number, entity in enumerate(gold.entities) for span in entity.mentions}
    opening = Counter(start for start, _, _ in mentions)
    closing = sorted(mentions, reverse=True)
    for index, (first, last) in enumerate(document.sentences):
        words = []
        for position in range(first, last):
            closed = "".join(f"]{number}" for _, end, number in closing if end == position + 1)
            words.append("[" * opening[position] + document.tokens[position] + closed)
        yield f"{index:>3}  {' '.join(words)}"


def print_scores(scores: Scores) -> None:
    """Print the five tasks in one table, the diagnostics in another, the notes below; percent throughout."""
    extra = scores.extra
    tasks = _table(f"{extra['documents']} documents, percent", *NUMBERS[1:])
    for task in TASKS:
        task_scores = getattr(scores, task)
        if task_scores is None:
            tasks.add_row(_name(task), *("-" for _ in NUMBERS[1:]))
            continue
        values = [f"{value:.2f}" for value in msgspec.structs.astuple(task_scores)]
        counts = [str(extra["counts"][task][key]) for key in ("tp", "fp", "fn")]
        tasks.add_row(_name(task), *values, *counts, style="bold" if task == HEADLINE else None)
    headline = _name(HEADLINE)
    rows: list[tuple[str, Any]] = [
        (f"coreference, {_name(measure)}", values) for measure, values in extra["coreference"].items()
    ]
    rows += [(f"{_name(task)}, found by first mention", values) for task, values in extra["lenient"].items()]
    by_distance = extra.get("by_sentence_distance", {})
    rows += [(f"{headline}, {distance}-sentence", values) for distance, values in by_distance.items()]
    if "ign" in extra:
        rows.append((f"{headline}, without training facts (Ign)", extra["ign"]))
    diagnostics = _table("beyond the five tasks, percent", "P", "R", "F1")
    for name, measures in rows:
        keys = ("precision", "recall", "f1")
        diagnostics.add_row(name, *(f"{measures[key]:.2f}" if key in measures else "" for key in keys))
    notes = []
    if HEADLINE in extra.get("on_gold", {}):
        on_gold = [f"{extra['on_gold'][task]['f1']:.2f}" for task in ("relation", HEADLINE)]
        notes.append(f"relation F1 on gold mentions and clusters {on_gold[0]}, strict {on_gold[1]}")
    if "ranking" in extra:
        average, best, threshold = (extra["ranking"][key] for key in ("average_precision", "best_f1", "best_threshold"))
        scores_at = f"average precision {average:.2f}, best F1 {best:.2f} from {threshold:.3f} on"
        notes.append(f"{headline}, ranked by score: {scores_at}")
    _print(tasks, "", diagnostics, "", *(f"- {note}" for note in (*notes, *extra["notes"])))


def print_knock_outs(whole: Mapping[str, Any], knock_outs: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the F1 of the whole model, and under each knock-out F1, difference, and better and worse documents."""
    headings = [heading for name in knock_outs for heading in (name, *COMPARED)]
    table = _table("knock-outs, percent", "F1", *headings)
    for task in TASKS:
        values = [f"{whole[task]['f1']:.2f}"]
        for compared in knock_outs.values():
            values += [f"{compared['f1'][task]:.2f}", f"{compared['difference'][task]:+.2f}"]
            values += [str(compared[change][task]) for change in COMPARED[1:]]
        table.add_row(_name(task), *values, style="bold" if task == HEADLINE else None)
    notes = (
        "reading-off: memory is not read; mean-read: all rows of a document read the same, the mean of their reads",
        "better, worse: documents whose F1 rises or falls when the reading is taken away",
    )
    _print("", table, "", *(f"- {note}" for note in notes))


def _name(key: str) -> str:
    return NAMES.get(key, key)


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(
            column, justify="right" if column in (*NUMBERS, *COMPARED, *get_args(KnockOut)) else "left", overflow="fold"
        )
    return table


def _print(*parts: RenderableType) -> None:
    # A pipe has no width of its own, and rich's 80 columns would break lines that a reader wants whole.
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False, markup=False)
    for part in parts:
        console.print(part)
