"""Words of a model behind an OpenAI-compatible address."""

from __future__ import annotations

from typing import Any

import httpx

from luthier.api import ResourceError, post_json


def said(client: httpx.Client, address: str, asked: dict[str, Any], *, key: str, tries: int, hint: str) -> str:
    """What it says to a chat completion; ResourceError with `hint` where no words come."""
    try:
        found = post_json(client, f"{address}/chat/completions", asked, tries, key)
        return str(found["choices"][0]["message"]["content"] or "")
    except (httpx.HTTPError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ResourceError(f"No instruction came from {address}: {error}.", hint=hint) from error
