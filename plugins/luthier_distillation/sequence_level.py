"""Sequence-level distillation: the teacher's answers in place of the data's, filtered and ranked."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from luthier.api import Answer, RecipeError, Reward, RewardScores, Sampling, prompt_of
from luthier_distillation.sequences import ChosenSequence, FromData, Generators, NoSequence, SequencePrompt

REASONS = {
    "unfinished": "unfinished",
    "too short": "too short",
    "too long": "too long",
    "said before": "duplicate",
    "not rewarded": "reward too low",
}
"""Why an answer does not pass: the names under which `counts` and checkpoints have it, and those of the report."""


class FromTeacher(FromData):
    """The teacher's answers in place of the data's (Kim & Rush, 2016), the same ones in every epoch.

    Of `candidates` the one with the highest reward is taken, without a reward the one with the highest mean
    log-probability of its tokens (rejection sampling); a prompt none of whose answers passes is left out. An answer
    passes that has from `shortest` to `longest` tokens; with `finished`, one that ended by itself; where there is a
    `reward`, one with at least `least_reward`; with `unique`, one that is not yet the answer to another prompt. A
    plain text is continued after its first `text_prompt` tokens.
    """

    generated_by = frozenset({"teacher"})

    def __init__(
        self,
        *,
        reward: Any = None,
        least_reward: float = 1.0,
        candidates: int = 1,
        shortest: int = 1,
        longest: int | None = None,
        finished: bool = True,
        unique: bool = False,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        text_prompt: int = 32,
    ) -> None:
        if candidates > 1 and temperature == 0:
            raise RecipeError(
                f"{candidates} candidates at a temperature of 0 are one and the same.",
                where="method.sequences.temperature",
                hint="Use 1, or a little less.",
            )
        self.reward: Reward | None = reward
        self.least_reward, self.shortest, self.longest = least_reward, shortest, longest
        self.finished, self.unique, self.text_prompt = finished, unique, text_prompt
        self.sampling = Sampling(max_new_tokens, temperature, top_p, top_k, num_samples=candidates)
        self.counts: Counter[str] = Counter()
        self._prompt_of_answer: dict[str, str] = {}
        self._chosen: dict[str, ChosenSequence] = {}
        self._counted: set[str] = set()

    def __call__(self, prompts: Sequence[SequencePrompt], generators: Generators) -> list[ChosenSequence]:
        missing = {_key(prompt): prompt for prompt in prompts if _key(prompt) not in self._chosen}
        answers = generators.teacher(
            [prompt.teacher_ids for prompt in missing.values()],
            replace(self.sampling, seed=generators.seed),
            [prompt.number for prompt in missing.values()],
        )
        candidates = zip(*[iter(answers)] * self.sampling.num_samples, strict=True)
        for (key, prompt), of_prompt in zip(missing.items(), candidates, strict=True):
            self._chosen[key] = self.choose(key, prompt.example, of_prompt)
        return [self._chosen[_key(prompt)] for prompt in prompts]

    def choose(self, key: str, example: Mapping[str, Any], answers: Sequence[Answer]) -> Answer | NoSequence:
        """The best of the answers that pass; counts why the others do not. `key` identifies the prompt."""
        texts = [answer.text for answer in answers]
        scores: RewardScores = [None] * len(answers)
        if self.reward is not None:
            scores = self.reward(prompt_of(dict(example)), texts, example)
        counts, passed = Counter({"prompts": 1}), []
        for answer, score in zip(answers, scores, strict=True):
            reason = self._reason_against(key, answer, score)
            counts[reason or "passed"] += 1
            if not reason:
                passed.append((score or 0.0, float(np.mean(answer.logprobs)) if answer.logprobs else 0.0, answer))
        if not passed:
            counts["left"] = 1
        if key not in self._counted:  # a resumed run generates the answers again
            self._counted.add(key)
            self.counts += counts
        if not passed:
            return NoSequence()
        best = max(passed, key=lambda candidate: candidate[:2])[2]
        self._prompt_of_answer.setdefault(best.text.strip(), key)
        return best

    def _reason_against(self, key: str, answer: Answer, score: float | None) -> str:
        """Why an answer does not pass, a key of REASONS; empty where it does."""
        if self.finished and answer.finish != "stop":
            return "unfinished"
        if len(answer.ids) < self.shortest or not answer.text.strip():
            return "too short"
        if self.longest is not None and len(answer.ids) > self.longest:
            return "too long"
        if self.unique and self._prompt_of_answer.get(answer.text.strip(), key) != key:
            return "said before"
        if self.reward is not None and (score is None or score < self.least_reward):
            return "not rewarded"
        return ""

    def facts(self) -> dict[str, str]:
        counts = self.counts
        reasons = [f", {counts[reason]:,} {label}" for reason, label in REASONS.items() if counts[reason]]
        left_out = f"; {counts['left']:,} of {counts['prompts']:,} prompts have none and were left out"
        passed = f"{counts['passed']:,} passed" + "".join(reasons)
        return {"Teacher's answers": passed + (left_out if counts["left"] else "")}

    def state_dict(self) -> dict[str, Any]:
        return {
            "counts": dict(self.counts),
            "owners": dict(self._prompt_of_answer),
            "counted": sorted(self._counted),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.counts, self._prompt_of_answer = Counter(state["counts"]), dict(state["owners"])
        self._counted = set(state["counted"])


def _key(prompt: SequencePrompt) -> str:
    """Identifies a prompt; pieces of one text are prompts of their own."""
    return f"{prompt.number}-{hashlib.blake2b(prompt.teacher_ids.tobytes(), digest_size=8).hexdigest()}"
