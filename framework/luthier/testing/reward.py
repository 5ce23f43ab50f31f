"""What every reward keeps to; inherit it and say the answer, or define its fixture.

class TestMine(RewardContract):
    answer = "method/reward=mine"

class TestMineByItself(RewardContract):
    @pytest.fixture
    def reward(self): return Mine(least=3)
"""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from luthier.contracts.rewards import CompositeReward, Reward, RewardResult, compute_rewards
from luthier.contracts.training import has_state
from luthier.testing.advantage import CHEAP
from luthier.testing.part import PartContract

QUESTION = {"role": "user", "content": "What is 6 times 7?"}
ANSWERS = ("42", "It is 42.", "No idea.", "", "6 * 7 = 42\n#### 42", '{"result": 42}', "42 " * 40)

Scored = tuple[Sequence[dict[str, Any]], Sequence[str], dict[str, Any]]
"""A prompt, answers to it, and the example that they belong to."""


class RewardContract(PartContract):
    """Tests of an `answer`, or of a fixture `reward`; override `scored` where the reward needs other examples."""

    around: ClassVar[tuple[str, ...]] = tuple(word for word in CHEAP if "reward" not in word)

    @pytest.fixture
    def reward(self) -> Reward:
        """The reward, made of the recipe."""
        built: Reward = self.built()
        return built

    def scored(self) -> list[Scored]:
        """Prompts with answers and examples, each of which the reward can score."""
        example = {"messages": [QUESTION, {"role": "assistant", "content": "42"}], "where": "row 1"}
        return [([QUESTION], ANSWERS, example), ([QUESTION], ANSWERS[:1], example), ([QUESTION], ANSWERS[2:], example)]

    def test_each_answer_has_one_finite_score_or_none(self, reward: Reward) -> None:
        for prompt, answers, example in self.scored():
            assert len(compute_rewards(reward, prompt, answers, example).scores) == len(answers)

    def test_it_changes_neither_the_prompt_nor_the_example(self, reward: Reward) -> None:
        for prompt, answers, example in self.scored():
            before = copy.deepcopy((prompt, answers, example))
            compute_rewards(reward, prompt, answers, example)
            assert (prompt, answers, example) == before

    def test_it_goes_to_a_process_of_its_own_unless_it_says_that_it_does_not(self, reward: Reward) -> None:
        if not getattr(reward, "in_process", False):
            there = pickle.loads(pickle.dumps(reward))  # noqa: S301 - its own
            assert self._scores(there) == self._scores(copy.deepcopy(reward))

    def test_what_it_remembers_is_in_its_state(self, reward: Reward) -> None:
        """A resumed run has a fresh one with the saved state, which must score as the used one would have."""
        fresh, used = copy.deepcopy(reward), copy.deepcopy(reward)
        self._scores(used)
        if has_state(used):
            fresh.load_state_dict(json.loads(json.dumps(used.state_dict())))  # type: ignore[attr-defined]
        assert self._scores(fresh) == self._scores(used), (
            "It remembers what it has scored: without state_dict and load_state_dict a resumed run scores otherwise."
        )

    def test_the_parts_of_a_composite_make_its_score(self, reward: Reward) -> None:
        for prompt, answers, example in self.scored() if isinstance(reward, CompositeReward) else ():
            fresh = copy.deepcopy(reward)
            assert list(fresh(prompt, answers, example)) == self._result(reward, prompt, answers, example).scores

    def _scores(self, reward: Reward) -> list[RewardResult]:
        return [self._result(reward, *one) for one in self.scored()]

    def _result(self, reward: Any, prompt: Any, answers: Any, example: Any) -> RewardResult:
        return compute_rewards(reward, prompt, answers, example)
