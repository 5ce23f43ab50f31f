"""Stop tokens and stop texts of generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from luthier.data.encoding import encode_conversation
from luthier.models.wrappers import unwrapped

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def stop_tokens(network: nn.Module, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The ids of stop tokens: the tokenizer's EOS, those of generation_config.json, the template's end of turn."""
    settings: Any = getattr(unwrapped(network), "generation_config", None)
    stated = getattr(settings, "eos_token_id", None)
    found = {tokenizer.eos_token_id, *(stated if isinstance(stated, list) else [stated]), end_of_turn(tokenizer)}
    return frozenset(token for token in found if isinstance(token, int))


def end_of_turn(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The special token with which the chat template ends an assistant turn, if any; DataError without a template."""
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    sequence = encode_conversation({"messages": turns}, tokenizer)
    last = int(sequence.ids[sequence.weights > 0][-1])
    token = tokenizer.added_tokens_decoder.get(last)
    return last if token is not None and token.special else None


def cut_at_stop(text: str, stops: tuple[str, ...]) -> str | None:
    """The text before the first stop text in it; None if it holds none."""
    places = [place for place in map(text.find, stops) if place >= 0]
    return text[: min(places)] if places else None
