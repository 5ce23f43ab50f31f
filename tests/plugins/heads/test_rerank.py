"""Rerankers as a user makes them: objectives, token types, artifacts, other programs, refusals."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing

import luthier
from luthier.api import Row, encode_text_pair, packed_batches, pair_outputs
from luthier.errors import RecipeError
from tests.plugins.heads.pairs import LEARN, pairs, run, scores

RERANK = ("method=rerank", *LEARN)
QUERY = "About the bow, 3?"
DOCUMENTS = ["There are scroll pegs nut board glue.", "There are hair rosin frog stick tip.", "", "rosin " * 300]


@pytest.mark.parametrize(
    "objective", ["pointwise", "pairwise_logistic", pytest.param("pairwise_margin", marks=pytest.mark.exhaustive)]
)
def test_a_reranker_learns_and_reads_as_a_cross_encoder_does(objective: str, tmp_path: Path) -> None:
    run(tmp_path, pairs(negatives=True), *RERANK, f"method/objective={objective}", "score=mrr")
    after = scores(tmp_path)["mrr"][1]
    assert after > 0.7
    ranked = luthier.load(tmp_path / "run").rerank(QUERY, DOCUMENTS)
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
    ours = {one.number: one.score for one in ranked}
    if objective == "pointwise":
        assert all(0 <= score <= 1 for score in ours.values())
    model = import_module("sentence_transformers").CrossEncoder(str(tmp_path / "run" / "artifact"))
    theirs = model.predict([(QUERY, document) for document in DOCUMENTS])
    assert [ours[number] for number in range(4)] == pytest.approx(theirs.tolist(), abs=1e-5)


def test_graded_pairs_teach_a_score(tmp_path: Path) -> None:
    scale = ("data/format=graded_pairs", "data.format.highest=5")
    rows: list[dict[str, Any]] = [
        {"sentence1": f"No. {n}", "sentence2": f"a {['good', 'fair', 'poor'][n % 3]} fit", "score": [5, 2, 0.5][n % 3]}
        for n in range(45)
    ]
    run(tmp_path, rows, *RERANK, "method/objective=graded", *scale, "score=spearman", "trainer.epochs=40")
    assert scores(tmp_path)["spearman"][1] > 0.8
    good, poor = luthier.load(tmp_path / "run").rerank("No. 3", ["a poor fit", "a good fit"])
    assert (good.number, poor.number) == (1, 0)
    assert 0 <= poor.score < good.score <= 1


def test_plain_transformers_gives_the_same_output(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    run(tmp_path, pairs(20, negatives=True), "method=rerank", "method/objective=pairwise_logistic",
        "adaptation=lora", "trainer.max_steps=3", "optimizer.lr=0.01")  # fmt: skip
    from tests.command import luthier as command

    done = command("export", str(tmp_path / "run"), str(tmp_path / "whole"))
    assert not done.returncode, done.stderr
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "whole")
    network = AutoModelForSequenceClassification.from_pretrained(tmp_path / "whole")
    ours = {one.number: one.score for one in luthier.load(tmp_path / "run").rerank(QUERY, DOCUMENTS[:2])}
    for number, document in enumerate(DOCUMENTS[:2]):
        with torch.no_grad():
            theirs = network(**tokenizer(QUERY, document, return_tensors="pt")).logits
        assert float(theirs) == pytest.approx(ours[number], abs=1e-5)
    crossed = import_module("sentence_transformers").CrossEncoder(str(tmp_path / "whole"))
    assert crossed.predict([(QUERY, DOCUMENTS[0])]).tolist() == pytest.approx([ours[0]], abs=1e-5)


def test_a_language_model_reranks(tmp_path: Path) -> None:
    run(tmp_path, pairs(20, negatives=True), "method=rerank", "model=tiny", "trainer.max_steps=2")
    ours = {one.number: one.score for one in luthier.load(tmp_path / "run").rerank(QUERY, DOCUMENTS[:2])}
    model = import_module("sentence_transformers").CrossEncoder(str(tmp_path / "run" / "artifact"))
    for number, document in enumerate(DOCUMENTS[:2]):  # one by one, as its token of padding is that of the end
        assert model.predict([(QUERY, document)]).tolist() == pytest.approx([ours[number]], abs=1e-5)


@pytest.mark.parametrize(
    "architecture",
    ["bert", "deberta-v2", *(pytest.param(one, marks=pytest.mark.exhaustive) for one in ("roberta", "modernbert"))],
)
def test_packed_pairs_have_their_token_types(architecture: str, tmp_path: Path) -> None:
    """What packed pairs give is what transformers gives each of them, with the types of its tokens."""
    from luthier.models.random import Random
    from luthier.models.sequence_classification import SequenceClassification
    from luthier_heads.rerank import HEAD

    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    sizes |= {"type_vocab_size": 2} if architecture in ("bert", "deberta-v2") else {}
    model = SequenceClassification(Random(architecture=architecture, config=sizes), head=HEAD)
    network, tokenizer = model.network().eval(), model.tokenizer
    if typed := architecture in ("bert", "deberta-v2"):
        tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="<|im_start|> $A <|im_end|>", pair="<|im_start|> $A <|im_end|> $B:1 <|im_end|>:1",
            special_tokens=[(one, tokenizer.convert_tokens_to_ids(one)) for one in ("<|im_start|>", "<|im_end|>")],
        )  # fmt: skip
    with torch.no_grad():  # so that types weigh something
        for weight in network.parameters():
            if weight.dim() == 2:
                weight.mul_(20)
    texts = [(QUERY, document) for document in DOCUMENTS[:3]] + [("a", "b c d")]
    made = [encode_text_pair(*pair, tokenizer, 64) for pair in texts]
    rows = [Row((sequence,), {"second": float(second)}) for sequence, second, _ in made]
    found = np.zeros(len(rows))
    with torch.no_grad():
        for group, batch in packed_batches(rows, "cpu", length=40):
            found[group] = pair_outputs(network, batch).numpy()
        for number, pair in enumerate(texts):
            encoded = tokenizer([pair[0]], [pair[1]], return_tensors="pt")
            assert ("token_type_ids" in encoded) == typed
            assert float(network(**encoded).logits) == pytest.approx(found[number], abs=1e-4, rel=1e-4)
            if typed:
                untyped = float(network(input_ids=encoded.input_ids).logits)
                assert untyped != pytest.approx(found[number], abs=1e-2)


@pytest.mark.parametrize(
    ("data", "words", "message"),
    [
        (pairs(20), (), "no document that does not fit"),
        (pairs(20, negatives=True), ("method/objective=graded",), "The column `score` is missing"),
        (pairs(20, negatives=True), ("method.length=6",), "leaves no room for a document"),
        (pairs(20, negatives=True), ("method.length=100000",), "is more than the model's"),
        (pairs(20, negatives=True), ("adaptation=prefix",), "virtual tokens"),
    ],
)
def test_what_cannot_be_reranked_is_refused_before_it_is_trained(
    data: list[dict[str, Any]], words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    said = run(tmp_path, data, "method=rerank", *words, fails=True)
    assert message in said
    assert "Traceback" not in said
    assert "step 1/" not in said


def test_a_reranker_is_no_classifier(tmp_path: Path) -> None:
    run(tmp_path, pairs(20, negatives=True), "method=rerank", "trainer.max_steps=1")
    model = luthier.load(tmp_path / "run")
    with pytest.raises(RecipeError, match="scores a document for a query"):
        model.classify(["a"])
    with pytest.raises(RecipeError, match="no embedder"):
        model.embed(["a"])
