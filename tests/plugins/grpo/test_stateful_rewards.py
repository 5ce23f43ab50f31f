"""What a reward remembers is in every checkpoint: a run that goes on is rewarded as the undisturbed one."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from luthier.errors import PluginError
from luthier.testing.reward import QUESTION, RewardContract
from luthier_reward.reward_process import LocalReward, RewardError, RewardProcess
from luthier_reward.reward_runner import RewardRequest, RewardRunner
from luthier_reward.rewards.exact_match import ExactMatch
from luthier_reward.rewards.instruction_checks import InstructionChecks
from luthier_reward.rewards.json_schema import JsonSchema
from luthier_reward.rewards.length import Length
from luthier_reward.rewards.number import Number
from luthier_reward.rewards.regex import Regex
from luthier_reward.rewards.weighted import Weighted
from tests.command import luthier
from tests.framework.cli.conftest import session_cache  # noqa: F401
from tests.plugins.grpo.faulty_rewards import Breaking, Forgetful, Novelty, Unwritable

STRANGER = {
    "novelty/__init__.py": "",
    "novelty/reward.py": """
class Novel:
    def __init__(self, *, in_process=False):
        self.in_process, self._seen = in_process, {}

    def __call__(self, prompt, answers, example):
        scores = []
        for answer in answers:
            for letter in answer:
                self._seen[letter] = self._seen.get(letter, 0) + 1
            scores.append(sum(1 / self._seen[letter] for letter in answer) + sum(self._seen.values()) % 7)
        return scores

    def state_dict(self):
        return {"seen": self._seen}

    def load_state_dict(self, state):
        self._seen = dict(state["seen"])
""",
    "novelty/recipes/__init__.py": "",
    "novelty/recipes/method/reward/novel.yaml": "# New letters.\n_target_: novelty.reward.Novel\nin_process: false\n",
}
RUN = (
    "model=tiny", "data=jsonl", "data.file=questions.jsonl", "data/format=messages", "data.format.answered=false",
    "trainer.precision=fp32", "batch.micro=1", "batch.length=256", "method=grpo", "stages=[fit]",
    "batch.packing=false", "batch.size=2", "method.group=3", "method.rollout.max_new_tokens=8", "optimizer.lr=0.01",
    "trainer.checkpoint_every=1", "trainer.keep=0", "trainer.epochs=4", "trainer.max_steps=4",
    "trainer.monitor=loss",
)  # fmt: skip
QUESTIONS = "".join(
    json.dumps({"messages": [{"role": "user", "content": f"Say {number}."}],
                "split": "train" if number < 8 else "validation"}) + "\n" for number in range(12)
)  # fmt: skip
WAYS = {
    "in a process of its own": ("method/reward=novel",),
    "in the training process": ("method/reward=novel", "method.reward.in_process=true"),
    "in a weighted sum": (
        "method/reward=weighted",
        "+method/reward@method.reward.rewards.novel=novel",
        "+method/reward@method.reward.rewards.short=length",
    ),
}


@pytest.mark.parametrize("words", WAYS.values(), ids=WAYS)
def test_a_run_resumed_with_fewer_validations_rewards_as_the_whole_one(words, tmp_path: Path, session_cache: Path):  # noqa: F811
    for name, text in {**STRANGER, "questions.jsonl": QUESTIONS}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def run(name: str, *more: str) -> tuple[list[float], dict[str, str]]:
        folder = tmp_path / "runs" / name
        ended = luthier("-p", "novelty", *RUN, *words, f"name={name}", *more, cwd=tmp_path,
                        LUTHIER_CACHE=str(session_cache))  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        files = (folder / "artifact").rglob("*.safetensors")
        return [step["reward"] for step in steps], {file.name: _digest(file) for file in files}

    whole = run("whole", "trainer.validate_every=1")
    shutil.copytree(tmp_path / "runs" / "whole", tmp_path / "runs" / "cut")
    for later in (tmp_path / "runs" / "cut" / "checkpoints").iterdir():
        if int(later.name.rpartition("-")[2]) > 2:
            shutil.rmtree(later)
    shutil.rmtree(tmp_path / "runs" / "cut" / "artifact")
    assert run("cut", "resume=auto", "trainer.validate_every=2") == whole


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def request(*answers: str) -> RewardRequest:
    return RewardRequest([QUESTION], answers, {}, "row 1")


def test_a_process_that_dies_takes_nothing_of_the_state_with_it():
    reward = Novelty()
    worker = RewardProcess(reward, timeout=30)
    try:
        first = worker.compute([QUESTION], ["a", "b"], {})
        worker.close()
        assert worker.compute([QUESTION], ["a", "b"], {}).scores != first.scores
        assert reward.state_dict() == {"seen": ["a", "b", "a", "b"]}
    finally:
        worker.close()


@pytest.mark.parametrize("computed", [lambda reward: RewardProcess(reward, timeout=30), LocalReward])
def test_a_call_that_fails_leaves_the_state_as_it_was(computed):
    reward = Breaking()
    worker = computed(reward)
    try:
        with pytest.raises(RewardError, match="break"):
            worker.compute([QUESTION], ["a", "break"], {})
        assert reward.state_dict() == {"seen": []}
        worker.compute([QUESTION], ["a"], {})
        assert reward.state_dict() == {"seen": ["a"]}
    finally:
        worker.close()


def test_a_reward_with_a_state_scores_one_prompt_after_another_and_the_report_says_so():
    runner = RewardRunner(Novelty(), workers=3)
    try:
        assert len(runner.workers) == 1
        runner([request("a"), request("b")])
        assert "one prompt after another" in runner.facts()["Reward"]
    finally:
        runner.close()
    assert len(RewardRunner(Length(), workers=3).workers) == 3


def test_a_state_that_json_does_not_hold_is_refused_with_the_way_out():
    runner = RewardRunner(Unwritable())
    with pytest.raises(PluginError, match=r"state of the reward Unwritable unchanged.*in_process"):
        runner([request("a")])


REWARDS: dict[str, Any] = {
    "exact_match": ExactMatch(),
    "number": Number(),
    "length": Length(),
    "regex": Regex(pattern=r"\d+"),
    "json_schema": JsonSchema(schema={"type": "object"}),
    "instruction_checks": InstructionChecks(checks={"no_commas": True}),
    "weighted": Weighted(rewards={"length": Length(), "novel": Novelty()}),
    "novel": Novelty(),
}


class TestRewards(RewardContract):
    @pytest.fixture(params=REWARDS)
    def reward(self, request):
        return REWARDS[request.param]


def test_the_contract_notices_a_reward_that_remembers_and_does_not_say_so():
    with pytest.raises(AssertionError, match="a resumed run scores otherwise"):
        RewardContract().test_what_it_remembers_is_in_its_state(Forgetful())
