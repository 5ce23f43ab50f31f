"""A teacher that is somewhere else: it answers, and may say what else it would have said."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from luthier.api import RecipeError, ResourceError, Sampling, api_key, post_json

if TYPE_CHECKING:
    import httpx
    from torch import nn

Likely = list[tuple[str, float]]
"""Tokens as their bytes in hexadecimal, with the logarithm of their probability."""


@dataclass(slots=True)
class Reply:
    """An answer, why it ended, its tokens in bytes, and the likeliest at the place of each, where that was said."""

    text: str
    finish: Literal["stop", "length"]
    tokens: list[str] = field(default_factory=list)
    likely: list[Likely] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Endpoint:
    """A model behind `url`/chat/completions; it has no weights here, so that only `luthier ask-teacher` can ask it.

    `secret` is the name of the environment variable with the key, read when it is used and never kept. A server that is
    busy or fails is asked `tries` times, each with `timeout` seconds, `at_once` prompts side by side.
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

    def replies(self, conversations: Sequence[list[dict[str, Any]]], sampling: Sampling) -> list[list[Reply]]:
        """`num_samples` answers to each conversation; ResourceError where the server gives none."""
        with ThreadPoolExecutor(max(1, self.at_once)) as pool:
            return list(pool.map(lambda messages: self._asked(messages, sampling), conversations))

    @cached_property
    def _client(self) -> httpx.Client:
        import httpx

        return httpx.Client(timeout=self.timeout)

    def _asked(self, messages: list[dict[str, Any]], sampling: Sampling) -> list[Reply]:
        import httpx

        body: dict[str, Any] = {
            "model": self.name,
            "messages": messages,
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "n": sampling.num_samples,
            "seed": sampling.seed,
        }
        if self.top:
            body |= {"logprobs": True, "top_logprobs": self.top}
        try:
            said = post_json(
                self._client, f"{self.url}/chat/completions", body, self.tries,
                api_key(self.secret, where="method.teacher.secret"),
            )  # fmt: skip
            return [_reply(choice) for choice in said["choices"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise ResourceError(
                f"{self.name} at {self.url} gave no answer: {str(error).splitlines()[0] or type(error).__name__}",
                where="method.teacher.url",
                hint="What was answered before is kept: run the same command again.",
                resumable=True,
            ) from error

    def _refuse(self) -> NoReturn:
        raise RecipeError(
            f"{self.name} is behind an endpoint and has no weights here.",
            where="model@method.teacher",
            hint="Ask it once with luthier ask-teacher FOLDER <the recipe>; then learn from that: method.kept=FOLDER.",
        )


def _reply(choice: dict[str, Any]) -> Reply:
    said = str(choice["message"].get("content") or "")
    reply = Reply(said, "stop" if choice.get("finish_reason") == "stop" else "length")
    for each in (choice.get("logprobs") or {}).get("content") or []:
        reply.tokens.append(_hex(each))
        reply.likely.append([(_hex(one), float(one["logprob"])) for one in each.get("top_logprobs") or [each]])
    return reply


def _hex(token: dict[str, Any]) -> str:
    given = token.get("bytes")
    return bytes(given).hex() if given is not None else str(token["token"]).encode().hex()
