"""The teacher writes the answers, and only good ones are learned from (sequence-level distillation)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from luthier.api import Answer, RecipeError, Sampling, prompt_of
from luthier_distillation.sequences import Asked, Found, FromData, Left, Writers

Reward = Callable[[Sequence[Mapping[str, Any]], Sequence[str], Mapping[str, Any]], Sequence[float | None]]
"""`reward(prompt, answers, example) -> scores`, as `method/reward` has them; None is no score."""


class FromTeacher(FromData):
    """The teacher's answers in place of the data's (Kim & Rush, 2016), the same ones in every epoch.

    Of `candidates` the one with the highest reward is taken, of those without one the likeliest by token (rejection
    sampling); a prompt none of whose answers passes is left out. With `finished` an answer passes that came to its end;
    it has from `shortest` to `longest` tokens, a reward of at least `least_reward` where there is a `reward`, and with
    `unique` it is not yet the answer to another prompt. A plain text goes on after its first `text_prompt` tokens.
    """

    writes = frozenset({"teacher"})

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
        self._owners: dict[str, str] = {}
        self._chosen: dict[str, Found] = {}
        self._counted: set[str] = set()

    def __call__(self, asked: Sequence[Asked], by: Writers) -> list[Found]:
        fresh = {_key(one): one for one in asked if _key(one) not in self._chosen}
        sampling, some = replace(self.sampling, seed=by.seed), list(fresh.values())
        written = by.teacher([one.shown for one in some], sampling, [one.number for one in some])
        each = zip(*[iter(written)] * sampling.num_samples, strict=True)
        for (key, one), answers in zip(fresh.items(), each, strict=True):
            self._chosen[key] = self.choose(key, one.example, answers)
        return [self._chosen[_key(one)] for one in asked]

    def choose(self, key: str, example: Mapping[str, Any], answers: Sequence[Answer]) -> Found:
        """The best of the answers that pass, and why the others did not, counted; `key` is the prompt's."""
        texts = [answer.text for answer in answers]
        scores: Sequence[float | None] = [None] * len(answers)
        if self.reward is not None:
            scores = self.reward(prompt_of(dict(example)), texts, example)
        reasons, passed = Counter({"prompts": 1}), []
        for answer, score in zip(answers, scores, strict=True):
            reason = self._against(key, answer, score)
            reasons[reason or "passed"] += 1
            if not reason:
                passed.append((score or 0.0, float(np.mean(answer.logprobs)) if answer.logprobs else 0.0, answer))
        if not passed:
            reasons["left"] = 1
        if key not in self._counted:  # a run that goes on asks again
            self._counted.add(key)
            self.counts += reasons
        if not passed:
            return Left()
        best = max(passed, key=lambda each: each[:2])[2]
        self._owners.setdefault(best.text.strip(), key)
        return best

    def _against(self, key: str, answer: Answer, score: float | None) -> str:
        """Why an answer does not pass; empty where it does."""
        if self.finished and answer.finish != "stop":
            return "unfinished"
        if len(answer.ids) < self.shortest or not answer.text.strip():
            return "too short"
        if self.longest is not None and len(answer.ids) > self.longest:
            return "too long"
        if self.unique and self._owners.get(answer.text.strip(), key) != key:
            return "said before"
        if self.reward is not None and (score is None or score < self.least_reward):
            return "not rewarded"
        return ""

    def facts(self) -> dict[str, str]:
        counts = self.counts
        reasons = [f"{counts[why]:,} {why}" for why in _REASONS if counts[why]]
        said = f"{counts['passed']:,} passed" + "".join(f", {reason}" for reason in reasons)
        left = f"; {counts['left']:,} of {counts['prompts']:,} prompts have none and were left out"
        return {"Teacher's answers": said + (left if counts["left"] else "")}

    def state_dict(self) -> dict[str, Any]:
        return {"counts": dict(self.counts), "owners": dict(self._owners), "counted": sorted(self._counted)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.counts, self._owners = Counter(state["counts"]), dict(state["owners"])
        self._counted = set(state["counted"])


def _key(asked: Asked) -> str:
    """Pieces of one text are prompts of their own."""
    return f"{asked.number}-{hashlib.blake2b(asked.shown.tobytes(), digest_size=8).hexdigest()}"


_REASONS = ("unfinished", "too short", "too long", "said before", "not rewarded")
