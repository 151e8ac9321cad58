import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.commands.score import score
from core.data.documents import Annotation, Document, Entity, Relation
from core.data.formats import read_corpus
from core.data.formats.predictions import write_predictions
from core.errors import UserError

TASKS = {"mention", "coref", "entity", "relation", "relation_strict"}
DOCRED = [
    {
        "title": title,
        "sents": [["Ann", "was", "born", "in", "Bonn", "."], ["She", "left", "."]],
        "vertexSet": [
            [{"name": "Ann", "sent_id": 0, "pos": [0, 1], "type": "PER"}],
            [{"name": "Bonn", "sent_id": 0, "pos": [4, 5], "type": "LOC"}],
        ],
        "labels": [{"h": 0, "t": 1, "r": "P19", "evidence": [0]}],
    }
    for title in ("One", "Two")
]
TYPES = {
    "entities": {"PER": {"short": "PER", "verbose": "person"}, "LOC": {"short": "LOC", "verbose": "place"}},
    "relations": {"P19": {"short": "P19", "verbose": "place of birth", "symmetric": False}},
}


def jerex(document: dict[str, Any]) -> dict[str, Any]:
    """What JEREX would have predicted, all of it right."""
    return {
        "tokens": [token for sentence in document["sents"] for token in sentence],
        "mentions": [{"start": 0, "end": 1}, {"start": 4, "end": 5}],
        "entities": [{"mentions": [0], "type": "PER"}, {"mentions": [1], "type": "LOC"}],
        "relations": [{"head": 0, "tail": 1, "type": "P19"}],
    }


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    return written(tmp_path / "gold.json", DOCRED)


