"""Instructions proposed by a model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import os
from collections.abc import Sequence

import httpx

from luthier.api import Demonstration, RecipeError, chat_completions
from luthier_prompting.proposals import Proposals
from luthier_prompting.proposals.meta_prompt import instruction_requests


class EndpointProposals(Proposals):
    """Let the model `model` at the base URL `address` write `count` instructions, each after `shots` examples.

    These training examples are sent to the endpoint. `key` names the environment variable that holds the API key, which
    is never part of a recipe. `temperature`, `tokens` and `seconds` are the temperature, the most tokens and the
    timeout of each request; `seed` draws the examples.
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
            raise RecipeError(f"{address!r} is not a URL.", where="prompt.proposals", hint="Begin it with https://.")
        self.address, self.model, self.key = address, model, key
        self.count, self.shots, self.seed = count, shots, seed
        self.temperature, self.tokens, self.seconds = temperature, tokens, seconds

    def __call__(self, pool: Sequence[Demonstration]) -> list[str]:
        requests = instruction_requests(pool, self.count, self.shots, self.seed)
        with httpx.Client(timeout=self.seconds) as client:
            return [self._instruction(client, request) for request in requests]

    def _instruction(self, client: httpx.Client, prompt: str) -> str:
        request = {
            "model": self.model, "messages": [{"role": "user", "content": prompt}],
            "temperature": self.temperature, "max_tokens": self.tokens,
        }  # fmt: skip
        key, hint = os.environ.get(self.key, ""), f"Is the key in {self.key}?"
        return chat_completions(client, self.address, request, key=key, tries=1, hint=hint)[0].text.strip()
