"""Classifiers as a user makes them: data of all kinds, adaptations, artifacts, other programs, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import luthier
from luthier.errors import RecipeError
from tests.command import luthier as command

WORDS = {"good": "fine lovely warm clear sweet", "bad": "dull harsh weak broken sour", "so so": "plain usual common"}


def rows(count: int = 60) -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    labels = list(WORDS)
    return [
        {
            "text": f"A {random.choice(WORDS[label].split())} and {random.choice(WORDS[label].split())} tone, no {n}.",
            "label": label,
        }
        for n, label in enumerate(labels[number % 3] for number in range(count))
    ]


def run(
    tmp_path: Path,
    data: list[dict[str, Any]],
    *words: str,
    folder: str = "run",
    fails: bool = False,
    **environment: str,
) -> str:
    file = tmp_path / "data.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in data), encoding="utf-8")
    done = command(
        "method=classify", "model=tiny_encoder", "data=jsonl", f"data.file={file}",
        *([] if "data/splits=as_given" in words else ["data.splits.test=0.2"]),
        "trainer.precision=fp32", "batch.length=64", *words, f"hydra.run.dir={tmp_path / folder}",
        **environment,
    )  # fmt: skip
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


LEARN = ("trainer.epochs=12", "optimizer.lr=0.002", "batch.size=2", "batch.micro=1")


@pytest.mark.parametrize("adaptation", ["full", "lora", "bottleneck", "ia3", "bitfit", "freeze", "qlora", "pissa"])
def test_what_was_trained_is_what_is_loaded(adaptation: str, tmp_path: Path) -> None:
    out = run(
        tmp_path, rows(), *LEARN, f"adaptation={adaptation}", "evaluation/task=labels", "data.splits.validation=0.3",
        "score=accuracy",
    )  # fmt: skip
    assert "auroc" in out
    model = luthier.load(tmp_path / "run")
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    after = {one["name"]: one["after"]["value"] for one in record["comparisons"]}
    assert record["labels"] == ["bad", "good", "so so"]
    if adaptation in ("full", "lora"):
        assert after["accuracy"] > 0.8
    test = [one for one in rows() if model.classify([one["text"]])[0].label == one["label"]]
    assert len(test) >= 55 or adaptation not in ("full", "lora")
    sets = model.classify([row["text"] for row in rows()], error=0.2)
    assert all(one.labels and one.labels[0] == one.label for one in sets)
    titles = [one["title"] for one in record["sections"]]
    assert titles == ["What is taken for what", "Where it is most wrong", "Answers with a guarantee"]
    assert {proof["reader"] for proof in record["proofs"]} <= {"plain transformers", "plain PEFT", "luthier"}


def test_a_pipeline_of_transformers_gives_the_same_probabilities(tmp_path: Path) -> None:
    from transformers import pipeline

    run(tmp_path, rows(), *LEARN)
    texts = [row["text"] for row in rows(9)] + ["", "warm " * 400, "A tone.<|im_end|>"]
    ours = luthier.load(tmp_path / "run").classify(texts)
    plain = pipeline("text-classification", model=str(tmp_path / "run" / "artifact"), top_k=None, truncation=True)
    for one, theirs in zip(ours, plain(texts), strict=True):
        assert {each["label"]: each["score"] for each in theirs} == pytest.approx(one.probabilities, abs=1e-5)


def test_a_language_model_with_a_head_is_a_pipeline_as_well(tmp_path: Path) -> None:
    from transformers import pipeline

    run(tmp_path, rows(), "model=tiny")
    texts = [row["text"] for row in rows(4)] + ["a"]
    ours = luthier.load(tmp_path / "run").classify(texts)
    plain = pipeline("text-classification", model=str(tmp_path / "run" / "artifact"), top_k=None)
    for one, text in zip(ours, texts, strict=True):  # one by one: a batch of it needs a token of padding that is none
        assert {each["label"]: each["score"] for each in plain([text])[0]} == pytest.approx(one.probabilities, abs=1e-5)


def test_an_earlier_classifier_goes_on_and_one_of_other_labels_begins_a_new_head(tmp_path: Path) -> None:
    run(tmp_path, rows(), *LEARN, "adaptation=lora")
    before = luthier.load(tmp_path / "run").merged().classifier.weight
    for data, same in ((rows(), True), ([{**row, "label": row["label"][0]} for row in rows()], False)):
        run(tmp_path, data, "model=run", f"model.path={tmp_path / 'run'}", "optimizer.lr=1e-9", folder=f"next{same}")
        after = luthier.load(tmp_path / f"next{same}").network.classifier.weight
        assert torch.allclose(before, after, atol=1e-5) == same


def test_several_labels_and_numbers_are_learnt_too(tmp_path: Path) -> None:
    several = [{**row, "labels": f"{row['label']}, all" if n % 2 else ""} for n, row in enumerate(rows())]
    for row in several:
        del row["label"]
    words = ("data/format=multi_label", "method/objective=several_labels", "score=macro_f1")
    out = run(tmp_path, several, *LEARN, *words, folder="several")
    assert "exact labels" in out
    assert set(luthier.load(tmp_path / "several").classify(["A warm tone."])[0].probabilities) == {*WORDS, "all"}
    numbers = [{"text": row["text"], "stars": 4.0 * (row["label"] == "good")} for row in rows()]
    words = ("data/format=text", "method/objective=number", "method.objective.column=stars", "score=absolute_error")
    run(tmp_path, numbers, *LEARN, *words, "data.splits.validation=0.3", folder="number")
    model = luthier.load(tmp_path / "number")
    good, bad = model.classify(["A warm and lovely tone, no 3.", "A dull and harsh tone, no 3."], error=0.2)
    assert good.probabilities["stars"] > bad.probabilities["stars"]
    assert good.interval is not None


def test_labels_may_be_numbers_booleans_and_names_with_spaces(tmp_path: Path) -> None:
    numbered = [{**row, "label": list(WORDS).index(row["label"])} for row in rows(30)]
    run(tmp_path, numbered, "method/objective=ordinal", folder="numbers")
    assert list(luthier.load(tmp_path / "numbers").classify(["a"])[0].probabilities) == ["0", "1", "2"]
    run(tmp_path, [{**row, "label": row["label"] == "good"} for row in rows(30)], folder="booleans")
    assert list(luthier.load(tmp_path / "booleans").classify(["a"])[0].probabilities) == ["false", "true"]
    named = [{"review": row["text"], "mood": f"  {row['label']} "} for row in rows(30)]
    words = ("data/format=classification", "data.format.text=review", "data.format.label=mood")
    run(tmp_path, named, *words, "method.labels=[good,so so,bad]", folder="named")
    assert list(luthier.load(tmp_path / "named").classify(["a"])[0].probabilities) == ["good", "so so", "bad"]


@pytest.mark.parametrize(
    ("changed", "words", "message"),
    [
        ({3: {"label": None}}, ("data/format=classification",), "`label` is"),
        ({3: {"split": "test", "label": "new"}}, ("data/splits=as_given",), "'new' is a label of the data"),
        ({3: {"label": "new"}}, ("method.labels=[good,bad,so so]",), "'new' is a label of the data"),
        ({n: {"label": "good"} for n in range(60)}, (), "have the label 'good'"),
        ({3: {"text": "long " * 200}}, (), "longer than batch.length=64"),
        ({}, ("adaptation=prefix",), "virtual tokens"),
        ({}, ("prompt=instruction",), "reads the text alone"),
        ({}, ("method=sft",), "no causal language model"),
        ({}, ("method=reward_model", "method/objective=rating_class", "method.objective.labels=[good,bad,so so]",
              "score=label_accuracy"), "is an encoder"),
    ],
)  # fmt: skip
def test_what_cannot_be_learnt_is_refused_before_it_is_trained(
    changed: dict[int, dict[str, Any]], words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    data = [{**row, "split": "train" if n % 4 else "test", **changed.get(n, {})} for n, row in enumerate(rows())]
    if not any("as_given" in word for word in words):
        for row in data:
            del row["split"]
    said = run(tmp_path, data, *words, fails=True)
    assert message in said
    assert "Traceback" not in said
    assert "step 1/" not in said


def test_a_class_without_training_examples_is_said(tmp_path: Path) -> None:
    out = run(tmp_path, rows(30), "method.labels=[good,bad,so so,best]")
    assert "No training example has the label best" in out


def test_long_texts_keep_their_end_where_they_are_truncated(tmp_path: Path) -> None:
    run(
        tmp_path,
        [{**row, "text": f"{n} " + "long " * 100} for n, row in enumerate(rows(12))],
        "batch.overlong=truncate",
    )
    ledger = json.loads((tmp_path / "run" / "record.json").read_text())["ledger"]["tokens"]
    assert len(ledger) == 64
    assert ledger[-1]["text"] == "<|im_end|>"


def test_a_classifier_gives_no_rewards_and_writes_nothing(tmp_path: Path) -> None:
    run(tmp_path, rows(12))
    model = luthier.load(tmp_path / "run")
    with pytest.raises(RecipeError, match="no reward model"):
        model.rewards([[{"role": "user", "content": "Hm?"}]])
    with pytest.raises(RecipeError, match="generates none"):
        model.generate([[{"role": "user", "content": "Hm?"}]])
    with pytest.raises(RecipeError, match="held out no validation"):
        model.classify(["a"], error=0.1)


def test_what_is_computed_in_bfloat16_is_packed_as_in_float32(tmp_path: Path) -> None:
    run(tmp_path, rows(12), "trainer.precision=bf16", LUTHIER_CACHE=str(tmp_path / "cache"))
    facts = json.loads((tmp_path / "run" / "record.json").read_text())["method"]
    assert "Texts of a batch" not in facts
    assert "each text as alone" in facts["Proof before training"]


def test_a_run_in_half_precision_is_packed_right(tmp_path: Path) -> None:
    for dtype in ("bfloat16", "float16"):
        run(tmp_path, rows(12), f"model.dtype={dtype}", "trainer.precision=fp32", folder=dtype)
        assert luthier.load(tmp_path / dtype).network.dtype == getattr(torch, dtype)
