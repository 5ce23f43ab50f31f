"""A model with a vocabulary extended by tokens of a domain."""

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
    processor_files,
    proofs_of,
)
from luthier_cpt.vocabulary import tokenizers
from luthier_cpt.vocabulary.merges import Pair

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from luthier.api import Model, Proof, Source

_LEARNED = "learned.json"


class Extended:
    """Start from another model, `base`, with at most `tokens` further tokens learned from the text of `corpus`.

    Byte pair merges are learned beyond those of the base, on the first `characters` of the training split; a token
    occurs there `frequency` times or more. The ids of the base stay, and text without new tokens is tokenized as
    before. A new token's embedding, and its row of an untied LM head, starts as the mean of the rows of the tokens it
    was split into, or with `initial: weighted` as their mean weighted by length. Adaptations train the new rows in
    addition to their own weights (`luthier.models.added_tokens`).
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
        self._restored: list[Pair] | None = None

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return tokenizers.extended(self.base.tokenizer, self._merges)

    @cached_property
    def config(self) -> PretrainedConfig:
        config = deepcopy(self.base.config)
        text = config.get_text_config()
        text.vocab_size = max(text.vocab_size, max(self._ids, default=0) + 1)
        return config

    @property
    def added_tokens(self) -> list[int]:
        """The ids of the new tokens."""
        return self._ids

    def network(self) -> nn.Module:
        network = cast("PreTrainedModel", self.base.network())
        new_rows = [self._rows(table) for table in _tables(network)]
        if self._ids and self._ids[-1] >= len(_tables(network)[0]):
            network.resize_token_embeddings(self._ids[-1] + 1, mean_resizing=False)
        with torch.no_grad():
            for table, rows in zip(_tables(network), new_rows, strict=True):
                table[self._ids] = rows
        return network

    @property
    def proofs(self) -> dict[str, Proof]:
        """Those of the base."""
        return proofs_of(self.base)

    def processor_files(self) -> list[Path]:
        """Those of the base."""
        return processor_files(self.base)

    def lineage(self) -> dict[str, Any]:
        """The base's, with a sha256 of weights and new tokens together, and the tokens per word before and after."""
        base = self.base.lineage()
        sha256 = content_hash([base.get("sha256") or base, self._merges, self.initial])
        own = {"kind": f"{base['kind']}, extended", "sha256": sha256, "new_tokens": len(self._ids), "parent": base}
        if self._restored is None:
            before, after = self._learned["tokens_per_word"]
            note = (
                f"{len(self._ids):,} new tokens: {before:.3f} tokens a word of held-out text before, {after:.3f} after."
            )
            own["note"] = " ".join(filter(None, [base.get("note"), note]))
        return {**base, **own}

    def restore(self, folder: Path) -> None:
        """Take the tokens from the tokenizer of a run's artifact, and learn none."""
        stored = load_tokenizer(folder, owner=str(folder))
        self._restored = tokenizers.added_merges(self.base.tokenizer, stored)

    @property
    def _merges(self) -> list[Pair]:
        if self._restored is not None:
            return self._restored
        return [(left, right) for left, right in self._learned["merges"]]

    @cached_property
    def _ids(self) -> list[int]:
        first = max(self.base.tokenizer.get_vocab().values()) + 1
        return list(range(first, first + len(self._merges)))

    @cached_property
    def _learned(self) -> dict[str, Any]:
        """The merges, and tokens per word before and after; cached under a hash of all that they depend on."""
        reading, base = Reading.of(self.corpus), self.base.tokenizer
        settings = [self.tokens, self.frequency, self.characters]
        name = content_hash([__version__, dict(reading.digests), hash_of_tokenizer(base), settings])

        def learn(folder: Path) -> None:
            merges = tokenizers.learn_merges(base, self._texts(reading, "train"), self.tokens, self.frequency)
            held_out = next((split for split in ("test", "validation") if split in reading.examples), "train")
            pair = [base, tokenizers.extended(base, merges)]
            per_word = [tokenizers.tokens_per_word(each, self._texts(reading, held_out)) for each in pair]
            learned = {"merges": merges, "tokens_per_word": per_word}
            (folder / _LEARNED).write_text(json.dumps(learned), encoding="utf-8")

        folder = build_once(cache_folder("vocabularies") / name[:32], learn)
        stored: dict[str, Any] = json.loads((folder / _LEARNED).read_text(encoding="utf-8"))
        return stored

    def _texts(self, reading: Reading, split: str) -> Iterator[str]:
        """The texts of a split, up to the number of characters."""
        remaining = self.characters
        for example in reading.examples.get(split, ()):
            if remaining <= 0:
                return
            text = example_text(example)
            remaining -= len(text)
            yield text

    def _rows(self, table: Tensor) -> Tensor:
        """The initial rows of the new tokens in a table, [tokens, …]."""
        split = tokenizers.pieces_of(self.base.tokenizer, self._merges)
        rows = [self._mean(table.detach()[pieces], pieces) for pieces in split]
        return torch.stack(rows) if rows else table.detach()[:0]

    def _mean(self, rows: Tensor, pieces: list[int]) -> Tensor:
        lengths = [len(piece) for piece in self.base.tokenizer.convert_ids_to_tokens(pieces)]
        weights = torch.tensor(lengths if self.initial == "weighted" else [1] * len(pieces), dtype=torch.float32)
        shaped = (weights / weights.sum()).view(-1, *[1] * (rows.ndim - 1))
        return (rows.float() * shaped.to(rows.device)).sum(0).to(rows.dtype)


def _tables(network: Any) -> list[Tensor]:
    """The tables with a row for each token: embeddings, and weight and bias of an LM head that is not tied to them."""
    embeddings, head = network.get_input_embeddings().weight, network.get_output_embeddings()
    of_head = [] if head is None else [head.weight, getattr(head, "bias", None)]
    return [embeddings, *(table for table in of_head if table is not None and table is not embeddings)]
