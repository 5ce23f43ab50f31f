"""How a tokenizer spells: the bytes of each token, so that two vocabularies can be compared."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from luthier.api import DataError, RecipeError, end_of_turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@lru_cache(maxsize=8)
def spelling(tokenizer: PreTrainedTokenizerBase) -> tuple[bytes, ...]:
    """The bytes of each id; special tokens, which stand for no text, have none.

    Read from byte-level vocabularies (GPT-2, Llama 3, Qwen) and from those of SentencePiece (Llama 2, Mistral, Gemma);
    RecipeError for others.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    decoder = json.dumps(json.loads(backend.to_str())["decoder"]) if backend is not None else ""
    if "ByteLevel" in decoder:
        letters = {letter: byte for byte, letter in _letters().items()}
    elif "ByteFallback" in decoder or "Metaspace" in decoder:
        letters = {}
    else:
        raise RecipeError(
            f"{tokenizer.name_or_path or type(tokenizer).__name__} does not say which bytes its tokens are.",
            where="method.alignment",
            hint="Use method/alignment=in_order with method/signal=universal.",
        )
    special = set(tokenizer.all_special_ids) | {
        number for number, token in tokenizer.added_tokens_decoder.items() if token.special
    }
    added = {number: token.content for number, token in tokenizer.added_tokens_decoder.items()}
    found = [b""] * (max(tokenizer.get_vocab().values()) + 1)
    for token, number in tokenizer.get_vocab().items():
        if number not in special:
            found[number] = added[number].encode() if number in added else _bytes(token, letters)
    return tuple(found)


def ends(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The ids that end a text, and a turn of a conversation where that is another one."""
    try:
        turn = end_of_turn(tokenizer)
    except DataError:  # no chat template: there are no turns
        turn = None
    return list(dict.fromkeys(token for token in (tokenizer.eos_token_id, turn) if isinstance(token, int)))


def _bytes(token: str, letters: dict[str, int]) -> bytes:
    if letters:
        return bytes(letters[letter] for letter in token) if all(map(letters.__contains__, token)) else token.encode()
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    return token.replace("\u2581", " ").encode()


def _letters() -> dict[int, str]:
    """The letter by which a byte-level vocabulary writes each byte: itself where it can be seen, else from 256 on."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in set(seen)]
    return {byte: chr(byte) for byte in seen} | {byte: chr(256 + place) for place, byte in enumerate(rest)}
