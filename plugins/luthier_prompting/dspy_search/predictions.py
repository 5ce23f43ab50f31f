"""Answers to what an optimiser asks: through our own prompts and by the recipe's own score."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from luthier.api import DataError, PromptScores
from luthier_prompting.choosing import Ground, Trial
from luthier_prompting.writers import Writer


class Asking:
    """Asks the first `count` questions that are held out all at once, each prompt once; training examples one by one.

    Questions have numbers: training examples first, in the order of the ground's pool, then the held out. DSPy copies
    its programs deeply and swallows what they raise: a copy of this is this itself, and the first fault is kept.
    """

    def __init__(self, ground: Ground, count: int, writer: Writer, seed: int) -> None:
        if not ground.pool:
            raise DataError(
                "No training example is a single question with its answer, so there is nothing to learn words from.",
                hint="Use prompt/choosing=halving with instructions of your own.",
            )
        self.ground, self.count, self.writer, self.seed = ground, count, writer, seed
        self.held = list(ground.judge.examples[:count])
        self.trials: list[Trial] = []
        self.fault: Exception | None = None
        self.written = self.empty = 0
        self._held: dict[tuple[int, int], PromptScores] = {}
        self._trained: dict[tuple[int, int, int], tuple[str, float]] = {}
        self._by_question = {one.question: number for number, one in reversed(list(enumerate(ground.pool)))}

    def __deepcopy__(self, memo: dict[int, Any]) -> Asking:
        return self

    def begin(self, most: int) -> tuple[int, int]:
        """Try at most so many prompts of what was given, drawn by chance but for the first; the best of them."""
        given = [(one, other) for one in range(self.ground.shape[0]) for other in range(self.ground.shape[1])]
        drawn = random.Random(self.seed).sample(given[1:], min(most - 1, len(given) - 1))
        tried = {place: self.held_out(*place).score for place in [given[0], *drawn]}
        return max(tried, key=lambda place: tried[place])

    def held_out(self, instruction: int, examples: int) -> PromptScores:
        """What comes out on the held-out questions, asked the first time."""
        place = instruction, examples
        if place not in self._held:
            self._held[place] = found = self.ground.judged(instruction, examples, self.held)
            self.trials.append(Trial(instruction, examples, self.count, found.score))
        return self._held[place]

    def __call__(self, words: str, shown: Sequence[str], number: int) -> tuple[str, float]:
        """The answer to a question and its own score, with an instruction and the examples that ask `shown`."""
        self._go_on()
        try:
            pool = self.ground.pool
            examples = self.ground.set_number(pool[self._by_question[question]] for question in shown)
            instruction = self.ground.number(words)
            if number >= len(pool):
                return self.held_out(instruction, examples).each[number - len(pool)] or ("", 0.0)
            return self._training(instruction, examples, number)
        except Exception as error:
            self.fault = self.fault or error
            raise

    def _training(self, instruction: int, examples: int, number: int) -> tuple[str, float]:
        place = instruction, examples, number
        if place not in self._trained:
            found = self.ground.judged(instruction, examples, [self.ground.train[number]])
            self._trained[place] = found.each[0] or ("", 0.0)
        return self._trained[place]

    def write(self, conversation: Sequence[dict[str, Any]], temperature: float) -> str:
        """What the writer says next, drawn anew each time."""
        self._go_on()
        self.written += 1
        seed = self.seed + self.written
        try:
            said = self.writer(conversation, self.ground.judge, temperature=temperature, seed=seed).strip()
        except Exception as error:
            self.fault = self.fault or error
            raise
        self.empty += not said
        return said

    def questions(self, begun: tuple[int, int]) -> list[int]:
        """The numbers of the held-out questions that have an answer to compare with."""
        each = self.held_out(*begun).each
        return [len(self.ground.pool) + place for place, one in enumerate(each) if one is not None]

    def done(self) -> list[Trial]:
        """What was tried; the first fault where there was one."""
        self._go_on()
        if self.empty:
            self.ground.notes.append(f"To {self.empty} of {self.written} requests the writer answered nothing.")
        return self.trials

    def _go_on(self) -> None:
        if self.fault is not None:
            raise self.fault
