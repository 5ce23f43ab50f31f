"""Instructions by a model behind an address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from luthier.api import PromptScorer, RecipeError, api_key
from luthier_prompting.chat_completion import said
from luthier_prompting.writers import Writer


class Endpoint(Writer):
    """Let a model behind an OpenAI-compatible `address` write them, in at most `tokens` tokens each.

    What it is told holds training examples, which leave this machine. `key` names the variable of the environment that
    holds the key, null that there is none. A server that is busy is asked `tries` times, each with `seconds`.
    """

    def __init__(
        self,
        *,
        address: str,
        model: str,
        key: str | None = "OPENAI_API_KEY",
        tokens: int = 512,
        seconds: float = 60.0,
        tries: int = 3,
    ) -> None:
        if not address.startswith(("http://", "https://")):
            raise RecipeError(f"{address!r} is no address.", where=_WHERE, hint="Begin it with https://.")
        self.address, self.model, self.key = address.rstrip("/"), model, key
        self.tokens, self.seconds, self.tries = tokens, seconds, tries

    def __call__(
        self, conversation: Sequence[dict[str, Any]], judge: PromptScorer, *, temperature: float, seed: int
    ) -> str:
        asked = {
            "model": self.model, "messages": list(conversation), "temperature": temperature, "seed": seed,
            "max_tokens": self.tokens,
        }  # fmt: skip
        key = api_key(self.key, where=f"{_WHERE}.key")
        with httpx.Client(timeout=self.seconds) as client:
            hint = "Is the server up, and the key right?"
            return said(client, self.address, asked, key=key, tries=self.tries, hint=hint)


_WHERE = "prompt.choosing.writer"
