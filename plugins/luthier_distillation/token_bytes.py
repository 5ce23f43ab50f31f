"""Token bytes: the bytes that each token of a vocabulary stands for, by which two vocabularies are compared."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from luthier.api import DataError, RecipeError, end_of_turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@lru_cache(maxsize=8)
def token_bytes(tokenizer: PreTrainedTokenizerBase) -> tuple[bytes, ...]:
    """The bytes of each token id; empty for special tokens, which stand for no text.

    Byte-level vocabularies (GPT-2, Llama 3, Qwen) and SentencePiece vocabularies (Llama 2, Mistral, Gemma) are
    supported; RecipeError for others.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    decoder = json.dumps(json.loads(backend.to_str())["decoder"]) if backend is not None else ""
    if "ByteLevel" in decoder:
        byte_of_character = {character: byte for byte, character in _byte_level_characters().items()}
    elif "ByteFallback" in decoder or "Metaspace" in decoder:
        byte_of_character = {}
    else:
        raise RecipeError(
            f"The bytes of the tokens of {tokenizer.name_or_path or type(tokenizer).__name__} cannot be determined: "
            "its decoder is neither byte-level nor SentencePiece.",
            where="method.alignment",
            hint="Use method/alignment=in_order with method/signal=universal.",
        )
    added = tokenizer.added_tokens_decoder
    special = set(tokenizer.all_special_ids) | {token_id for token_id, token in added.items() if token.special}
    vocabulary = tokenizer.get_vocab()
    bytes_of = [b""] * (max(vocabulary.values()) + 1)
    for token, token_id in vocabulary.items():
        if token_id not in special:
            is_added = token_id in added
            bytes_of[token_id] = added[token_id].content.encode() if is_added else _bytes(token, byte_of_character)
    return tuple(bytes_of)


def end_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The id of the end-of-text token, and that of the end-of-turn token where it is another one."""
    try:
        turn = end_of_turn(tokenizer)
    except DataError:  # no chat template: there are no turns
        turn = None
    return list(dict.fromkeys(token for token in (tokenizer.eos_token_id, turn) if isinstance(token, int)))


def _bytes(token: str, byte_of_character: dict[str, int]) -> bytes:
    """The bytes of a token of a byte-level vocabulary, or of SentencePiece where `byte_of_character` is empty."""
    if byte_of_character:
        is_byte_level = all(character in byte_of_character for character in token)
        return bytes(byte_of_character[character] for character in token) if is_byte_level else token.encode()
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    return token.replace("\u2581", " ").encode()


def _byte_level_characters() -> dict[int, str]:
    """The character that stands for each byte in byte-level vocabularies: itself if printable, else from 256 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(others)}
