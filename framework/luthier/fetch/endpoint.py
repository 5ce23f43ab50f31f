"""Ask a server over HTTP, with JSON for JSON, again where that may help."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from luthier.errors import RecipeError

if TYPE_CHECKING:
    import httpx

AGAIN = {408, 409, 425, 429, 500, 502, 503, 504}
"""Answers of a server after which it is worth asking again."""


def post_json(client: httpx.Client, url: str, body: Any, tries: int, key: str = "") -> Any:
    """What a server answers to JSON, as JSON; asked again, a little later each time, where that may help."""
    import httpx

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    for attempt in range(tries):
        last = attempt == tries - 1
        try:
            answer = client.post(url, json=body, headers=headers)
            if answer.status_code not in AGAIN or last:
                answer.raise_for_status()
                return answer.json()
        except httpx.TransportError:
            if last:
                raise
        time.sleep(0.5 * 2**attempt)
    return None


def api_key(name: str | None, *, where: str) -> str:
    """The key in an environment variable, read when it is used and never kept; empty where none is named."""
    if name is None:
        return ""
    if not (found := os.environ.get(name)):
        raise RecipeError(f"The environment has no {name}, where the key of the endpoint is said to be.", where=where)
    return found
