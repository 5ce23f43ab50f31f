"""A judge behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

from luthier.api import RecipeError, api_key, chat_completions
from luthier_judge.judge_prompt import DEFAULT, WRITE, JudgePrompt, Verdict, verdict_in
from luthier_judge.pair_judge import Pair, PairJudge

if TYPE_CHECKING:
    import httpx

WHERE = "evaluation.task.metrics"


class EndpointJudge(PairJudge):
    """Let the model `model` at the base URL `url` write its verdict on each pair, in at most `max_tokens` tokens.

    The questions, the answers and the references are sent there. `url` ends before /chat/completions. `secret` is the
    name of the environment variable with the API key, which is read when it is used and never stored. `prompt` replaces
    the judge's question, with {question}, {first} and {second}. A request has `timeout` seconds and up to `tries`
    tries; `at_once` of them are under way at a time.
    """

    def __init__(
        self,
        *,
        url: str,
        model: str,
        secret: str | None = None,
        prompt: str | None = None,
        max_tokens: int = 512,
        timeout: float = 60.0,
        tries: int = 3,
        at_once: int = 4,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise RecipeError(f"{url!r} is not a URL.", where=WHERE, hint="Begin it with https://.")
        if at_once < 1:
            raise RecipeError(f"at_once is {at_once}.", where=WHERE, hint="Use 1 or more.")
        self.url, self.model, self.secret, self.max_tokens = url.rstrip("/"), model, secret, max_tokens
        self.prompt = JudgePrompt(prompt or DEFAULT, WRITE)
        self.timeout, self.tries, self.at_once = timeout, tries, at_once

    def verdicts(self, pairs: Sequence[Pair]) -> list[Verdict]:
        key = api_key(self.secret, where=f"{WHERE}: secret")
        with ThreadPoolExecutor(self.at_once) as pool:
            return list(pool.map(lambda pair: self._verdict(pair, key), pairs))

    @cached_property
    def _client(self) -> httpx.Client:
        import httpx

        return httpx.Client(timeout=self.timeout)

    def _verdict(self, pair: Pair, key: str) -> Verdict:
        request = {
            "model": self.model, "messages": self.prompt.messages(*pair), "temperature": 0,
            "max_tokens": self.max_tokens,
        }  # fmt: skip
        response = chat_completions(
            self._client, self.url, request, tries=self.tries, key=key, where=WHERE, resumable=True
        )[0]
        return verdict_in(response.text, stopped=response.finish_reason == "content_filter")
