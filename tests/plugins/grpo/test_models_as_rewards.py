"""Earlier runs as rewards: a reward model, a classifier and an LLM judge, each loaded from its artifact."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from luthier.testing.twin import twin
from luthier.workflows.artifact import load
from luthier_reward.reward_runner import RewardRequest, RewardRunner
from luthier_reward.rewards.classifier import Classifier
from luthier_reward.rewards.judge import RunJudge
from luthier_reward.rewards.model import ModelReward
from luthier_reward.rewards.rubric import Rubric

ASKED = [{"role": "user", "content": "What is the top made of?"}]
ANSWERS = ["It is spruce.", "Tin tin tin.", ""]
RUBRIC = "Is it wood? {answer}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("judges")


@pytest.fixture(scope="module")
def reward_model(folder: Path) -> Path:
    twin(folder / "model", "method=reward_model", "stages=[fit]", "optimizer.lr=1e-2").carry_out()
    return folder / "model"


@pytest.fixture(scope="module")
def judge(folder: Path) -> Path:
    """A model that has learnt by heart what it is to say of two answers."""
    rubric = Rubric(RUBRIC, 0, 10)
    said = zip(ANSWERS, ["Score: 9", "Score: 2", "Hm."], strict=True)
    rows = [{"prompt": rubric.messages(ASKED, answer, {})[0]["content"], "completion": word} for answer, word in said]
    (folder / "judgements.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    data = ("data=jsonl", "data/format=prompt_completion", f"data.file={folder / 'judgements.jsonl'}")
    steps = ("data.splits.test=0", "stages=[fit]", "trainer.max_steps=60", "trainer.epochs=60", "optimizer.lr=1e-2")
    twin(folder / "judge", *data, *steps).carry_out()
    return folder / "judge"


def test_a_reward_model_says_what_its_artifact_says_times_the_scale(reward_model: Path) -> None:
    conversations = [[*ASKED, {"role": "assistant", "content": answer}] for answer in ANSWERS]
    expected = load(reward_model).rewards(conversations)
    assert len(set(expected.tolist())) == 3
    assert ModelReward(path=str(reward_model), scale=-2.0)(ASKED, ANSWERS, {}) == pytest.approx(
        (-2 * expected).tolist()
    )


def test_a_classifier_says_how_sure_it_is_of_the_label_that_is_wanted(judge: Path) -> None:
    labels = ["Score: 9", "Score: 2"]
    nine, two = (
        Classifier(path=str(judge), labels=labels, wanted=wanted, instruction="Is it wood? {text}")(ASKED, ANSWERS, {})
        for wanted in labels
    )
    assert np.add(nine, two).tolist() == pytest.approx([1, 1, 1])
    assert nine[0] > 0.9 > 0.1 > nine[1]


def test_a_run_that_judges_is_read_by_its_rubric_and_may_have_nothing_to_say(judge: Path) -> None:
    reward = RunJudge(path=str(judge), rubric=RUBRIC, max_tokens=12)
    assert reward(ASKED, ANSWERS, {}) == [0.9, 0.2, None]
    runner = RewardRunner(reward, max_faults=1.0)
    assert runner([RewardRequest(ASKED, ANSWERS, {}, "one")])[0].scores == [0.9, 0.2, None]
    assert runner.facts()["Reward"].endswith("1 without a score")
