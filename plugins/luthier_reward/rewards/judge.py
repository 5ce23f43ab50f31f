"""LLM judges as rewards: a model behind an endpoint, or an earlier run, scores answers by a rubric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from luthier.api import Messages, api_key, chat_completions
from luthier_reward.rewards.rubric import DEFAULT_RUBRIC, Rubric
from luthier_reward.rewards.run_reward import RunReward

if TYPE_CHECKING:
    import httpx


class EndpointJudge:
    """The score of an answer by a rubric, from 0 to 1, from a model behind an OpenAI-compatible endpoint.

    `url` ends before /chat/completions. `secret` is the name of the environment variable with the API key, which is
    read when it is used and never stored. A request is sent up to `tries` times where the server is busy or fails, with
    a limit of `timeout` seconds each; `at_once` prompts are judged concurrently. An answer has no score where the
    judge's response contains none.
    """

    in_process = True

    def __init__(
        self,
        *,
        url: str,
        model: str,
        secret: str | None = None,
        rubric: str | None = None,
        lowest: float = 0.0,
        highest: float = 10.0,
        max_tokens: int = 512,
        timeout: float = 60.0,
        tries: int = 3,
        at_once: int = 4,
    ) -> None:
        self.url, self.model, self.secret, self.max_tokens = url.rstrip("/"), model, secret, max_tokens
        self.rubric = Rubric(rubric or DEFAULT_RUBRIC, lowest, highest)
        self.timeout, self.tries, self.at_once = timeout, tries, at_once

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float | None]:
        return [self.rubric.score(self._response(self.rubric.messages(prompt, text, example))) for text in answers]

    @cached_property
    def _client(self) -> httpx.Client:
        import httpx

        return httpx.Client(timeout=self.timeout)

    def _response(self, messages: list[dict[str, Any]]) -> str:
        request = {"model": self.model, "messages": messages, "temperature": 0, "max_tokens": self.max_tokens}
        key = api_key(self.secret, where="method.reward.secret")
        return chat_completions(self._client, self.url, request, tries=self.tries, key=key)[0].text


class RunJudge(RunReward):
    """The score of an answer by a rubric, from 0 to 1, from an earlier run; None where its response contains none."""

    def __init__(
        self, *, path: str, rubric: str | None = None, lowest: float = 0.0, highest: float = 10.0, max_tokens: int = 256
    ) -> None:
        super().__init__(path)
        self.max_tokens = max_tokens
        self.rubric = Rubric(rubric or DEFAULT_RUBRIC, lowest, highest)

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float | None]:
        from luthier.api import Sampling

        conversations = [self.rubric.messages(prompt, answer, example) for answer in answers]
        responses = self.artifact.generate(conversations, Sampling(self.max_tokens))
        return [self.rubric.score(response) for response in responses]
