"""Examples become token ids, and a weight for each: which of them the model has to predict.

A method's `encode` is made of these functions. They only read the tokenizer, so that several threads may encode at
once, and they give the same answer whenever they are asked again.
"""

from __future__ import annotations

from luthier.data.encoding.conversations import context, continuation, conversation
from luthier.data.encoding.documents import text
from luthier.data.encoding.judgement import judgement
from luthier.data.encoding.shared_prefix import together

__all__ = ["context", "continuation", "conversation", "judgement", "text", "together"]