def written(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def scored(capsys: pytest.CaptureFixture[str], **paths: Any) -> dict[str, Any]:
    score(json=True, **paths)
    return json.loads(capsys.readouterr().out)


def test_the_json_has_the_five_tasks_and_extra(gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictions = written(tmp_path / "predictions.json", [jerex(d) for d in DOCRED])
    scores = scored(capsys, gold=gold, predictions=predictions)
    assert set(scores) == TASKS | {"extra"}
    fields = {"precision", "recall", "f1", "macro_precision", "macro_recall", "macro_f1"}
    assert all(scores[task] == dict.fromkeys(fields, 100.0) for task in TASKS)
    assert scores["extra"]["by_sentence_distance"]["intra"]["tp"] == 2
    assert scores["extra"]["coreference"]["b_cubed"]["f1"] == 100


def test_predictions_as_jerex_itself_stores_them(
    gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = [
        {
            **jerex(document),
            "mentions": [[0, 1], [4, 5]],
            "clusters": [[1], [0]],
            "entities": [{"cluster": 1, "type": "PER"}, {"cluster": 0, "type": "LOC"}],
        }
        for document in DOCRED
    ]
    scores = scored(capsys, gold=gold, predictions=written(tmp_path / "predictions.json", stored))
    assert all(scores[task]["f1"] == 100 for task in TASKS)
    stored[1]["entities"][0]["cluster"] = -1
    with pytest.raises(UserError, match=r"document 1: field entities\[0\].cluster is -1, but there are 2 clusters"):
        score(gold=gold, predictions=written(tmp_path / "predictions.json", stored))


@pytest.mark.parametrize("system", ["jerex_grc", "jerex_mrc", "mem_grc_flow", "mem_mrc_flow"])
def test_predictions_of_the_references_score_as_recorded(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], system: str
) -> None:
    raw = [document["raw"] for document in json.loads((shared / "golden" / "docs.json").read_text())]
    recorded = json.loads((shared / "golden" / system / "predictions.json").read_text())
    stored = []
    for document, prediction in zip(raw, recorded["docs"], strict=True):
        clusters = [
            [prediction["mentions"].index(mention) for mention in entity["mentions"]]
            for entity in prediction["entities"]
        ]
        stored.append(
            {
                "tokens": [token for sentence in document["sents"] for token in sentence],
                "mentions": prediction["mentions"],
                "clusters": clusters,
                "entities": [{"cluster": i, "type": entity["type"]} for i, entity in enumerate(prediction["entities"])],
                "relations": prediction["relations"],
            }
        )
    scores = scored(capsys, gold=written(tmp_path / "g.json", raw), predictions=written(tmp_path / "p.json", stored))
    names = {"prec_micro": "precision", "rec_micro": "recall", "f1_micro": "f1"}
    names |= {f"{short}_macro": f"macro_{names[f'{short}_micro']}" for short in ("prec", "rec", "f1")}
    for task, values in recorded["metrics_vs_gold_over_6_docs"].items():
        ours = scores[{"rel": "relation", "rel_nec": "relation_strict"}.get(task, task)]
        assert ours == pytest.approx({names[name]: value for name, value in values.items()}, abs=1e-6)


def test_gold_in_the_form_of_predictions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "both.json", [jerex(d) for d in DOCRED])
    scores = scored(capsys, gold=path, predictions=path)
    assert scores["relation_strict"]["f1"] == 100
    # That form has no sentences, so nothing is known of what lies within one.
    assert "by_sentence_distance" not in scores["extra"]
    assert any("by_sentence_distance" in note for note in scores["extra"]["notes"])


def test_documents_are_matched_by_title_whatever_their_order(
    gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = [*DOCRED[:1], {**DOCRED[1], "labels": [], "vertexSet": DOCRED[1]["vertexSet"][:1]}]
    documents = read_corpus(written(tmp_path / "changed.json", changed)).documents
    pairs = [(document, document.gold) for document in reversed(documents) if document.gold is not None]
    write_predictions(pairs, tmp_path / "p.jsonl")
    scores = scored(capsys, gold=written(tmp_path / "gold.json", changed), predictions=tmp_path / "p.jsonl")
    assert scores["relation_strict"]["f1"] == 100
    assert scores["entity"]["f1"] == 100


def test_a_missing_prediction_is_named(gold: Path, tmp_path: Path) -> None:
    documents = read_corpus(gold).documents
    write_predictions([(documents[0], documents[0].gold or Annotation())], tmp_path / "p.jsonl")
    with pytest.raises(UserError, match=r'no prediction for 1 of 2 documents \("Two"\)'):
        score(gold=gold, predictions=tmp_path / "p.jsonl")


def test_a_prediction_too_many_is_named(gold: Path, tmp_path: Path) -> None:
    documents = read_corpus(gold).documents
    write_predictions([(d, d.gold or Annotation()) for d in documents], tmp_path / "p.jsonl")
    with pytest.raises(UserError, match=r'no gold for 1 of 2 documents \("Two"\)'):
        score(gold=written(tmp_path / "one.json", DOCRED[:1]), predictions=tmp_path / "p.jsonl")


def test_by_order_both_counts_are_named(gold: Path, tmp_path: Path) -> None:
    predictions = written(tmp_path / "p.json", [jerex(DOCRED[0])] * 3)
    with pytest.raises(UserError, match=r"3 predicted documents, but .*gold\.json has 2"):
        score(gold=gold, predictions=predictions)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": ["Ann", "was"], "mentions": [], "entities": [], "relations": []}, "holds 2 tokens, .* has 9"),
        (
            {"tokens": ["Ann", "was", "born", "in", "Köln", ".", "She", "left", "."]},
            r'tokens\[4\] is "Köln", .* "Bonn"',
        ),
        ({"mentions": [{"start": 0, "end": 1}, {"start": 8, "end": 12}]}, r"mentions\[1\] .* 9 tokens"),
        ({"entities": [{"mentions": [7], "type": "PER"}], "relations": []}, r"entities\[0\].mentions is 7"),
        ({"relations": [{"head": 5, "tail": 1, "type": "P19"}]}, r"relations\[0\].head is 5"),
        ({"relations": [{"head": 0, "tail": -1, "type": "P19"}]}, r"relations\[0\].tail is -1"),
    ],
)
def test_what_cannot_be_right_names_file_document_and_field(
    gold: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    predictions = written(tmp_path / "p.json", [jerex(DOCRED[0]), {**jerex(DOCRED[1]), **change}])
    with pytest.raises(UserError, match=message) as raised:
        score(gold=gold, predictions=predictions)
    first_line = str(raised.value).splitlines()[0]
    assert first_line.startswith(f"{predictions}: document 1")


def test_blank_tokens_may_differ(gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blank = msgspec.json.decode(msgspec.json.encode(DOCRED))
    blank[0]["sents"][1][2] = "\u00a0"
    predicted = [jerex(d) for d in DOCRED]
    predicted[0]["tokens"][8] = " "
    paths = {"gold": written(tmp_path / "g.json", blank), "predictions": written(tmp_path / "p.json", predicted)}
    assert scored(capsys, **paths)["mention"]["f1"] == 100


def test_gold_without_annotation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text("Ann was born in Bonn.\n")
    predictions = written(tmp_path / "p.json", [jerex(DOCRED[0])])
    with pytest.raises(UserError, match="no gold annotation"):
        score(gold=tmp_path / "g.txt", predictions=predictions)


def test_readable_names_are_put_back_to_types(gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = [jerex(d) for d in DOCRED]
    for document in named:
        document["entities"][0]["type"] = "person"
        document["relations"][0]["type"] = "place of birth"
    predictions, types = written(tmp_path / "p.json", named), written(tmp_path / "types.json", TYPES)
    assert scored(capsys, gold=gold, predictions=predictions)["relation"]["f1"] == 0
    assert scored(capsys, gold=gold, predictions=predictions, types=types)["relation_strict"]["f1"] == 100
    named[1]["relations"][0]["type"] = "place of brith"
    with pytest.raises(UserError, match=r"document 1.*relations\[0\].type .*place of brith"):
        score(gold=gold, predictions=written(tmp_path / "p.json", named), types=types)


def test_names_that_never_meet_gold_leave_a_note(
    gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [{**jerex(d), "relations": [{"head": 0, "tail": 1, "type": "place of birth"}]} for d in DOCRED]
    scores = scored(capsys, gold=gold, predictions=written(tmp_path / "p.json", named))
    assert any("place of birth" in note and "--types" in note for note in scores["extra"]["notes"])
    right = written(tmp_path / "q.json", [jerex(d) for d in DOCRED])
    assert not any("--types" in note for note in scored(capsys, gold=gold, predictions=right)["extra"]["notes"])


@pytest.mark.parametrize("facts", [[["Ann", "Bonn", "P19"]], DOCRED[:1]])
def test_facts_come_from_a_fact_file_or_from_documents(
    gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], facts: Any
) -> None:
    predictions = written(tmp_path / "p.json", [jerex(d) for d in DOCRED])
    scores = scored(capsys, gold=gold, predictions=predictions, facts=written(tmp_path / "facts", facts))
    assert scores["extra"]["ign"]["ignored"] == 2
    assert scores["extra"]["ign"]["precision"] == 0
    assert scores["extra"]["ign"]["recall"] == 100


def test_scores_of_relations_give_average_precision(
    gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [
        (d, Annotation.from_entities(d.gold.entities, [Relation(0, 1, "P19", 0.8), Relation(1, 0, "P19", 0.7)]))
        for d in read_corpus(gold).documents
        if d.gold is not None
    ]
    write_predictions(pairs, tmp_path / "p.jsonl")
    ranking = scored(capsys, gold=gold, predictions=tmp_path / "p.jsonl")["extra"]["ranking"]
    assert ranking == pytest.approx({"average_precision": 100, "best_threshold": 0.8, "best_f1": 100})


def test_the_table_names_every_task(gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score(gold=gold, predictions=written(tmp_path / "p.json", [jerex(d) for d in DOCRED]))
    printed = capsys.readouterr()
    for name in ("mention", "coreference", "entity", "relation", "strict relation", "CEAF", "intra-sentence", "100.00"):
        assert name in printed.out
    assert printed.err == ""


def test_three_hundred_documents_without_torch_and_fast(shared: Path, tmp_path: Path) -> None:
    gold = shared / "data" / "docred_joint" / "dev_joint.json"
    pairs: list[tuple[Document, Annotation]] = []
    for number, document in enumerate(read_corpus(gold).documents):
        assert document.gold is not None
        # Every third document loses the mentions beyond the first of its entities: something to align and to miss.
        entities = [Entity(e.mentions[:1], e.type) if number % 3 == 0 else e for e in document.gold.entities]
        pairs.append((document, Annotation.from_entities(entities, document.gold.relations)))
    write_predictions(pairs, tmp_path / "p.jsonl")
    program = "import sys, engram; engram.main(); sys.exit('torch' in sys.modules)"
    command = [
        sys.executable,
        "-c",
        program,
        "score",
        "--gold",
        str(gold),
        "--predictions",
        str(tmp_path / "p.jsonl"),
        "--json",
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    # Of the processor, which others on the machine do not change: how long a user waits is the benchmark's part.
    assert used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime < 1.5
    scores = json.loads(done.stdout)
    assert scores["extra"]["documents"] == 300
    assert 50 < scores["coref"]["f1"] < 100
    assert scores["mention"]["precision"] == 100
