"""What does a judge say that is asked over the network, or is an earlier run?"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from luthier.errors import RecipeError
from luthier_reward.rewards.reward import Messages
from luthier_reward.rewards.rubric import PLAIN, Rubric

if TYPE_CHECKING:
    import httpx

    from luthier.artifact import Artifact

AGAIN = {408, 409, 425, 429, 500, 502, 503, 504}
"""Answers of a server after which it is worth asking again."""


class Judge:
    """The score that a model behind an OpenAI-compatible endpoint gives an answer by a rubric, from 0 to 1.

    `url` ends before /chat/completions. `secret` is the name of the environment variable with the key, which is read
    when it is used and never kept. A server that is busy or fails is asked `tries` times, each with `timeout` seconds;
    `at_once` prompts are judged side by side. An answer about which no score is said has none.
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
        self.rubric = Rubric(rubric or PLAIN, lowest, highest)
        self.timeout, self.tries, self.at_once = timeout, tries, at_once

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float | None]:
        return [self.rubric.read(self._said(self.rubric.asked(prompt, answer, example))) for answer in answers]

    @cached_property
    def _client(self) -> httpx.Client:
        import httpx

        return httpx.Client(timeout=self.timeout)

    def _said(self, messages: list[dict[str, Any]]) -> str:
        asked = {"model": self.model, "messages": messages, "temperature": 0, "max_tokens": self.max_tokens}
        found = post(self._client, f"{self.url}/chat/completions", asked, self.tries, self._key())
        return str(found["choices"][0]["message"]["content"] or "")

    def _key(self) -> str:
        if self.secret is None:
            return ""
        if not (found := os.environ.get(self.secret)):
            raise RecipeError(
                f"The environment has no {self.secret}, where the judge's key is said to be.",
                where="method.reward.secret",
            )
        return found


def post(client: httpx.Client, url: str, body: Any, tries: int, key: str = "") -> Any:
    """What a server answers to JSON, as JSON; asked again, a little later each time, where that may help."""
    import httpx

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    for attempt in range(tries):
        last = attempt == tries - 1
        try:
            answer = client.post(url, json=body, headers=headers)
            if answer.status_code not in AGAIN or last:
                answer.raise_for_status()
                return answer.json()
        except httpx.TransportError:
            if last:
                raise
        time.sleep(0.5 * 2**attempt)
    return None


class RunJudge:
    """The score that an earlier run gives an answer by a rubric, from 0 to 1; it is loaded when it is first asked."""

    in_process = True

    def __init__(
        self, *, path: str, rubric: str | None = None, lowest: float = 0.0, highest: float = 10.0, max_tokens: int = 256
    ) -> None:
        self.path, self.max_tokens = path, max_tokens
        self.rubric = Rubric(rubric or PLAIN, lowest, highest)

    @cached_property
    def _run(self) -> Artifact:
        from luthier.artifact import load

        return load(self.path)

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float | None]:
        from luthier.generate import Sampling

        asked = [self.rubric.asked(prompt, answer, example) for answer in answers]
        return [self.rubric.read(said) for said in self._run.generate(asked, Sampling(self.max_tokens))]
