"""JSON requests to an HTTP endpoint, with retries."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from luthier.errors import RecipeError

if TYPE_CHECKING:
    import httpx

RETRIED = {408, 409, 425, 429, 500, 502, 503, 504}
"""HTTP status codes after which a request is sent again."""


def post_json(client: httpx.Client, url: str, body: Any, tries: int, key: str = "") -> Any:
    """The JSON response to a JSON body; up to `tries` requests with exponential backoff.

    httpx.HTTPError where the last one fails.
    """
    import httpx

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    for attempt in range(tries):
        last = attempt == tries - 1
        try:
            response = client.post(url, json=body, headers=headers)
            if response.status_code not in RETRIED or last:
                response.raise_for_status()
                return response.json()
        except httpx.TransportError:
            if last:
                raise
        time.sleep(0.5 * 2**attempt)
    return None


def api_key(name: str | None, *, where: str) -> str:
    """The key in the environment variable `name`, read on use and never stored; empty where `name` is None.

    RecipeError where the variable is not set.
    """
    if name is None:
        return ""
    if not (key := os.environ.get(name)):
        raise RecipeError(f"The environment has no {name}, which is to hold the key of the endpoint.", where=where)
    return key
