"""Rewards of many answers, with retries and a quarantine: a fault is a missing score, never a reward of 0."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from luthier.api import ConcurrentReward, Messages, PluginError, Reward, RewardResult, has_state
from luthier_reward.reward_process import LocalReward, RewardError, RewardProcess

log = logging.getLogger("luthier")

MIN_ANSWERS = 32
"""Answers after which their share of faults can end a run."""


@dataclass(frozen=True, slots=True)
class RewardRequest:
    """The answers to one prompt that are to be scored; `key` identifies the example in messages and the quarantine."""

    prompt: Messages
    answers: Sequence[str]
    example: Mapping[str, Any]
    key: str


class RewardRunner:
    """Computes a reward for `workers` prompts at a time, and continues where it raises, hangs or returns no number.

    A call that fails is repeated `retries` times; then each answer is scored separately, and those that still fail
    have no score. Failed calls are counted and reported, also where a repetition or separate calls gave the scores.
    An example with `quarantine` such faults is not scored any more. The run ends (PluginError) where more than the
    share `max_faults` of the answers has no score. `timeout` is in seconds per call; it does not apply to rewards
    with `in_process`. A reward with a state (`StatefulPart`) scores one prompt after another, whatever `workers` is.
    """

    def __init__(
        self,
        reward: Reward,
        *,
        timeout: float = 30.0,
        retries: int = 1,
        quarantine: int = 2,
        max_faults: float = 0.05,
        workers: int = 1,
    ) -> None:
        in_process = getattr(reward, "in_process", False)
        count = workers
        if in_process:
            count = reward.at_once if isinstance(reward, ConcurrentReward) else 1
        self.serial = count > 1 and has_state(reward)
        if self.serial:
            count = 1
        self.workers: list[RewardProcess | LocalReward] = [
            LocalReward(reward) if in_process else RewardProcess(reward, timeout) for _ in range(count)
        ]
        self.retries, self.quarantine, self.max_faults = retries, quarantine, max_faults
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.last_fault = ""

    def __call__(self, requests: Sequence[RewardRequest]) -> list[RewardResult]:
        """The rewards of each request, in order; faults are counted in that order, too."""
        count = len(self.workers)
        results = [_Computed(RewardResult([]))] * len(requests)

        def work(worker: RewardProcess | LocalReward, indices: range) -> None:
            for index in indices:
                results[index] = self._compute(worker, requests[index])

        lanes = [range(lane, len(requests), count) for lane in range(count)]
        if count == 1:
            work(self.workers[0], lanes[0])
        else:
            with ThreadPoolExecutor(count) as pool:
                list(pool.map(work, self.workers, lanes))
        self._count(requests, results)
        return [computed.result for computed in results]

    def close(self) -> None:
        for worker in self.workers:
            worker.close()

    def refuse_without_scores(self) -> None:
        """PluginError where not one of all answers has a score: nothing was measured or learned by them."""
        answers = self.counts["answers"]
        if answers and self.counts["faults"] == answers:
            raise PluginError(
                f"The reward failed for all {answers:,} answers, so that nothing is known of them; the last fault: "
                f"{self.last_fault}.",
                where="method.reward",
                hint="Try it with `luthier reward-check`.",
            )

    def state_dict(self) -> dict[str, Any]:
        return {"counts": dict(self.counts), "faults": dict(self.faults)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.counts, self.faults = Counter(state["counts"]), Counter(state["faults"])

    def facts(self) -> dict[str, str]:
        """For the report: the number of answers, of those without a score, and of the calls that failed."""
        counts = self.counts
        failed = f", {counts['failed_calls']:,} failed calls" if counts["failed_calls"] else ""
        serial = ", one prompt after another, as the reward has a state" if self.serial else ""
        return {"Reward": f"{counts['answers']:,} answers, {counts['faults']:,} without a score{failed}{serial}"}

    def warnings(self) -> list[str]:
        """A sentence for the report where answers have no score, and one where a repetition gave the scores."""
        counts, sentences = self.counts, []
        if counts["faults"]:
            quarantined = sum(count >= self.quarantine for count in self.faults.values())
            sentences.append(
                f"The reward failed for {counts['faults']:,} of {counts['answers']:,} answers, which were left "
                f"out of training; {quarantined} examples are quarantined. The last fault: {self.last_fault}"
            )
        if counts["repeated"]:
            sentences.append(
                f"The reward failed for the answers to {counts['repeated']:,} prompts and was computed again, for "
                f"{counts['separate']:,} answers one by one. The last fault: {self.last_fault}"
            )
        return sentences

    def _compute(self, worker: RewardProcess | LocalReward, request: RewardRequest) -> _Computed:
        if self.faults[request.key] >= self.quarantine:
            return _Computed(RewardResult([None] * len(request.answers)), quarantined=True)
        faults: list[str] = []
        for _ in range(1 + self.retries):
            try:
                return _Computed(worker.compute(request.prompt, request.answers, request.example), faults)
            except RewardError as error:
                faults.append(str(error))
        singly = [self._compute_single(worker, request, answer, faults) for answer in request.answers]
        return _Computed(_merged(singly), faults, separate=len(request.answers) > 1)

    def _compute_single(
        self, worker: RewardProcess | LocalReward, request: RewardRequest, answer: str, faults: list[str]
    ) -> RewardResult:
        if len(request.answers) > 1:
            try:
                return worker.compute(request.prompt, [answer], request.example)
            except RewardError as error:
                faults.append(str(error))
        return RewardResult([None])

    def _count(self, requests: Sequence[RewardRequest], computed: Sequence[_Computed]) -> None:
        for request, each in zip(requests, computed, strict=True):
            scores = each.result.scores
            faults = sum(score is None for score in scores)
            self.counts.update(answers=len(scores), faults=faults)
            if each.faults:
                self.counts["failed_calls"] += len(each.faults)
            if each.faults or (faults and not each.quarantined):
                self.last_fault = each.faults[-1] if each.faults else "it gave None as a score"
            if each.faults and faults < len(scores):
                self.counts.update(repeated=1, separate=len(scores) if each.separate else 0)
                log.warning("The reward was computed again for the answers to %s: %s", request.key, self.last_fault)
            if faults and self.faults[request.key] < self.quarantine:
                self.faults[request.key] += 1
                log.warning("The reward gave no score for %d answers to %s: %s", faults, request.key, self.last_fault)
        answers, failed = self.counts["answers"], self.counts["faults"]
        if answers >= MIN_ANSWERS and failed > self.max_faults * answers:
            raise PluginError(
                f"The reward failed for {failed} of {answers} answers; the last fault: {self.last_fault}",
                where="method.reward",
                hint=f"Try it with `luthier reward-check`; method.most_faults={self.max_faults} is the share of faults "
                "above which a run ends.",
                resumable=True,
            )


@dataclass(frozen=True, slots=True)
class _Computed:
    """The result of a request, the faults of the calls before it, and how the scores were computed in the end."""

    result: RewardResult
    faults: Sequence[str] = ()
    separate: bool = False
    quarantined: bool = False


def _merged(results: Sequence[RewardResult]) -> RewardResult:
    """The results of answers that were scored one by one; the parts are those of the first result that has any."""
    composed = [result for result in results if result.parts]
    names = list(composed[0].parts) if composed else []
    parts = {name: [result.parts.get(name, [None])[0] for result in results] for name in names}
    parsed = any(result.formed is not None for result in results)
    formed = [bool(result.formed and result.formed[0]) for result in results] if parsed else None
    return RewardResult([result.scores[0] for result in results], parts, formed)
