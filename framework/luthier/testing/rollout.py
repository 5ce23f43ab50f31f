"""What every rollout keeps to; inherit it, and say the answer.

class TestMine(RolloutContract):
    answer = "method/rollout=mine"
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from torch import nn

from luthier.contracts.model import Model
from luthier.contracts.rollout import Rollout
from luthier.testing.advantage import CHEAP
from luthier.testing.part import PartContract
from luthier.testing.twin import twin

PROMPTS = [np.arange(5, 14, dtype=np.int32), np.arange(20, 23, dtype=np.int32)]


class RolloutContract(PartContract):
    """Samples answers of the tiny model, and trains it on their rewards."""

    around: ClassVar[tuple[str, ...]] = tuple(word for word in CHEAP if "rollout" not in word)

    @pytest.fixture
    def model(self, tmp_path: Path) -> Model:
        """The tiny model."""
        return twin(tmp_path / "model").model

    @pytest.fixture
    def network(self, model: Model) -> nn.Module:
        """Its network, in evaluation mode."""
        return model.network().eval()

    def test_each_prompt_has_its_answers_in_order(self, model: Model, network: nn.Module) -> None:
        rollout = self._rollout(model)
        answers = rollout(network, PROMPTS, [0, 1], 3, seed=0)
        assert len(answers) == 6
        for answer in answers:
            assert 0 < len(answer.ids) <= rollout.max_new_tokens
            assert answer.sampling_logprobs is not None
            assert len(answer.sampling_logprobs) == len(answer.ids)
            assert all(value <= 0 for value in answer.sampling_logprobs)

    def test_answers_follow_from_the_seed_and_the_numbers_of_the_prompts(
        self, model: Model, network: nn.Module
    ) -> None:
        """A resumed training samples what the one that was stopped would have."""
        there = [answer.ids for answer in self._rollout(model)(network, PROMPTS, [0, 1], 2, seed=4)]
        again = [answer.ids for answer in self._rollout(model)(network, PROMPTS, [0, 1], 2, seed=4)]
        alone = [answer.ids for answer in self._rollout(model)(network, PROMPTS[1:], [1], 2, seed=4)]
        assert again == there
        assert alone == there[2:]
        assert [answer.ids for answer in self._rollout(model)(network, PROMPTS, [0, 1], 2, seed=5)] != there

    def test_a_greedy_answer_is_always_the_same(self, model: Model, network: nn.Module) -> None:
        there = [answer.ids for answer in self._rollout(model).greedy(network, PROMPTS)]
        assert len(there) == 2
        assert [answer.ids for answer in self._rollout(model).greedy(network, PROMPTS)] == there

    def test_a_training_uses_it(self, tmp_path: Path) -> None:
        run = self.run(tmp_path / "run", "stages=[fit]", f"{self.node()}.max_new_tokens=8")
        run.carry_out()
        assert run.end.step == 2

    def _rollout(self, model: Model) -> Rollout:
        built: Rollout = self.built(f"{self.node()}.max_new_tokens=8")
        built.use(model, False)
        return built
