"""Amazon Bedrock's contract of graders, read and written.

A grader is given a list of `{id, messages, reference_answer, …}`, the answer being the last message, and gives a list
of `{id, aggregate_reward_score, metrics_list: [{name, value, type}]}`, type being Metric or Reward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from luthier.api import Messages, Reward, answer_of, compute_rewards, post_json

if TYPE_CHECKING:
    import httpx

_OURS = {"messages", "where", "split", "source"}


class BedrockGrader:
    """The score of a grader that speaks Bedrock's contract behind a URL, such as the emulator of its Lambda runtime.

    It is asked about all answers to a prompt at once, `tries` times where it is busy, with `timeout` seconds each.
    """

    in_process = True

    def __init__(self, *, url: str, timeout: float = 60.0, tries: int = 3) -> None:
        self.url, self.timeout, self.tries = url, timeout, tries

    @cached_property
    def _client(self) -> httpx.Client:
        import httpx

        return httpx.Client(timeout=self.timeout)

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        asked = records(prompt, answers, example)
        return scores(asked, post_json(self._client, self.url, asked, self.tries))


def records(prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a grader is given of answers to a prompt; further columns of the example stay under their own names."""
    own = {name: value for name, value in example.items() if name not in _OURS}
    if reference := answer_of(dict(example)):
        own.setdefault("reference_answer", reference)
    return [
        {**own, "id": str(number), "messages": [*map(dict, prompt), {"role": "assistant", "content": answer}]}
        for number, answer in enumerate(answers)
    ]


def scores(asked: Sequence[Mapping[str, Any]], graded: Any) -> list[float]:
    """The scores of records in their order; ValueError where one has none."""
    by_id = {str(each["id"]): each for each in graded}
    if missing := [each["id"] for each in asked if each["id"] not in by_id]:
        raise ValueError(f"the grader says nothing of {len(missing)} of {len(asked)} answers")
    return [float(by_id[each["id"]]["aggregate_reward_score"]) for each in asked]


def grader(reward: Reward) -> Callable[[Any, Any], list[dict[str, Any]]]:
    """A reward as a Lambda handler for Bedrock: `lambda_handler = grader(Number())`.

    ValueError where the reward has no score for an answer: Bedrock knows no answer without one.
    """

    def handle(event: Any, context: Any = None) -> list[dict[str, Any]]:
        return [_graded(reward, record) for record in event]

    return handle


def _graded(reward: Reward, record: Mapping[str, Any]) -> dict[str, Any]:
    prompt, answer = list(record["messages"][:-1]), str(record["messages"][-1]["content"])
    found = compute_rewards(reward, prompt, [answer], {**record, "messages": prompt})
    if found.scores[0] is None:
        raise ValueError(f"there is no score for {record['id']}")
    parts = [{"name": name, "value": each[0], "type": "Reward"} for name, each in found.parts.items()]
    formed = [{"name": "formed", "value": float(found.formed[0]), "type": "Metric"}] if found.formed else []
    return {"id": record["id"], "aggregate_reward_score": found.scores[0], "metrics_list": [*parts, *formed]}
