"""Retrieval through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import luthier as product
from luthier.errors import RecipeError
from luthier_retrieval.chunking import Passage
from luthier_retrieval.reranking.reward import RewardReranking
from tests.command import luthier

WORDS = (
    "data=workshop_questions", "model=tiny", "prompt=retrieval", "prompt/documents=workshop", "prompt.tokens=1200",
    "batch.length=2048", "evaluation/task=grounded", "evaluation.task.max_new_tokens=4", "evaluation.samples=2",
    "evaluation.general_examples=0", "evaluation.examples=8", "stages=[evaluate]", "score=recall_at_5",
)  # fmt: skip


def test_a_run_measures_what_it_found_and_its_artifact_answers_from_it(tmp_path: Path) -> None:
    done = luthier(*WORDS, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    scores = {one["name"]: one["after"]["value"] for one in record["comparisons"]}
    assert scores["recall_at_5"] > 0.8
    assert "<source 1 " in record["samples"][0]["conversation"][-1]["content"]
    artifact = product.load(tmp_path / "run")
    shown = artifact.prompt({"messages": [{"role": "user", "content": "Until when is the shop open on Saturday?"}]})
    assert shown["found"][0] == "opening_hours.md"
    with pytest.raises(RecipeError, match="looks at each question"):
        artifact.export(tmp_path / "out")


def test_an_earlier_reward_model_orders_what_was_found(tmp_path: Path) -> None:
    done = luthier("method=reward_model", "debug=tiny", "stages=[fit]", f"hydra.run.dir={tmp_path / 'reward'}")
    assert done.returncode == 0, done.stderr
    reranking = ["prompt/reranking=reward", f"prompt.reranking.path={tmp_path / 'reward'}", "evaluation.examples=2"]
    small = ["prompt.candidates=6", "prompt.chunk=64", "prompt.passages=6", "evaluation.samples=0"]
    done = luthier(*WORDS, *reranking, *small, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    question = {"role": "user", "content": "Until when is the shop open on Saturday?"}
    passages = product.load(tmp_path / "run").prompt({"messages": [question]})["passages"]
    texts = [Passage(one["document"], one["heading"], one["text"]).indexed_text for one in passages]
    answers = ([question, {"role": "assistant", "content": text}] for text in texts)
    rewards = product.load(tmp_path / "reward").rewards(list(answers)).tolist()
    assert len(set(rewards)) == len(rewards) > 2
    assert rewards == sorted(rewards, reverse=True)
    language_model = RewardReranking(path=str(tmp_path / "run"))
    with pytest.raises(RecipeError, match="is no reward model"):
        language_model("Which wood?", [Passage("d", "", "Spruce.")])


def test_a_metric_without_retrieval_is_refused_before_anything_is_generated(tmp_path: Path) -> None:
    words = [word for word in WORDS if not word.startswith("prompt")]
    done = luthier(*words, "evaluation.task.max_new_tokens=1000000", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 2
    assert "Use prompt=retrieval." in done.stderr
