"""Look at one encoded example, token by token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luthier.data.encode.codec import Codec
from luthier.data.ledger.entries import Entry, Ledger
from luthier.data.ledger.findings import findings
from luthier.data.ledger.owners import owners
from luthier.parts import Example, Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def inspect(example: Example, row: Row, tokenizer: PreTrainedTokenizerBase, *, lost: int = 0) -> Ledger:
    """The ledger of an example and the row that a method's `encode` made of it.

    `lost` is the number of trained tokens that were cut off because the row was too long.
    """
    special = Codec.of(tokenizer).plain.special_ids
    entries: list[Entry] = []
    for number, sequence in enumerate(row.sequences):
        ids, weights = sequence.ids.tolist(), sequence.weights.tolist()
        for token, weight, (message, role) in zip(ids, weights, owners(ids, example, tokenizer), strict=True):
            entries.append(Entry(token, _text(token, tokenizer), message, role, weight, token in special, number))
    return Ledger(str(example.get("where", "")), entries, findings(example, entries, tokenizer, lost))


def _text(token: int, tokenizer: PreTrainedTokenizerBase) -> str:
    """What the token says; its name in the vocabulary where it is only a part of a character."""
    text: str = tokenizer.backend_tokenizer.decode([token], skip_special_tokens=False)
    return text if text and "\ufffd" not in text else str(tokenizer.convert_ids_to_tokens(token))
