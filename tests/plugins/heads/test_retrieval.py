"""What embedders and rerankers of earlier runs find."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import luthier
from luthier.errors import RecipeError
from luthier_heads.tuned_embedding import TunedEmbedding
from luthier_retrieval.chunking import Passage
from luthier_retrieval.reranking.tuned import TunedReranking
from tests.command import luthier as command
from tests.plugins.heads.pairs import pairs, run

WORDS = (
    "data=workshop_questions", "model=tiny", "prompt=retrieval", "prompt/documents=workshop", "batch.length=2048",
    "evaluation/task=search", "evaluation.general_examples=0", "evaluation.examples=4", "stages=[evaluate]",
    "score=ndcg_at_10", "prompt.candidates=6", "prompt.chunk=64", "prompt.passages=6",
)  # fmt: skip


def test_tuned_models_find_and_order_passages(tmp_path: Path) -> None:
    run(tmp_path, pairs(20), "method=embed", "trainer.max_steps=2", folder="embed")
    run(tmp_path, pairs(20, negatives=True), "method=rerank", "trainer.max_steps=2", folder="rerank")
    done = command(
        *WORDS, "prompt/search=dense", "prompt/embedding@prompt.search.embedding=run",
        f"prompt.search.embedding.path={tmp_path / 'embed'}", "prompt/reranking=run",
        f"prompt.reranking.path={tmp_path / 'rerank'}", f"hydra.run.dir={tmp_path / 'run'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    question = "Until when is the shop open on Saturday?"
    prompt = luthier.load(tmp_path / "run").prompt
    passages = prompt({"messages": [{"role": "user", "content": question}]})["passages"]
    texts = [Passage(one["document"], one["heading"], one["text"]).indexed_text for one in passages]
    assert len(texts) > 2
    assert [one.number for one in luthier.load(tmp_path / "rerank").rerank(question, texts)] == list(range(len(texts)))
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert {one["name"] for one in record["comparisons"]} >= {"ndcg_at_10", "recall_at_5"}


def test_an_index_is_of_one_embedder(tmp_path: Path) -> None:
    """Its name holds what says how texts are embedded, and nothing else of the run."""
    run(tmp_path, pairs(20), "method=embed", "trainer.max_steps=1", folder="one")
    run(tmp_path, pairs(20), "method=embed", "trainer.max_steps=1", "optimizer.lr=0.01", folder="other")
    shutil.copytree(tmp_path / "one" / "artifact", tmp_path / "copy")
    one, copy, other = (TunedEmbedding(path=str(tmp_path / name)).identity() for name in ("one", "copy", "other"))
    assert one == copy != other
    assert TunedEmbedding(path=str(tmp_path / "one"), dimensions=8).identity() != one
    with pytest.raises(RecipeError, match="trained no reranker"):
        TunedReranking(path=str(tmp_path / "one"))("a", [Passage("d", "", "b")])
