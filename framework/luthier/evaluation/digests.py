"""Digests of examples: only what was measured on the same ones can be paired."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from luthier.contracts.examples import Example
from luthier.evaluation.bootstrap import Floats


def examples_digest(examples: Sequence[Example]) -> str:
    """A digest of the examples' content in order, 16 hexadecimal digits; their source and split do not count."""
    plain = [{key: value for key, value in example.items() if key not in ("where", "split")} for example in examples]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def tokens_digest(examples: str, losses: Floats) -> str:
    """A digest of the examples and of the token count of each loss: means over other tokens cannot be paired."""
    return hashlib.sha256(examples.encode() + losses[:, 1].tobytes()).hexdigest()[:16]
