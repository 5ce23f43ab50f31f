"""How often Python looks for objects that only refer to each other."""

from __future__ import annotations

import gc

OBJECTS = 20_000
"""New objects after which it looks; Python's own number is 700."""


def collect_seldom() -> None:
    """Look for cycles less often, unless somebody has chosen how often; must be called before much is imported.

    Torch, transformers and a recipe are a million objects, all of which are looked at again and again while the next
    ones are made: a quarter of the time of a short run, and of what a long one does between its steps.
    """
    if gc.get_threshold()[0] == 700:
        gc.set_threshold(OBJECTS, 10, 10)
