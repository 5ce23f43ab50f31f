"""The `tokenizers` tokenizer behind one of transformers, which neither cuts nor pads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase


def backend_of(tokenizer: PreTrainedTokenizerBase) -> Tokenizer | None:
    """The tokenizer behind `tokenizer`, as `uncut` leaves it; None where it is not of the `tokenizers` library."""
    from tokenizers import Tokenizer

    backend = getattr(tokenizer, "backend_tokenizer", None)
    return uncut(backend) if isinstance(backend, Tokenizer) else None


def uncut(backend: Tokenizer) -> Tokenizer:
    """The tokenizer itself, without a length to cut or to pad to.

    A tokenizer.json or an earlier call with `truncation` leaves one in it, which would hold for every text from then
    on and be saved.
    """
    if backend.truncation is not None:
        backend.no_truncation()
    if backend.padding is not None:
        backend.no_padding()
    return backend
