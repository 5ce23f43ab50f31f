"""Embedders as a user makes them: data of all kinds, adaptations, artifacts, other programs, refusals."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import luthier
from luthier.errors import RecipeError
from tests.plugins.heads.pairs import LEARN, graded, pairs, run, scores

EMBED = ("method=embed", *LEARN)
TEXTS = ["About the bow, 3?", "The case has a lock.", "", "rosin " * 300]


def test_an_embedder_learns_and_reads_as_sentence_transformers_does(tmp_path: Path) -> None:
    run(
        tmp_path, pairs(), *EMBED, "method.query_prompt='query: '", "method.document_prompt='text: '",
        "method.dimensions=[16,8]", "score=ndcg", "data.splits.validation=0.2",
    )  # fmt: skip
    before, after = scores(tmp_path)["ndcg"]
    assert after > before + 0.1
    model = luthier.load(tmp_path / "run")
    queries, documents = (model.embed(TEXTS, kind=kind) for kind in ("query", "document"))
    assert np.abs(queries - documents).max() > 1e-3
    assert np.linalg.norm(queries, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    theirs = import_module("sentence_transformers").SentenceTransformer(str(tmp_path / "run" / "artifact"))
    assert np.abs(theirs.encode(TEXTS, prompt_name="query") - queries).max() < 1e-5
    assert np.abs(theirs.encode(TEXTS, prompt_name="document") - documents).max() < 1e-5
    assert np.abs(theirs.encode_query(TEXTS) - queries).max() < 1e-5
    cut = theirs.encode(TEXTS, prompt_name="query", truncate_dim=8, normalize_embeddings=True)
    assert np.abs(cut - model.embed(TEXTS, kind="query", dimensions=8)).max() < 1e-5
    titles = [one["title"] for one in json.loads((tmp_path / "run" / "record.json").read_text())["sections"]]
    assert titles == ["What the first dimensions are worth", "Where it is most wrong"]


def test_plain_transformers_gives_the_same_hidden_states(tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    run(tmp_path, pairs(20), "method=embed", "trainer.max_steps=2")
    folder = tmp_path / "run" / "artifact"
    rows = AutoTokenizer.from_pretrained(folder)(TEXTS[0], return_tensors="pt")
    with torch.no_grad():
        mean = AutoModel.from_pretrained(folder)(**rows).last_hidden_state[0].mean(0)
    ours = luthier.load(tmp_path / "run").embed(TEXTS[:1])
    assert torch.nn.functional.normalize(mean, dim=0).numpy() == pytest.approx(ours[0], abs=1e-5)


@pytest.mark.parametrize(
    ("words", "data"),
    [
        pytest.param(("method/objective=cosent", "score=spearman"), graded(), id="cosent"),
        pytest.param(
            ("method/objective=cosine_similarity", "score=spearman"),
            graded(),
            marks=pytest.mark.exhaustive,
            id="cosine",
        ),
        pytest.param(
            ("method/objective=triplet", "method.objective.distance=euclidean"), pairs(negatives=True), id="triplet"
        ),
        pytest.param(
            ("method/objective=multiple_negatives", "method.objective.symmetric=true"),
            pairs(negatives=True),
            marks=pytest.mark.exhaustive,
            id="symmetric",
        ),
    ],
)
def test_each_objective_learns_from_its_data(
    words: tuple[str, ...], data: list[dict[str, Any]], tmp_path: Path
) -> None:
    scale = ("data/format=graded_pairs", "data.format.highest=5") if "score" in data[0] else ()
    run(tmp_path, data, *EMBED, *words, *scale)
    before, after = scores(tmp_path)["spearman" if "score" in data[0] else "ndcg"]
    assert after > before + 0.1


@pytest.mark.parametrize(
    "adaptation", ["lora", *(pytest.param(one, marks=pytest.mark.exhaustive) for one in ("freeze", "ia3"))]
)
def test_what_an_adaptation_trained_is_loaded_and_exported(adaptation: str, tmp_path: Path) -> None:
    from tests.command import luthier as command

    run(tmp_path, pairs(30), "method=embed", f"adaptation={adaptation}", "trainer.max_steps=4", "optimizer.lr=0.01")
    ours = luthier.load(tmp_path / "run").embed(TEXTS, kind="query")
    done = command("export", str(tmp_path / "run"), str(tmp_path / "whole"))
    assert not done.returncode, done.stderr
    theirs = import_module("sentence_transformers").SentenceTransformer(str(tmp_path / "whole"))
    assert np.abs(theirs.encode(TEXTS) - ours).max() < 1e-5


def test_a_language_model_embeds_by_its_last_token(tmp_path: Path) -> None:
    run(tmp_path, pairs(20), "method=embed", "model=tiny", "trainer.max_steps=2")
    texts = [text or "a" for text in TEXTS]
    model = luthier.load(tmp_path / "run")
    theirs = import_module("sentence_transformers").SentenceTransformer(str(tmp_path / "run" / "artifact"))
    assert model.embedding is not None
    assert model.embedding.pooling == "lasttoken"
    assert np.abs(theirs.encode(texts) - model.embed(texts)).max() < 1e-5


def test_the_models_own_files_say_how_it_pools(tmp_path: Path) -> None:
    run(tmp_path, pairs(20), "method=embed", "trainer.max_steps=1", "method.pooling=cls", "method.similarity=dot",
        "method.length=9", "method.query_prompt='q: '", folder="first")  # fmt: skip
    words = ("model=folder", f"model.path={tmp_path / 'first' / 'artifact'}")
    run(tmp_path, pairs(20), "method=embed", "trainer.max_steps=1", *words, folder="second")
    first, second = (luthier.load(tmp_path / name).embedding for name in ("first", "second"))
    assert first == second
    assert first is not None
    assert (first.pooling, first.similarity, first.length, first.query_prompt) == ("cls", "dot", 9, "q: ")
    run(tmp_path, pairs(20), "method=embed", "trainer.max_steps=1", "model=run", f"model.path={tmp_path / 'first'}",
        "method.pooling=mean", folder="third")  # fmt: skip
    third = luthier.load(tmp_path / "third").embedding
    assert third is not None
    assert (third.pooling, third.query_prompt) == ("mean", "q: ")


def test_a_finished_embedder_is_measured_again_as_it_was(tmp_path: Path) -> None:
    from tests.command import luthier as command

    run(tmp_path, pairs(), *EMBED, "method.query_prompt='q: '")
    done = command("evaluate", str(tmp_path / "run"), "--json")
    assert not done.returncode, done.stderr
    (again,) = json.loads(done.stdout)["models"].values()
    assert again["scores"]["ndcg"]["value"] == pytest.approx(scores(tmp_path)["ndcg"][1], abs=1e-5)


def test_conversations_and_preferences_are_pairs(tmp_path: Path) -> None:
    asked = [{"messages": [{"role": "user", "content": row["query"]},
                           {"role": "assistant", "content": row["document"]}]} for row in pairs(20)]  # fmt: skip
    run(tmp_path, asked, "method=embed", "trainer.max_steps=1", folder="messages")
    preferred = [{"prompt": row["query"], "chosen": row["document"], "rejected": row["negatives"][0]}
                 for row in pairs(20, negatives=True)]  # fmt: skip
    run(tmp_path, preferred, "method=embed", "method/objective=triplet", "trainer.max_steps=1", folder="preferences")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("method/objective=triplet",), "no document that does not fit"),
        (("method/objective=cosent",), "The column `score` is missing"),
        (("method.dimensions=[4096]",), "4096 dimensions are more than"),
        (("method.length=100000",), "is more than the model's"),
        (("adaptation=prefix",), "virtual tokens"),
        (("prompt=instruction",), "reads the text alone"),
        (("batch.length=8",), "longer than batch.length=8"),
        (("data/format=graded_pairs", "data.format.query=query", "data.format.document=document",
          "data.format.score=grade"), "grade"),
    ],
)  # fmt: skip
def test_what_cannot_be_embedded_is_refused_before_it_is_trained(
    words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    said = run(tmp_path, pairs(20), "method=embed", *words, fails=True)
    assert message in said
    assert "Traceback" not in said
    assert "step 1/" not in said


def test_a_model_says_what_it_is_not(tmp_path: Path) -> None:
    run(tmp_path, pairs(20), "method=embed", "trainer.max_steps=1")
    model = luthier.load(tmp_path / "run")
    with pytest.raises(RecipeError, match="no reranker"):
        model.rerank("a", ["b"])
    with pytest.raises(RecipeError, match="no classifier"):
        model.classify(["a"])
    with pytest.raises(RecipeError, match="4096 dimensions"):
        model.embed(["a"], dimensions=4096)
    with pytest.raises(RecipeError, match="neither"):
        model.embed(["a"], kind="passage")  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="generates none"):
        model.generate([[{"role": "user", "content": "Hm?"}]])
