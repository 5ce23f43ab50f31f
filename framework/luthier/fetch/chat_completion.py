"""Chat completions of an OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.errors import ResourceError
from luthier.fetch.endpoint import post_json

if TYPE_CHECKING:
    import httpx

TokenLogprob = tuple[bytes, float]
"""A token as its bytes, and its log-probability (natural logarithm)."""


@dataclass(frozen=True, slots=True)
class ChatCompletion:
    """One generated answer of a chat completion.

    `text` is the answer; `finish_reason` is the server's: "stop" at the end of the turn, "length" at the token limit.
    `tokens` and `top_logprobs` are empty unless the request has `logprobs`: the bytes of each generated token, and for
    each the most likely tokens in its place with their log-probabilities, or the generated one alone where the server
    gives no alternatives.
    """

    text: str
    """The answer."""
    finish_reason: str | None = None
    tokens: Sequence[bytes] = ()
    top_logprobs: Sequence[Sequence[TokenLogprob]] = ()


def chat_completions(
    client: httpx.Client,
    url: str,
    request: Mapping[str, Any],
    *,
    tries: int,
    key: str = "",
    where: str = "",
    hint: str = "",
    resumable: bool = False,
) -> list[ChatCompletion]:
    """The answers, `n` of them, that a server generates for a chat-completion request.

    The request is posted to `url`/chat/completions as JSON, up to `tries` times, with `key` as bearer token.
    ResourceError with `where`, `hint` and `resumable` where the server cannot be reached, refuses, or responds with
    something that is not a chat completion.
    """
    import httpx

    address = url.rstrip("/")
    try:
        response = post_json(client, f"{address}/chat/completions", dict(request), tries, key)
        choices = [_completion(choice) for choice in response["choices"]]
        if not choices:
            raise ValueError("the response has no choices")
        return choices
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResourceError(
            f"{request.get('model', 'The model')} at {address} gave no chat completion: {_reason(error)}.",
            where=where,
            hint=hint,
            resumable=resumable,
        ) from error


def _completion(choice: dict[str, Any]) -> ChatCompletion:
    content = (choice.get("logprobs") or {}).get("content") or []
    return ChatCompletion(
        text=str(choice["message"].get("content") or ""),
        finish_reason=choice.get("finish_reason"),
        tokens=[_token_bytes(token) for token in content],
        top_logprobs=[
            [(_token_bytes(one), float(one["logprob"])) for one in token.get("top_logprobs") or [token]]
            for token in content
        ],
    )


def _token_bytes(token: dict[str, Any]) -> bytes:
    """The bytes of a token; the UTF-8 encoding of its text where the server gives no bytes."""
    given = token.get("bytes")
    return bytes(given) if given is not None else str(token["token"]).encode()


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"the response has no {error.args[0]!r}"
    return (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__
