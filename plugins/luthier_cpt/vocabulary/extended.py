"""A model whose vocabulary has the words of a domain, too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn

from luthier.api import (
    Reading,
    __version__,
    build_once,
    cache_folder,
    content_hash,
    example_text,
    hash_of_tokenizer,
    load_tokenizer,
    mark_added_tokens,
)
from luthier_cpt.vocabulary import tokenizers
from luthier_cpt.vocabulary.merges import Pair

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from luthier.api import Model, Source

_LEARNED = "learned.json"


class Extended:
    """Start from another model, `base`, with at most `tokens` further tokens learned from the text of `corpus`.

    Byte pair merges go on where those of the base ended, on the first `characters` of the training split; a token
    stands there `frequency` times or more. The ids that the base has stay, and text without new tokens is cut as
    before. A new token's embedding, and its row of an untied head, begins as the mean of its old pieces' rows, or
    with `initial` weighted, the longer ones counting more, by their length. Adaptations train the new rows beside
    what else they move (`luthier.models.added_tokens`).
    """

    def __init__(
        self,
        *,
        base: Any,
        corpus: Any,
        tokens: int = 1000,
        frequency: int = 10,
        initial: Literal["mean", "weighted"] = "mean",
        characters: int = 50_000_000,
    ) -> None:
        self.base: Model = base
        self.corpus: Source = corpus
        self.tokens, self.frequency, self.initial, self.characters = tokens, frequency, initial, characters
        self._given: list[Pair] | None = None

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return tokenizers.extended(self.base.tokenizer, self._merges)

    @cached_property
    def config(self) -> PretrainedConfig:
        config = deepcopy(self.base.config)
        text = config.get_text_config()
        text.vocab_size = max(text.vocab_size, max(self._ids, default=0) + 1)
        return config

    def network(self) -> nn.Module:
        network = cast("PreTrainedModel", self.base.network())
        made = [self._rows(table) for table in _tables(network)]
        if self._ids and self._ids[-1] >= len(_tables(network)[0]):
            network.resize_token_embeddings(self._ids[-1] + 1, mean_resizing=False)
        with torch.no_grad():
            for table, rows in zip(_tables(network), made, strict=True):
                table[self._ids] = rows
        return mark_added_tokens(network, self._ids)

    def lineage(self) -> dict[str, Any]:
        """The base's, with a sha256 of weights and new tokens together, and what the tokens save."""
        base = self.base.lineage()
        made_of = content_hash([base.get("sha256") or base, self._merges, self.initial])
        told = {"kind": f"{base['kind']}, extended", "sha256": made_of, "new_tokens": len(self._ids), "parent": base}
        if self._given is None:
            before, after = self._learned["tokens_per_word"]
            said = (
                f"{len(self._ids):,} new tokens: {before:.3f} tokens a word of held-out text before, {after:.3f} after."
            )
            told["note"] = " ".join(filter(None, [base.get("note"), said]))
        return {**base, **told}

    def restore(self, folder: Path) -> None:
        """Take the tokens from the tokenizer that a run left, and learn none."""
        theirs = load_tokenizer(folder, owner=str(folder))
        self._given = tokenizers.added(self.base.tokenizer, theirs)

    @property
    def _merges(self) -> list[Pair]:
        if self._given is not None:
            return self._given
        return [(left, right) for left, right in self._learned["merges"]]

    @cached_property
    def _ids(self) -> list[int]:
        first = max(self.base.tokenizer.get_vocab().values()) + 1
        return list(range(first, first + len(self._merges)))

    @cached_property
    def _learned(self) -> dict[str, Any]:
        """The merges, and tokens a word before and after; kept in the cache under all that they depend on."""
        reading, base = Reading.of(self.corpus), self.base.tokenizer
        asked = [self.tokens, self.frequency, self.characters]
        name = content_hash([__version__, dict(reading.digests), hash_of_tokenizer(base), asked])

        def learn(folder: Path) -> None:
            merges = tokenizers.learned(base, self._texts(reading, "train"), self.tokens, self.frequency)
            unseen = next((split for split in ("test", "validation") if split in reading.examples), "train")
            both = [base, tokenizers.extended(base, merges)]
            per_word = [tokenizers.tokens_per_word(each, self._texts(reading, unseen)) for each in both]
            told = {"merges": merges, "tokens_per_word": per_word}
            (folder / _LEARNED).write_text(json.dumps(told), encoding="utf-8")

        folder = build_once(cache_folder("vocabularies") / name[:32], learn)
        found: dict[str, Any] = json.loads((folder / _LEARNED).read_text(encoding="utf-8"))
        return found

    def _texts(self, reading: Reading, split: str) -> Iterator[str]:
        """The texts of a split, up to the number of characters."""
        left = self.characters
        for example in reading.examples.get(split, ()):
            if left <= 0:
                return
            text = example_text(example)
            left -= len(text)
            yield text

    def _rows(self, table: Tensor) -> Tensor:
        """What the new tokens' rows of a table begin as, [tokens, …]."""
        cut = tokenizers.pieces(self.base.tokenizer, self._merges)
        rows = [self._mean(table.detach()[pieces], pieces) for pieces in cut]
        return torch.stack(rows) if rows else table.detach()[:0]

    def _mean(self, rows: Tensor, pieces: list[int]) -> Tensor:
        lengths = [len(piece) for piece in self.base.tokenizer.convert_ids_to_tokens(pieces)]
        weights = torch.tensor(lengths if self.initial == "weighted" else [1] * len(pieces), dtype=torch.float32)
        shaped = (weights / weights.sum()).view(-1, *[1] * (rows.ndim - 1))
        return (rows.float() * shaped.to(rows.device)).sum(0).to(rows.dtype)


def _tables(network: Any) -> list[Tensor]:
    """What has a row for each token: the embeddings, and the head's weight and bias where they are their own."""
    inner, outer = network.get_input_embeddings().weight, network.get_output_embeddings()
    own = [] if outer is None else [outer.weight, getattr(outer, "bias", None)]
    return [inner, *(each for each in own if each is not None and each is not inner)]
