"""Rewards of many answers, whatever happens to the reward: a fault is no reward at all, never a reward of 0."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from luthier.api import ConcurrentReward, Messages, PluginError, Reward, RewardResult
from luthier_reward.worker import Here, RewardFailed, Worker

log = logging.getLogger("luthier")

FEWEST = 32
"""Answers that have been asked for before their share of faults can end a run."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt, its answers, the example they belong to, and what that is known by."""

    prompt: Messages
    answers: Sequence[str]
    example: Mapping[str, Any]
    key: str


class RewardRunner:
    """Asks a reward, `workers` prompts at a time, and goes on when it raises, hangs or gives what is no number.

    A fault is tried again `retries` times; then each answer is asked for by itself, and those that still fail have no
    score. An example with `quarantine` such faults is asked no more. `most` is the share of answers without a score
    from which the run ends (PluginError).
    """

    def __init__(
        self,
        reward: Reward,
        *,
        timeout: float = 30.0,
        retries: int = 1,
        quarantine: int = 2,
        most: float = 0.05,
        workers: int = 1,
    ) -> None:
        alone = getattr(reward, "in_process", False)
        count = workers
        if alone:
            count = reward.at_once if isinstance(reward, ConcurrentReward) else 1
        self.askers: list[Worker | Here] = [Here(reward) if alone else Worker(reward, timeout) for _ in range(count)]
        self.retries, self.quarantine, self.most = retries, quarantine, most
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.last = ""

    def __call__(self, asked: Sequence[Asked]) -> list[RewardResult]:
        """What the reward says of each; the order of the counts does not depend on which is done first."""
        lanes = [range(lane, len(asked), len(self.askers)) for lane in range(len(self.askers))]
        found: list[RewardResult] = [RewardResult([])] * len(asked)

        def work(asker: Worker | Here, lane: range) -> None:
            for number in lane:
                found[number] = self._ask(asker, asked[number])

        if len(self.askers) == 1:
            work(self.askers[0], lanes[0])
        else:
            with ThreadPoolExecutor(len(self.askers)) as pool:
                list(pool.map(work, self.askers, lanes))
        self._count(asked, found)
        return found

    def close(self) -> None:
        for asker in self.askers:
            asker.close()

    def state_dict(self) -> dict[str, Any]:
        return {"counts": dict(self.counts), "faults": dict(self.faults)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.counts, self.faults = Counter(state["counts"]), Counter(state["faults"])

    def facts(self) -> dict[str, str]:
        """For the report: how many answers were asked about, and how many of those have no score."""
        told = f"{self.counts['answers']:,} answers, {self.counts['faults']:,} without a score"
        return {"Reward": told}

    def warnings(self) -> list[str]:
        """What somebody should see, a sentence each."""
        if not self.counts["faults"]:
            return []
        away = sum(count >= self.quarantine for count in self.faults.values())
        return [
            f"The reward failed for {self.counts['faults']:,} of {self.counts['answers']:,} answers, which were left "
            f"out of training; {away} examples were asked no more. The last time: {self.last}"
        ]

    def _ask(self, asker: Worker | Here, asked: Asked) -> RewardResult:
        if self.faults[asked.key] >= self.quarantine:
            return RewardResult([None] * len(asked.answers))
        for _ in range(1 + self.retries):
            try:
                return asker.ask(asked.prompt, asked.answers, asked.example)
            except RewardFailed as error:
                self.last = str(error)
        return _joined([self._alone(asker, asked, answer) for answer in asked.answers])

    def _alone(self, asker: Worker | Here, asked: Asked, answer: str) -> RewardResult:
        if len(asked.answers) > 1:
            try:
                return asker.ask(asked.prompt, [answer], asked.example)
            except RewardFailed as error:
                self.last = str(error)
        return RewardResult([None])

    def _count(self, asked: Sequence[Asked], found: Sequence[RewardResult]) -> None:
        for each, judged in zip(asked, found, strict=True):
            faults = sum(score is None for score in judged.scores)
            self.counts.update(answers=len(judged.scores), faults=faults)
            if faults and self.faults[each.key] < self.quarantine:
                self.faults[each.key] += 1
                log.warning("The reward gave no score for %d answers to %s: %s", faults, each.key, self.last)
        asked_for, failed = self.counts["answers"], self.counts["faults"]
        if asked_for >= FEWEST and failed > self.most * asked_for:
            raise PluginError(
                f"The reward failed for {failed} of {asked_for} answers, the last time with this: {self.last}",
                where="method.reward",
                hint=f"Try it with `luthier reward-check`; method.most_faults={self.most} is the share that may fail.",
                resumable=True,
            )


def _joined(each: Sequence[RewardResult]) -> RewardResult:
    """What was said of answers one by one; a part counts where it was told for all of them."""
    told = [one for one in each if one.parts]
    parts = {name: [one.parts.get(name, [None])[0] for one in each] for name in (told[0].parts if told else {})}
    known = [one.formed for one in each if one.formed is not None]
    formed = [bool(one.formed and one.formed[0]) for one in each] if known else None
    return RewardResult([one.scores[0] for one in each], parts, formed)
