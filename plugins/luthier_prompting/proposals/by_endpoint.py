"""Instructions that a model behind an address writes."""

from __future__ import annotations

import os
from collections.abc import Sequence

import httpx

from luthier.api import RecipeError
from luthier_prompting.chat_completion import said
from luthier_prompting.demonstration import Demonstration
from luthier_prompting.proposals import Proposals
from luthier_prompting.proposals.meta_prompt import questions


class ByEndpoint(Proposals):
    """Let a model behind an OpenAI-compatible `address` write `count` instructions after `shots` examples each.

    The training examples that it is shown leave this machine. `key` names the variable of the environment that holds
    the key; it never stands in a recipe.
    """

    def __init__(
        self,
        *,
        address: str,
        model: str,
        key: str = "OPENAI_API_KEY",
        count: int = 8,
        shots: int = 5,
        temperature: float = 0.8,
        tokens: int = 128,
        seconds: float = 60.0,
        seed: int = 0,
    ) -> None:
        if not address.startswith(("http://", "https://")):
            raise RecipeError(f"{address!r} is no address.", where="prompt.proposals", hint="Begin it with https://.")
        self.address, self.model, self.key = address.rstrip("/"), model, key
        self.count, self.shots, self.seed = count, shots, seed
        self.temperature, self.tokens, self.seconds = temperature, tokens, seconds

    def __call__(self, pool: Sequence[Demonstration]) -> list[str]:
        with httpx.Client(timeout=self.seconds) as client:
            return [self._said(client, one).strip() for one in questions(pool, self.count, self.shots, self.seed)]

    def _said(self, client: httpx.Client, question: str) -> str:
        asked = {
            "model": self.model, "messages": [{"role": "user", "content": question}],
            "temperature": self.temperature, "max_tokens": self.tokens,
        }  # fmt: skip
        key = os.environ.get(self.key, "")
        return said(client, self.address, asked, key=key, tries=1, hint=f"Is the key in {self.key}?")
