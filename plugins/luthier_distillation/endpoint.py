"""A teacher behind an OpenAI-compatible endpoint: its answers, and the top-k log-probabilities of their tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from luthier.api import (
    ChatCompletion,
    Conversation,
    RecipeError,
    Sampling,
    ToolConversation,
    api_key,
    chat_completions,
)

if TYPE_CHECKING:
    import httpx
    from torch import nn

TopLogprobs = list[tuple[str, float]]
"""Tokens as their bytes in hexadecimal, with their log-probabilities in nats."""


@dataclass(slots=True)
class Reply:
    """An answer and why it ended; its tokens as bytes in hexadecimal and the top-k at each, where they are given."""

    text: str
    finish: Literal["stop", "length"]
    tokens: list[str] = field(default_factory=list)
    likely: list[TopLogprobs] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Endpoint:
    """A model behind `url`/chat/completions; it has no weights here, so that only `luthier ask-teacher` can use it.

    `secret` is the name of the environment variable with the key, which is read at each request and never stored. A
    request that a busy or failing server does not answer is sent `tries` times, each with a limit of `timeout`
    seconds; `at_once` prompts are sent concurrently. With `top` the server is asked for the top-k log-probabilities.
    """

    def __init__(
        self,
        *,
        url: str,
        name: str,
        secret: str | None = None,
        top: int = 0,
        timeout: float = 60.0,
        tries: int = 3,
        at_once: int = 4,
    ) -> None:
        self.url, self.name, self.secret, self.top = url.rstrip("/"), name, secret, top
        self.timeout, self.tries, self.at_once = timeout, tries, at_once

    def lineage(self) -> dict[str, Any]:
        return {"kind": "endpoint", "name": self.name, "url": self.url, "top": self.top}

    @property
    def tokenizer(self) -> NoReturn:
        self._refuse()

    @property
    def config(self) -> NoReturn:
        self._refuse()

    def network(self) -> nn.Module:
        self._refuse()

    def replies(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[list[Reply]]:
        """`num_samples` answers to each conversation; ResourceError where the server gives none."""
        with ThreadPoolExecutor(max(1, self.at_once)) as pool:
            return list(pool.map(lambda messages: self._complete(messages, sampling), conversations))

    @cached_property
    def _client(self) -> httpx.Client:
        import httpx

        return httpx.Client(timeout=self.timeout)

    def _complete(self, messages: Conversation, sampling: Sampling) -> list[Reply]:
        body: dict[str, Any] = {
            "model": self.name,
            "messages": [_as_text(message) for message in messages],
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "n": sampling.num_samples,
            "seed": sampling.seed,
        }
        if isinstance(messages, ToolConversation):
            body["tools"] = messages.tools
        if self.top:
            body |= {"logprobs": True, "top_logprobs": self.top}
        completions = chat_completions(
            self._client,
            self.url,
            body,
            tries=self.tries,
            key=api_key(self.secret, where="method.teacher.secret"),
            where="method.teacher.url",
            hint="Earlier answers are stored: run the same command again.",
            resumable=True,
        )
        return [_reply(one) for one in completions]

    def _refuse(self) -> NoReturn:
        raise RecipeError(
            f"{self.name} is behind an endpoint and has no weights here.",
            where="model@method.teacher",
            hint="Sample it once with luthier ask-teacher FOLDER <the recipe>; then set method.offline_teacher=FOLDER.",
        )


def _as_text(message: dict[str, Any]) -> dict[str, Any]:
    """The message with the arguments of its calls as JSON text, as the protocol has them."""
    calls = [
        {**call, "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])}}
        for call in message.get("tool_calls") or ()
    ]
    return {**message, "tool_calls": calls} if calls else message


def _reply(completion: ChatCompletion) -> Reply:
    return Reply(
        completion.text,
        "stop" if completion.finish_reason == "stop" else "length",
        [token.hex() for token in completion.tokens],
        [[(token.hex(), logprob) for token, logprob in top] for top in completion.top_logprobs],
    )
