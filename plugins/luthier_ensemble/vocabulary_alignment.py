"""Aligns models with other vocabularies: the rows of shared tokens are put in one order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from luthier.api import meta_network
from luthier_ensemble.weights import Layout, StoredTensors

if TYPE_CHECKING:
    from luthier.api import Model


@dataclass(frozen=True)
class AlignedTensors(StoredTensors):
    """A model's tensors, with the token tables in the order of `reference`.

    In each of `tables` the reference's rows `reference_rows` are replaced by the model's `own_rows`; rows of tokens
    that the model does not have stay the reference's.
    """

    reference: StoredTensors = field(kw_only=True)
    tables: frozenset[str] = field(kw_only=True)
    reference_rows: Tensor = field(kw_only=True)
    own_rows: Tensor = field(kw_only=True)

    def layout(self, name: str) -> Layout:
        shape, dtype = super().layout(name)
        return ((self.reference.layout(name)[0][0], *shape[1:]) if name in self.tables else shape), dtype

    def tensor(self, name: str) -> Tensor:
        own = super().tensor(name)
        if name not in self.tables:
            return own
        rows = self.reference.tensor(name).to(own.dtype)
        rows[self.reference_rows] = own[self.own_rows]
        return rows


def aligned(
    stored: Mapping[str, StoredTensors], models: Mapping[str, Model], reference: Model
) -> dict[str, StoredTensors]:
    """The tensors of each model with the tokens of `reference`, one of the models, which stays as it is."""
    (reference_tensors,) = (stored[name] for name, model in models.items() if model is reference)
    tables, reference_rows = _token_tables(reference), reference.tokenizer.get_vocab()

    def align(own: StoredTensors, rows: Mapping[str, int]) -> StoredTensors:
        shared = sorted((row, rows[token]) for token, row in reference_rows.items() if token in rows)
        pairs = torch.tensor(shared, dtype=torch.int64).view(-1, 2)
        return AlignedTensors(
            own.name,
            own.folder,
            own.aliases,
            reference=reference_tensors,
            tables=tables,
            reference_rows=pairs[:, 0],
            own_rows=pairs[:, 1],
        )

    return {
        name: stored[name] if model is reference else align(stored[name], model.tokenizer.get_vocab())
        for name, model in models.items()
    }


def _token_tables(model: Model) -> frozenset[str]:
    """The names of the weights with a row for each token."""
    network: Any = meta_network(model)
    ends = [network.get_input_embeddings(), network.get_output_embeddings()]
    return frozenset(
        f"{name}.{weight}"
        for name, module in network.named_modules(remove_duplicate=False)
        if any(module is end for end in ends)
        for weight, _ in module.named_parameters(recurse=False)
    )
