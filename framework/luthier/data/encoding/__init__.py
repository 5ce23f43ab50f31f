"""Encoding of examples to token ids and loss weights: the functions from which methods build their `encode`.

They do not change the tokenizer, so that several threads may encode at once, and equal arguments give equal results.
"""

from __future__ import annotations

from luthier.data.encoding.conversations import encode_continuation, encode_conversation, encode_prompt
from luthier.data.encoding.documents import encode_text
from luthier.data.encoding.for_scoring import encode_for_scoring
from luthier.data.encoding.shared_prefix import row_with_shared_prefix

__all__ = [
    "encode_continuation",
    "encode_conversation",
    "encode_for_scoring",
    "encode_prompt",
    "encode_text",
    "row_with_shared_prefix",
]
