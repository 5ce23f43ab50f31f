"""What does a judge say that is asked over the network, or is an earlier run?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from luthier.api import Messages, api_key, post_json
from luthier_reward.rewards.rubric import PLAIN, Rubric

if TYPE_CHECKING:
    import httpx

    from luthier.api import Artifact


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
        key = api_key(self.secret, where="method.reward.secret")
        found = post_json(self._client, f"{self.url}/chat/completions", asked, self.tries, key)
        return str(found["choices"][0]["message"]["content"] or "")


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
        from luthier.api import load

        return load(self.path)

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float | None]:
        from luthier.api import Sampling

        asked = [self.rubric.asked(prompt, answer, example) for answer in answers]
        return [self.rubric.read(said) for said in self._run.generate(asked, Sampling(self.max_tokens))]
