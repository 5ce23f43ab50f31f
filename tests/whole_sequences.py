"""Batches without shared prefixes: what batches with them are compared with."""

from __future__ import annotations

from dataclasses import replace

from luthier.contracts.batch import Batch, Row
from luthier.data.collate import collate
from luthier.data.shared_prefixes import token_sequences


def without_shared_prefixes(batch: Batch) -> Batch:
    """The same sequences, each with its own copy of the prefix and in a block of its own."""
    rows = [[Row((sequence,))] for sequence in token_sequences(batch)]
    collated = collate(rows or [[]]).to(batch.input_ids.device)
    numbers = iter(collated.sequence_numbers)
    groups = tuple(tuple(next(numbers) for _ in group) for group in batch.sequence_groups)
    return replace(collated, examples=batch.examples, values=batch.values, sequence_groups=groups)
