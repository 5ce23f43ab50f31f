"""What every prompt keeps to; inherit it, and say the answer.

class TestMine(PromptContract):
    answer = "prompt=mine"
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from luthier.contracts.examples import Example
from luthier.contracts.prompt import Prompt
from luthier.data.sources.shipped import Shipped
from luthier.testing.part import PartContract
from luthier.testing.twin import twin


class PromptContract(PartContract):
    """Learns from `examples` of the training split, which are those of `data=tiny`, and prompts the others."""

    def examples(self) -> Sequence[Example]:
        """What the prompt learns from, and is applied to."""
        return list(Shipped(name="tiny"))

    @pytest.fixture
    def tokenizer(self, tmp_path: Path) -> PreTrainedTokenizerBase:
        """That of the tiny model."""
        return twin(tmp_path / "model").model.tokenizer

    @pytest.fixture
    def prompt(self, tokenizer: PreTrainedTokenizerBase) -> Prompt:
        """The prompt, which has learned."""
        built: Prompt = self.built()
        built.learn([one for one in self.examples() if one["split"] == "train"], tokenizer)
        return built

    def test_an_example_becomes_a_new_one_with_messages(self, prompt: Prompt) -> None:
        for example in self.examples():
            before = copy.deepcopy(example)
            prompted = prompt(example)
            assert example == before, "the example that it was given is changed"
            assert all({"role", "content"} <= message.keys() for message in prompted["messages"])

    def test_the_same_example_has_the_same_prompt_from_any_thread(self, prompt: Prompt) -> None:
        examples = self.examples()
        there = [prompt(example) for example in examples]
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(prompt, examples)) == there

    def test_a_question_without_an_answer_has_a_prompt(self, prompt: Prompt) -> None:
        """As in a chat."""
        asked: dict[str, Any] = {"messages": [{"role": "user", "content": "Which wood?"}], "where": "chat"}
        assert prompt(asked)["messages"]

    def test_what_it_has_learned_is_in_the_artifact(
        self, prompt: Prompt, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
    ) -> None:
        there = [prompt(example)["messages"] for example in self.examples()]
        (tmp_path / "artifact").mkdir()
        prompt.save(tmp_path / "artifact")
        again: Prompt = self.built()
        again.load(tmp_path / "artifact", tokenizer)
        assert [again(example)["messages"] for example in self.examples()] == there

    def test_a_training_uses_it(self, tmp_path: Path) -> None:
        run = self.run(tmp_path / "run", "stages=[fit]")
        run.carry_out()
        assert run.end.step == 2
