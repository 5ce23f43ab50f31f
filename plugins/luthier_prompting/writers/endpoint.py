"""Instructions written by a model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from luthier.api import PromptScorer, RecipeError, api_key, chat_completions
from luthier_prompting.writers import InstructionWriter

_WHERE = "prompt.choosing.writer"


class EndpointWriter(InstructionWriter):
    """Let the model `model` at the base URL `address` write the instructions, in at most `tokens` tokens each.

    The training examples in the requests are sent to the endpoint. `key` names the environment variable that holds the
    API key, or is null where none is needed. Each request has `seconds` seconds, and up to `tries` tries.
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
            raise RecipeError(f"{address!r} is not a URL.", where=_WHERE, hint="Begin it with https://.")
        self.address, self.model, self.key = address, model, key
        self.tokens, self.seconds, self.tries = tokens, seconds, tries

    def __call__(
        self, conversation: Sequence[dict[str, Any]], scorer: PromptScorer, *, temperature: float, seed: int
    ) -> str:
        request = {
            "model": self.model, "messages": list(conversation), "temperature": temperature, "seed": seed,
            "max_tokens": self.tokens,
        }  # fmt: skip
        key, hint = api_key(self.key, where=f"{_WHERE}.key"), "Is the server up, and the key right?"
        with httpx.Client(timeout=self.seconds) as client:
            return chat_completions(client, self.address, request, key=key, tries=self.tries, hint=hint)[0].text
