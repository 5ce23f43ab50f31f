"""The predictions of a DSPy program: generated with our prompts and scored by the recipe's score."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from luthier.api import DataError, PromptScores
from luthier_prompting.choosing import CandidateSpace, Trial
from luthier_prompting.writers import InstructionWriter


class PromptEvaluator:
    """Scores each candidate once, on all of the first `count` validation questions; training examples one by one.

    Questions have numbers: first the training examples, in the order of the pool, then the validation questions. DSPy
    deep-copies its programs and suppresses their exceptions: a deep copy of this object is the object itself, and the
    first exception is kept in `fault`.
    """

    def __init__(self, space: CandidateSpace, count: int, writer: InstructionWriter, seed: int) -> None:
        if not space.pool:
            raise DataError(
                "No training example is a single question with its answer, so no instruction can be learned from them.",
                hint="Use prompt/choosing=halving with instructions of your own.",
            )
        self.space, self.count, self.writer, self.seed = space, count, writer, seed
        self.validation = list(space.scorer.examples[:count])
        self.trials: list[Trial] = []
        self.fault: Exception | None = None
        self.requests = self.empty_replies = 0
        self._validation_scores: dict[tuple[int, int], PromptScores] = {}
        self._training_scores: dict[tuple[int, int, int], tuple[str, float]] = {}
        self._number_of = {one.question: number for number, one in reversed(list(enumerate(space.pool)))}

    def __deepcopy__(self, memo: dict[int, Any]) -> PromptEvaluator:
        return self

    def best_given(self, most: int) -> tuple[int, int]:
        """The best of the empty prompt and a random sample of the given candidates, `most` of them in all."""
        given = self.space.combinations
        sample = random.Random(self.seed).sample(given[1:], min(most - 1, len(given) - 1))
        scores = {candidate: self.validation_scores(*candidate).score for candidate in [given[0], *sample]}
        return max(scores, key=lambda candidate: scores[candidate])

    def validation_scores(self, instruction: int, examples: int) -> PromptScores:
        """The scores of a candidate on the validation questions, computed the first time."""
        candidate = instruction, examples
        if candidate not in self._validation_scores:
            scores = self.space.scores(instruction, examples, self.validation)
            self._validation_scores[candidate] = scores
            self.trials.append(Trial(instruction, examples, self.count, scores.score))
        return self._validation_scores[candidate]

    def __call__(self, instruction: str, shown: Sequence[str], number: int) -> tuple[str, float]:
        """The answer to question `number` and its score, with the demonstrations that have the questions `shown`."""
        self._raise_fault()
        try:
            pool = self.space.pool
            examples = self.space.set_number(pool[self._number_of[question]] for question in shown)
            instruction_number = self.space.instruction_number(instruction)
            if number >= len(pool):
                scores = self.validation_scores(instruction_number, examples)
                return scores.each[number - len(pool)] or ("", 0.0)
            return self._training_score(instruction_number, examples, number)
        except Exception as error:
            self.fault = self.fault or error
            raise

    def _training_score(self, instruction: int, examples: int, number: int) -> tuple[str, float]:
        key = instruction, examples, number
        if key not in self._training_scores:
            scores = self.space.scores(instruction, examples, [self.space.train[number]])
            self._training_scores[key] = scores.each[0] or ("", 0.0)
        return self._training_scores[key]

    def write(self, conversation: Sequence[dict[str, Any]], temperature: float) -> str:
        """The writer's reply, sampled with a new seed each time."""
        self._raise_fault()
        self.requests += 1
        seed = self.seed + self.requests
        try:
            reply = self.writer(conversation, self.space.scorer, temperature=temperature, seed=seed).strip()
        except Exception as error:
            self.fault = self.fault or error
            raise
        self.empty_replies += not reply
        return reply

    def answerable(self, candidate: tuple[int, int]) -> list[int]:
        """The numbers of the validation questions that have a reference answer, by the scores of a candidate."""
        each = self.validation_scores(*candidate).each
        return [len(self.space.pool) + place for place, score in enumerate(each) if score is not None]

    def finish(self) -> list[Trial]:
        """All trials; raises the first exception where there was one."""
        self._raise_fault()
        if self.empty_replies:
            self.space.notes.append(
                f"The instruction writer gave an empty reply to {self.empty_replies} of {self.requests} requests."
            )
        return self.trials

    def _raise_fault(self) -> None:
        if self.fault is not None:
            raise self.fault
