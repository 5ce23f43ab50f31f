"""What a reward is: a plain function of a prompt, its answers and the example that they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

Messages = Sequence[Mapping[str, Any]]
"""The conversation that was answered, in OpenAI's form."""
RewardScores = Sequence[float | None]
"""A number for each answer; None where there is none, which is no reward at all and never 0."""


class Reward(Protocol):
    """A function `(prompt, answers, example) -> scores`; it runs in a process of its own, or says `in_process`."""

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any], /) -> RewardScores: ...


@runtime_checkable
class CompositeReward(Protocol):
    """A reward that is made of others and says what each of them gave."""

    def parts(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> dict[str, RewardScores]:
        """The scores of each, by name."""

    def total(self, parts: Mapping[str, RewardScores]) -> RewardScores:
        """What they come to together."""


@runtime_checkable
class ParsingReward(Protocol):
    """A reward that reads something out of an answer, and says whether it is there to be read."""

    def formed(self, answer: str) -> bool: ...


@runtime_checkable
class ConcurrentReward(Protocol):
    """A reward of this process that may be asked about so many prompts side by side."""

    at_once: int


@runtime_checkable
class WarmingReward(Protocol):
    """A reward that imports what takes seconds, which is not to count in the time of its first answers."""

    def warm_up(self) -> None: ...


@dataclass(slots=True)
class RewardResult:
    """What a reward says of the answers to a prompt: `scores`, those of its parts, and which could be read."""

    scores: list[float | None]
    parts: dict[str, list[float | None]] = field(default_factory=dict)
    formed: list[bool] | None = None


def compute_rewards(
    reward: Reward, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]
) -> RewardResult:
    """Ask a reward once; ValueError where it does not give a finite number, or None, for each answer."""
    if isinstance(reward, CompositeReward):
        parts = {name: _checked(scores, answers) for name, scores in reward.parts(prompt, answers, example).items()}
        found = RewardResult(_checked(reward.total(parts), answers), parts)
    else:
        found = RewardResult(_checked(reward(prompt, answers, example), answers))
    if isinstance(reward, ParsingReward):
        found.formed = [bool(reward.formed(answer)) for answer in answers]
    return found


def _checked(scores: RewardScores, answers: Sequence[str]) -> list[float | None]:
    found = [None if score is None else float(score) for score in scores]
    if len(found) != len(answers):
        raise ValueError(f"{len(found)} scores for {len(answers)} answers")
    if any(score is not None and not abs(score) < float("inf") for score in found):
        raise ValueError(f"a score that is not finite among {found}")
    return found
