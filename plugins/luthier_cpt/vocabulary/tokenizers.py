"""Extends a BPE tokenizer by merges; all its present ids stay."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from luthier.api import RecipeError
from luthier_cpt.vocabulary.merges import Pair, further_merges

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def learn_merges(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], tokens: int, frequency: int) -> list[Pair]:
    """Merges for at most `tokens` new tokens, each of which occurs `frequency` times or more in the texts."""
    backend = _bpe_backend(tokenizer)
    words: Counter[str] = Counter()
    for text in texts:
        words.update(_words(backend, text))
    tokenized: Counter[tuple[str, ...]] = Counter()
    for word, count in words.items():
        tokenized[tuple(token.value for token in backend.model.tokenize(word))] += count
    return further_merges(tokenized, backend.get_vocab(with_added_tokens=True), tokens, frequency)


def extended(tokenizer: PreTrainedTokenizerBase, merges: Iterable[Pair]) -> PreTrainedTokenizerBase:
    """A copy with the merges; each new token gets the next id after the highest one."""
    backend = _bpe_backend(tokenizer)
    before = backend.get_vocab(with_added_tokens=True)
    state = json.loads(backend.to_str())
    model = state["model"]
    model["vocab"] |= before  # added tokens keep their ids only if the model has them
    model["merges"] = [_as_pair(merge) for merge in model["merges"]]
    next_id = max(before.values()) + 1
    for pair in merges:
        model["vocab"]["".join(pair)] = next_id
        model["merges"].append(list(pair))
        next_id += 1
    after = Tokenizer.from_str(json.dumps(state))
    moved = next((token for token, number in before.items() if after.token_to_id(token) != number), None)
    if moved is not None:
        raise RecipeError(f"The tokenizer cannot be extended: {moved!r} would have another id.", where="model")
    copy = deepcopy(tokenizer)
    copy._tokenizer = after
    return copy


def added_merges(before: PreTrainedTokenizerBase, after: PreTrainedTokenizerBase) -> list[Pair]:
    """The merges of an extended tokenizer that the original one does not have."""
    merges_before = json.loads(_bpe_backend(before).to_str())["model"]["merges"]
    merges_after = json.loads(_bpe_backend(after).to_str())["model"]["merges"]
    return [(left, right) for left, right in map(_as_pair, merges_after[len(merges_before) :])]


def pieces_of(tokenizer: PreTrainedTokenizerBase, merges: Iterable[Pair]) -> list[list[int]]:
    """The ids into which the original tokenizer splits each new token."""
    model = _bpe_backend(tokenizer).model
    return [[token.id for token in model.tokenize("".join(pair))] for pair in merges]


def tokens_per_word(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> float:
    """The mean number of tokens per word of the texts; words are separated by white space."""
    backend, words, tokens = tokenizer.backend_tokenizer, 0, 0
    for text in texts:
        words += len(text.split())
        tokens += len(backend.encode(text, add_special_tokens=False).ids)
    return tokens / max(1, words)


def _bpe_backend(tokenizer: PreTrainedTokenizerBase) -> Any:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or type(backend.model).__name__ != "BPE":
        kind = type(getattr(backend, "model", tokenizer)).__name__
        raise RecipeError(
            f"model=extended continues a byte pair encoding, and this tokenizer is a {kind}.",
            where="model.base",
            hint="Start from a model with a BPE tokenizer, as most language models have, or leave its tokens alone.",
        )
    return backend


def _words(backend: Any, text: str) -> list[str]:
    """The pre-tokenized words of a text; without a pre-tokenizer a word begins with its space."""
    normalized = backend.normalizer.normalize_str(text) if backend.normalizer else text
    if backend.pre_tokenizer:
        return [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(normalized)]
    return re.split(r"(?=▁)", normalized)


def _as_pair(merge: Any) -> list[str]:
    return merge.split(" ") if isinstance(merge, str) else list(merge)
