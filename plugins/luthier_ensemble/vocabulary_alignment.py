"""Models with other vocabularies, as if they had the same: the rows of tokens put in one order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from luthier.api import meta_network
from luthier_ensemble.weights import Weights

if TYPE_CHECKING:
    from luthier.api import Model


@dataclass(frozen=True)
class Reordered(Weights):
    """A model's tensors, those of `tables` with the rows of `like`: at `here` its own rows `theirs`, else `like`'s."""

    like: Weights = field(kw_only=True)
    tables: frozenset[str] = field(kw_only=True)
    here: Tensor = field(kw_only=True)
    theirs: Tensor = field(kw_only=True)

    def shape(self, name: str) -> tuple[tuple[int, ...], torch.dtype]:
        shape, dtype = super().shape(name)
        return ((self.like.shape(name)[0][0], *shape[1:]) if name in self.tables else shape), dtype

    def tensor(self, name: str) -> Tensor:
        own = super().tensor(name)
        if name not in self.tables:
            return own
        rows = self.like.tensor(name).to(own.dtype)
        rows[self.here] = own[self.theirs]
        return rows


def aligned(weights: Mapping[str, Weights], models: Mapping[str, Model], first: Model) -> dict[str, Weights]:
    """The weights of each model with the tokens of `first`, one of the models, which stays as it is."""
    (like,) = (weights[name] for name, model in models.items() if model is first)
    tables, wanted = _tables(first), first.tokenizer.get_vocab()
    found = {}
    for name, model in models.items():
        known = model.tokenizer.get_vocab()
        shared = sorted((place, known[token]) for token, place in wanted.items() if token in known)
        own = weights[name]
        here, theirs = (torch.tensor(each, dtype=torch.int64) for each in zip(*shared, strict=True))
        found[name] = (
            own
            if model is first
            else Reordered(own.name, own.folder, own.aliases, like=like, tables=tables, here=here, theirs=theirs)
        )
    return found


def _tables(model: Model) -> frozenset[str]:
    """The names of weights with a row for each token."""
    network: Any = meta_network(model)
    modules = [network.get_input_embeddings(), network.get_output_embeddings()]
    return frozenset(
        f"{name}.{weight}"
        for name, module in network.named_modules(remove_duplicate=False)
        if any(module is each for each in modules)
        for weight, _ in module.named_parameters(recurse=False)
    )
