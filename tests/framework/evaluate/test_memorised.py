"""Held-out examples that the model knows by heart are flagged; predictable and unknown ones are not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from luthier.contracts.batch import TokenSequence
from luthier.data.encoding import encode_text
from luthier.errors import RecipeError
from luthier.evaluation.evaluation import Evaluation
from luthier.evaluation.memorised import NGRAM, _counts, by_chance, memorised
from luthier.evaluation.tasks.none import NoTask
from tests.command import luthier

WORDS = [
    "amber",
    "birch",
    "cedar",
    "drone",
    "elbow",
    "fiddle",
    "grain",
    "heron",
    "inlay",
    "jetty",
    "knot",
    "larch",
    "maple",
    "nickel",
    "otter",
    "pearl",
    "quill",
]


def texts(seed, count, length=60):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, length)) for _ in range(count)]


def test_likeliest_tokens_are_those_of_plain_logits(subject):
    import torch

    whole = encode_text({"text": "The bow sounds warm. The river runs past."}, subject.tokenizer, end=False)
    (hits,) = subject.likeliest([whole])
    ids = torch.tensor(whole.ids, dtype=torch.int64)[None]
    with torch.no_grad():
        best = subject.network(input_ids=ids, use_cache=False).logits[0].argmax(-1)
    expected = np.concatenate([[False], (best[:-1] == ids[0, 1:]).numpy()])
    np.testing.assert_array_equal(hits, expected & (whole.weights > 0))


def test_an_ngram_counts_once_and_not_where_it_is_copied_from_before():
    ids = np.array([*range(10), *range(10), *range(20, 25)], dtype=np.int32)
    sequence = TokenSequence(ids, np.ones(len(ids), dtype=np.float32))
    assert _counts(sequence, np.ones(len(ids), dtype=np.bool_)) == (2, 2)  # 5 to 9, and 20 to 24
    hits = np.ones(len(ids), dtype=np.bool_)
    hits[7] = False
    assert _counts(sequence, hits) == (1, 2)


def test_the_chance_is_the_tail_of_the_binomial_distribution():
    assert by_chance(0, 7, 0.3) == pytest.approx(1)
    assert by_chance(2, 2, 0.1) == pytest.approx(0.01)
    assert by_chance(3, 10, 0.5) == pytest.approx(1 - (1 + 10 + 45) / 1024)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A model that was trained on some texts until it knew them by heart, and a run that starts from it."""
    place = tmp_path_factory.mktemp("heart")
    by_heart, new = texts(0, 2), texts(1, 6)
    rows = {"learn.jsonl": by_heart, "held.jsonl": [*by_heart, *new], "general.jsonl": texts(2, 12)}
    for name, of_file in rows.items():
        (place / name).write_text("".join(json.dumps({"text": text}) + "\n" for text in of_file))
    words = ("method=cpt", "data=text", "data/reader=jsonl", "batch.length=256", "trainer.precision=fp32")
    steps = ("trainer.max_steps=110", "trainer.epochs=99", "optimizer.lr=5e-3", "batch.size=1", "batch.micro=1")
    learn = ("data.file=learn.jsonl", "data.splits.test=0", "stages=[fit]", "hydra.run.dir=known")
    done = luthier(*words, *steps, *learn, cwd=place)
    assert done.returncode == 0, done.stderr
    measured = ("model=run", "model.path=known", "data.file=held.jsonl", "data.splits.test=1", "stages=[baseline]",
                "evaluation.memorised=8", "data@evaluation.general=jsonl", "evaluation.general.file=general.jsonl",
                "evaluation.samples=0", "hydra.run.dir=run")  # fmt: skip
    done = luthier(*words, *measured, cwd=place)
    assert done.returncode == 0, done.stderr
    return place, by_heart


def test_texts_that_were_learned_by_heart_are_flagged_in_the_report_and_no_others(learned):
    place, by_heart = learned
    found = json.loads((place / "run" / "scores" / "before" / "scores.json").read_text())["memorised"]
    assert found["looked_at"] == 8
    assert {one["begins"] for one in found["known"]} == {text[:60] for text in by_heart}
    record = json.loads((place / "run" / "record.json").read_text())
    assert [one["title"] for one in record["sections"]] == ["Known by heart before training"]
    assert any("known 2 of 8 held-out examples by heart" in line for line in record["warnings"])
    assert "Known by heart before training" in (place / "run" / "report.html").read_text(encoding="utf-8")


def test_a_model_that_learned_nothing_by_heart_is_not_accused(subject):
    examples = [{"text": text, "where": f"held.jsonl:{n}"} for n, text in enumerate(texts(1, 6))]
    found = memorised(subject, examples, texts(2, 6), 128)
    assert (found.known, found.looked_at) == ([], 6)
    short = memorised(subject, [{"text": "a"}], texts(2, 6), 128)
    assert (short.looked_at, short.too_short) == (0, 1)
    assert NGRAM == 5


def test_without_general_text_there_is_nothing_to_tell_it_from():
    with pytest.raises(RecipeError, match="told from general text"):
        Evaluation(task=NoTask(), general=[], general_examples=0, memorised=4)
