"""Amazon Bedrock's interface of graders: calling one as a reward, and providing a reward as one.

A grader takes a list of `{id, messages, reference_answer, …}`, the answer being the last message, and returns a list of
`{id, aggregate_reward_score, metrics_list: [{name, value, type}]}`, type being Metric or Reward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from luthier.api import Messages, Reward, answer_of, compute_rewards, post_json

if TYPE_CHECKING:
    import httpx

_LUTHIER_COLUMNS = {"messages", "where", "split", "source"}


class BedrockGrader:
    """The score of a Bedrock grader at a URL, such as the emulator of its Lambda runtime.

    One request grades all answers to a prompt; it is sent up to `tries` times where the server is busy or fails, with a
    limit of `timeout` seconds each.
    """

    in_process = True

    def __init__(self, *, url: str, timeout: float = 60.0, tries: int = 3) -> None:
        self.url, self.timeout, self.tries = url, timeout, tries

    @cached_property
    def _client(self) -> httpx.Client:
        import httpx

        return httpx.Client(timeout=self.timeout)

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        sent = records(prompt, answers, example)
        return scores(sent, post_json(self._client, self.url, sent, self.tries))


def records(prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The records of the answers to a prompt; further columns of the example keep their names."""
    own = {name: value for name, value in example.items() if name not in _LUTHIER_COLUMNS}
    if reference := answer_of(dict(example)):
        own.setdefault("reference_answer", reference)
    return [
        {**own, "id": str(number), "messages": [*map(dict, prompt), {"role": "assistant", "content": answer}]}
        for number, answer in enumerate(answers)
    ]


def scores(sent: Sequence[Mapping[str, Any]], graded: Any) -> list[float]:
    """The scores of records in their order; ValueError where the grader returned none for one of them."""
    by_id = {str(grade["id"]): grade for grade in graded}
    if missing := [record["id"] for record in sent if record["id"] not in by_id]:
        raise ValueError(f"the grader returned no score for {len(missing)} of {len(sent)} answers")
    return [float(by_id[record["id"]]["aggregate_reward_score"]) for record in sent]


def grader(reward: Reward) -> Callable[[Any, Any], list[dict[str, Any]]]:
    """A reward as a Lambda handler for Bedrock: `lambda_handler = grader(Number())`.

    ValueError where the reward has no score for an answer, as Bedrock requires one for each.
    """

    def handle(event: Any, context: Any = None) -> list[dict[str, Any]]:
        return [_graded(reward, record) for record in event]

    return handle


def _graded(reward: Reward, record: Mapping[str, Any]) -> dict[str, Any]:
    prompt, answer = list(record["messages"][:-1]), str(record["messages"][-1]["content"])
    result = compute_rewards(reward, prompt, [answer], {**record, "messages": prompt})
    if result.scores[0] is None:
        raise ValueError(f"there is no score for {record['id']}")
    parts = [{"name": name, "value": part[0], "type": "Reward"} for name, part in result.parts.items()]
    formed = [{"name": "formed", "value": float(result.formed[0]), "type": "Metric"}] if result.formed else []
    return {"id": record["id"], "aggregate_reward_score": result.scores[0], "metrics_list": [*parts, *formed]}
