"""Entities in all the forms that tools write: the same examples come of them, and what cannot be tagged is said."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from luthier.data.formats.label_studio import LabelStudio
from luthier.data.formats.spans import Spans
from luthier.data.formats.tagged_tokens import TaggedTokens
from luthier.data.sources.files import Files
from luthier.data.tagging.entities import word_spans
from luthier.data.tagging.tags import Span
from luthier.errors import DataError
from luthier_heads.listed_entities import ListedEntities

TEXT = "Ann of Acme Ltd met Bo ."
ENTITIES = [
    {"start": 0, "end": 3, "label": "PER"},
    {"start": 7, "end": 15, "label": "ORG"},
    {"start": 20, "end": 22, "label": "PER"},
]
TRIPLES = [[one["start"], one["end"], one["label"]] for one in ENTITIES]
BIO = ["B-PER", "O", "B-ORG", "I-ORG", "O", "B-PER", "O"]
ROWS: dict[str, dict[str, Any]] = {
    "JSON spans": {"text": TEXT, "entities": ENTITIES},
    "Prodigy": {"text": TEXT, "spans": [{**one, "token_start": 0, "token_end": 0} for one in ENTITIES]},
    "spaCy": {"text": TEXT, "ents": ENTITIES, "tokens": [{"id": 0, "start": 0, "end": 3}]},
    "Doccano": {"id": 7, "text": TEXT, "label": TRIPLES},
    "Doccano with relations": {
        "text": TEXT,
        "entities": [
            {"id": n, "label": one["label"], "start_offset": one["start"], "end_offset": one["end"]}
            for n, one in enumerate(ENTITIES)
        ],
        "relations": [],
    },
    "a data set of a hub": {"tokens": TEXT.split(), "ner_tags": BIO},
    "BILOU": {"tokens": TEXT.split(), "tags": ["U-PER", "O", "B-ORG", "L-ORG", "O", "U-PER", "O"]},
    "BIOES": {"words": TEXT.split(), "labels": ["S-PER", "O", "B-ORG", "E-ORG", "O", "S-PER", "O"]},
    "Label Studio": {
        "id": 1,
        "data": {"text": TEXT},
        "annotations": [
            {
                "result": [
                    {"type": "labels", "value": {"start": s, "end": e, "text": TEXT[s:e], "labels": [label]}}
                    for s, e, label in reversed(TRIPLES)
                ]
            }
        ],
    },
}


def read(tmp_path: Path, *rows: dict[str, Any], **settings: Any) -> tuple[list[Any], Mapping[str, int]]:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    source = Files(file=str(file), **settings)
    return list(source), source.counts


@pytest.mark.parametrize("name", ROWS)
def test_each_form_is_recognised_and_gives_the_same_entities(name: str, tmp_path: Path) -> None:
    (example,), _ = read(tmp_path, ROWS[name])
    assert (example["text"], example["entities"]) == (TEXT, ENTITIES)
    assert word_spans(example) == [Span(0, 1, "PER"), Span(2, 4, "ORG"), Span(5, 6, "PER")]
    assert json.loads(example["messages"][1]["content"])[1] == {"type": "ORG", "text": "Acme Ltd"}


def test_a_conll_file_gives_its_sentences_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "train.conll"
    sentence = "".join(f"{word} NN X {tag}\n" for word, tag in zip(TEXT.split(), BIO, strict=True))
    file.write_text(f"-DOCSTART- -X- O O\n\n{sentence}\n# id = 2\n{sentence}", encoding="utf-8")
    examples = list(Files(file=str(file)))
    assert [one["entities"] for one in examples] == [ENTITIES]  # the second is the same one
    assert examples[0]["where"] == f"{file}:3"
    file.write_text(f"{sentence}\nalone\n", encoding="utf-8")
    with pytest.raises(DataError, match="has 1 field, and a word and its tag are expected") as error:
        list(Files(file=str(file)))
    assert error.value.where == f"{file}:9"


def test_integer_tags_need_names() -> None:
    row = {"tokens": ["Ann", "met"], "ner_tags": [1, 0]}
    with pytest.raises(DataError, match="what they stand for is not known"):
        TaggedTokens()(row, Counter())
    assert TaggedTokens(names=["O", "B-PER"])(row, Counter())["entities"] == [{"start": 0, "end": 3, "label": "PER"}]
    with pytest.raises(DataError, match="names are given for 0 to 0"):
        TaggedTokens(names=["O"])(row, Counter())


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ([[0, 99, "PER"]], r"reaches from character 0 to 99, and the text has 24"),
        ([[5, 3, "PER"]], r"reaches from character 5 to 3"),
        ([[3, 4, "PER"]], r"no word"),
        ([[0, 3, "PER"], [0, 15, "ORG"]], r"'Ann' \(PER\) and 'Ann of Acme Ltd' \(ORG\) overlap"),
        ([[0, 3]], r"A span of `entities` is \[0, 3\]"),
        ([{"start": "0", "end": 3, "label": "PER"}], r"A span of `entities` is"),
        ("PER", r"`entities` is text, where a list of spans is expected"),
    ],
)
def test_a_bad_span_is_refused_with_its_place(entities: Any, message: str, tmp_path: Path) -> None:
    good = {"text": TEXT, "entities": TRIPLES}
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path, good, {"text": TEXT + " Again.", "entities": entities} if "24" not in message else
             {"text": TEXT, "entities": entities})  # fmt: skip
    assert error.value.where.endswith("rows.jsonl:2")
    examples, counts = read(tmp_path, good, {"text": TEXT + " Again.", "entities": entities}, on_bad_row="skip")
    assert (len(examples), counts["skipped"]) == (1, 1)


def test_what_is_mended_is_counted() -> None:
    counts = Counter[str]()
    row = {"text": "Ann  paid USD5 .", "entities": [[0, 4, "PER"], [0, 3, "PER"], [13, 14, "AMOUNT"]]}
    example = Spans()(row, counts)
    assert example["entities"] == [{"start": 0, "end": 3, "label": "PER"}, {"start": 13, "end": 14, "label": "AMOUNT"}]
    assert word_spans(example) == [Span(0, 1, "PER"), Span(2, 3, "AMOUNT")]
    assert counts == {
        "entity_without_its_outer_blanks": 1, "entity_given_twice": 1, "entity_widened_to_whole_words": 1,
    }  # fmt: skip
    counts = Counter()
    TaggedTokens()({"tokens": ["a", "b"], "tags": ["I-X", "I-X"]}, counts)
    assert counts["entity_that_begins_with_a_tag_of_the_inside"] == 1


def test_words_of_the_data_are_not_cut_and_no_word_has_two_entities() -> None:
    example = {"text": "Ann met", "words": [[0, 3], [4, 7]], "entities": [{"start": 0, "end": 2, "label": "PER"}]}
    with pytest.raises(DataError, match="cuts the word 'Ann'"):
        word_spans(example)
    twice = [{"start": 0, "end": 3, "label": "CUR"}, {"start": 3, "end": 4, "label": "AMOUNT"}]
    with pytest.raises(DataError, match="Two entities have parts of the word 'USD5'"):
        word_spans({"text": "USD5", "entities": twice})


@pytest.mark.parametrize("tags", [["O"], ["O", 3.5], []])
def test_words_and_tags_must_be_as_many(tags: list[Any]) -> None:
    with pytest.raises(DataError):
        TaggedTokens()({"tokens": ["Ann", "met"], "tags": tags}, Counter())


def test_tasks_of_label_studio_without_an_annotation_are_left_out_and_regions_have_one_label() -> None:
    counts, task = Counter[str](), ROWS["Label Studio"]
    assert LabelStudio()({**task, "annotations": [{"was_cancelled": True, "result": []}]}, counts) is None
    assert counts["task_without_annotation_left_out"] == 1
    two = {"result": [{"type": "labels", "value": {"start": 0, "end": 3, "labels": ["PER", "ORG"]}}]}
    with pytest.raises(DataError, match="A region has 2 labels"):
        LabelStudio()({**task, "annotations": [two]}, counts)


def test_listed_entities_are_looked_for_in_order() -> None:
    def row(answer: str) -> dict[str, Any]:
        return {"input": [{"role": "system", "content": "List."}, {"role": "user", "content": TEXT}], "ideal": answer}

    counts = Counter[str]()
    example = ListedEntities()(row("[Ann - PER, Acme Ltd - ORG, Bo - PER]"), counts)
    assert example is not None
    assert example["entities"] == ENTITIES
    nothing = ListedEntities()(row("No entities found"), counts)
    assert nothing is not None
    assert nothing["entities"] == []
    assert ListedEntities()(row("[Bo - PER, Ann - PER]"), counts) is None
    assert counts["entity_not_in_the_text_so_row_left_out"] == 1
