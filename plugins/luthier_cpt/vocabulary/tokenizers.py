"""Extend a tokenizer by merges, and leave every id that it has as it is."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from luthier.api import RecipeError
from luthier_cpt.vocabulary.merges import Pair, continued

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def learned(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], tokens: int, frequency: int) -> list[Pair]:
    """Merges for at most `tokens` new tokens, each of which stands `frequency` times or more in the texts."""
    backend = _byte_pairs(tokenizer)
    words: Counter[str] = Counter()
    for text in texts:
        words.update(_words(backend, text))
    cut = {tuple(token.value for token in backend.model.tokenize(word)): 0 for word in words}
    for word, count in words.items():
        cut[tuple(token.value for token in backend.model.tokenize(word))] += count
    return continued(cut, backend.get_vocab(with_added_tokens=True), tokens, frequency)


def extended(tokenizer: PreTrainedTokenizerBase, merges: Iterable[Pair]) -> PreTrainedTokenizerBase:
    """A copy that knows the merges, too; each new token has the next id after the highest there is."""
    backend = _byte_pairs(tokenizer)
    before = backend.get_vocab(with_added_tokens=True)
    described = json.loads(backend.to_str())
    model = described["model"]
    model["vocab"] |= before  # tokens beside the model keep their ids only if it knows them
    model["merges"] = [_as_pair(merge) for merge in model["merges"]]
    following = max(before.values()) + 1
    for pair in merges:
        model["vocab"]["".join(pair)] = following
        model["merges"].append(list(pair))
        following += 1
    after = Tokenizer.from_str(json.dumps(described))
    moved = next((token for token, number in before.items() if after.token_to_id(token) != number), None)
    if moved is not None:
        raise RecipeError(f"The tokenizer cannot be extended: {moved!r} would have another id.", where="model")
    copy = deepcopy(tokenizer)
    copy._tokenizer = after
    return copy


def added(before: PreTrainedTokenizerBase, after: PreTrainedTokenizerBase) -> list[Pair]:
    """The merges that an extended tokenizer has and the one that it was made from has not."""
    known = json.loads(_byte_pairs(before).to_str())["model"]["merges"]
    found = json.loads(_byte_pairs(after).to_str())["model"]["merges"]
    return [(left, right) for left, right in map(_as_pair, found[len(known) :])]


def pieces(tokenizer: PreTrainedTokenizerBase, merges: Iterable[Pair]) -> list[list[int]]:
    """The old ids that each new token is cut into, by the tokenizer before it was extended."""
    model = _byte_pairs(tokenizer).model
    return [[token.id for token in model.tokenize("".join(pair))] for pair in merges]


def tokens_per_word(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> float:
    """How many tokens a word of the texts has on average; words are parted by white space."""
    backend, words, tokens = tokenizer.backend_tokenizer, 0, 0
    for text in texts:
        words += len(text.split())
        tokens += len(backend.encode(text, add_special_tokens=False).ids)
    return tokens / max(1, words)


def _byte_pairs(tokenizer: PreTrainedTokenizerBase) -> Any:
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
    """What the tokenizer cuts a text into before any merge; where it does not, a word begins with its space."""
    normalized = backend.normalizer.normalize_str(text) if backend.normalizer else text
    if backend.pre_tokenizer:
        return [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(normalized)]
    return re.split(r"(?=▁)", normalized)


def _as_pair(merge: Any) -> list[str]:
    return merge.split(" ") if isinstance(merge, str) else list(merge)
