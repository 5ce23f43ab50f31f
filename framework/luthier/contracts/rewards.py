"""Rewards: functions that score the answers to a prompt, and the result of computing them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

Messages = Sequence[Mapping[str, Any]]
"""A conversation in OpenAI's form: mappings with `role` and `content`, the last one being what is to be answered."""
RewardScores = Sequence[float | None]
"""One finite number per answer, in the order of the answers; higher is better.

None is a missing score: the answer is excluded from training and from means. It is never treated as a reward of 0.
"""


class Reward(Protocol):
    """A function `(prompt, answers, example) -> scores` of a prompt, its answers and the example they belong to.

    `prompt` holds the messages before the answer, `answers` the texts without special tokens, `example` all columns of
    the data. `scores` has one entry per answer. An exception is a fault of the reward: the answer has no score.

    A reward is pickled and computed in a separate process with a time limit, and must be defined at the top level of
    a module. A reward that holds a network or a connection sets the attribute `in_process = True`: it is computed in
    the training process, without a time limit.

    - *Given*: a prompt (messages), the texts of its answers, and the example with all columns.
    - *Returns*: a finite number or None for each answer, in order.
    - *Called*: once for each prompt of a rollout, with all its answers; within `method.reward_timeout` seconds.
    - *Ranks*: on every rank for its own prompts, in a process of its own unless it is `in_process`.
    - *Raises*: anything: it is a fault, the call is repeated, then the answers have no score; too many faults end
      the run. RecipeError of the constructor for settings that cannot be.
    - *Resume*: a reward that remembers something has `state_dict` and `load_state_dict` (`StatefulPart`), with
      values that JSON holds.
    - *Nested*: a keyword-only parameter: `/method/reward@rewards.NAME: length`, as `reward=weighted` has, or an
      answer of `method/reward/NAME/`.
    """

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any], /) -> RewardScores:
        """The score of each answer, in their order; None for an answer without one."""


@runtime_checkable
class CompositeReward(Protocol):
    """A reward composed of named rewards, whose scores are logged separately."""

    def parts(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> dict[str, RewardScores]:
        """The scores of each component by name, one score per answer."""

    def total(self, parts: Mapping[str, RewardScores]) -> RewardScores:
        """The combined score of each answer from the scores of the components."""


@runtime_checkable
class ParsingReward(Protocol):
    """A reward that parses answers; the share of answers that parse is logged as `format_rate`."""

    def formed(self, answer: str) -> bool:
        """Whether the answer has the format that the reward parses, whatever its score."""


@runtime_checkable
class ConcurrentReward(Protocol):
    """A reward with `in_process = True` that may be called from several threads at once."""

    at_once: int
    """Number of prompts that are scored concurrently."""


@runtime_checkable
class WarmingReward(Protocol):
    """A reward with a slow initialisation, which is excluded from the time limit of its first call."""

    def warm_up(self) -> None:
        """Import or load what takes seconds; called once in the process that computes the reward."""


@runtime_checkable
class ReadingReward(Protocol):
    """A reward that reads columns of the example; without one of them nothing is trained."""

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns that each example must have."""


@dataclass(slots=True)
class RewardResult:
    """The scores of the answers to one prompt, in the order of the answers.

    `parts` holds the scores of each component of a `CompositeReward` by name, and is empty for any other reward.
    `formed` says of each answer whether it parses, and is None for a reward that is no `ParsingReward`.
    """

    scores: list[float | None]
    """The score of each answer, None for an answer without one."""
    parts: dict[str, list[float | None]] = field(default_factory=dict)
    formed: list[bool] | None = None


class MisreturnedScoresError(ValueError):
    """A reward gave back something else than scores: `expected` and `given` say what."""

    def __init__(self, expected: str, given: object) -> None:
        super().__init__(f"must return {expected}, and returned {given!r}")
        self.expected, self.given = expected, given


def compute_rewards(
    reward: Reward, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]
) -> RewardResult:
    """Compute a reward for all answers to one prompt, with the scores of its components and the format check.

    MisreturnedScoresError where there is not a finite number or None for each answer. Exceptions of the reward
    propagate.
    """
    if isinstance(reward, CompositeReward):
        given = reward.parts(prompt, answers, example)
        parts = {name: _validated(scores, answers, f"of its part {name!r} ") for name, scores in given.items()}
        result = RewardResult(_validated(reward.total(parts), answers), parts)
    else:
        result = RewardResult(_validated(reward(prompt, answers, example), answers))
    if isinstance(reward, ParsingReward):
        result.formed = [bool(reward.formed(answer)) for answer in answers]
    return result


def _validated(raw: Any, answers: Sequence[str], of: str = "") -> list[float | None]:
    expected = f"a finite number or None {of}for each of {len(answers)} answers"
    if isinstance(raw, str) or not isinstance(raw, Iterable):
        raise MisreturnedScoresError(expected, raw)
    given = list(raw)
    try:
        if any(isinstance(score, str | bytes) for score in given):  # float() reads them
            raise TypeError
        scores = [None if score is None else float(score) for score in given]
    except (TypeError, ValueError):
        raise MisreturnedScoresError(expected, given) from None
    if len(scores) != len(answers) or any(score is not None and not abs(score) < float("inf") for score in scores):
        raise MisreturnedScoresError(expected, given)
    return scores
