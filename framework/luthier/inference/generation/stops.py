"""Stop tokens and stop texts of generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from luthier.data.encoding import encode_conversation
from luthier.errors import LuthierError
from luthier.models.wrappers import unwrapped

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from luthier.contracts.examples import Example


_QUESTION = {"role": "user", "content": "a"}
_SCHEMA = {"type": "object", "properties": {"x": {"type": "string", "description": "b"}}, "required": ["x"]}
_TOOL = {"type": "function", "function": {"name": "f", "description": "b", "parameters": _SCHEMA}}


def stop_tokens(network: nn.Module, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The ids of stop tokens: the tokenizer's EOS, those of generation_config.json, the template's ends of turns."""
    settings: Any = getattr(unwrapped(network), "generation_config", None)
    stated = getattr(settings, "eos_token_id", None)
    ends = (end_of_turn(tokenizer), end_of_call(tokenizer))
    found = {tokenizer.eos_token_id, *(stated if isinstance(stated, list) else [stated]), *ends}
    return frozenset(token for token in found if isinstance(token, int))


def end_of_turn(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The special token with which the chat template ends an assistant turn, if any; DataError without a template."""
    return _last_special({"messages": [_QUESTION, {"role": "assistant", "content": "b"}]}, tokenizer)


def end_of_call(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The special token with which the template ends a turn that calls tools; None where it renders no calls.

    It is that of a turn with two calls, where the template takes two: a token that ends each call ends no turn.
    """
    call = {"type": "function", "function": {"name": "f", "arguments": {"x": "b"}}}
    for calls in ([call, call], [call]):
        try:
            turn = {"role": "assistant", "content": "", "tool_calls": calls}
            return _last_special({"messages": [_QUESTION, turn], "tools": [_TOOL]}, tokenizer)
        except LuthierError:
            continue
    return None


def _last_special(example: Example, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The last trained token of an example, if it is a special one."""
    sequence = encode_conversation(example, tokenizer)
    last = int(sequence.ids[sequence.weights > 0][-1])
    token = tokenizer.added_tokens_decoder.get(last)
    return last if token is not None and token.special else None


def cut_at_stop(text: str, stops: tuple[str, ...]) -> str | None:
    """The text before the first stop text in it; None if it holds none."""
    places = [place for place in map(text.find, stops) if place >= 0]
    return text[: min(places)] if places else None
