"""Look at one encoded example, token by token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luthier.contracts.batch import Row
from luthier.contracts.examples import Example
from luthier.data.encoding.codec import Codec
from luthier.data.ledger.entries import Entry, Ledger
from luthier.data.ledger.findings import findings
from luthier.data.ledger.owners import owners

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MOST_BYTES = 4  # of a character in UTF-8


def inspect(example: Example, row: Row, tokenizer: PreTrainedTokenizerBase, *, lost: int = 0) -> Ledger:
    """The ledger of an example and the row that a method's `encode` made of it.

    `lost` is the number of trained tokens that were cut off because the row was too long.
    """
    special = Codec.of(tokenizer).plain.special_ids
    entries: list[Entry] = []
    for number, sequence in enumerate(row.sequences):
        ids, weights = sequence.ids.tolist(), sequence.weights.tolist()
        known = zip(ids, texts(ids, tokenizer), weights, owners(ids, example, tokenizer), strict=True)
        for token, text, weight, (message, role) in known:
            entries.append(Entry(token, text, message, role, weight, token in special, number))
    found = findings(example, entries, tokenizer, lost)
    meant = {"no_trainable_token"} if row.open else set()
    return Ledger(str(example.get("where", "")), entries, [each for each in found if each.name not in meant])


def texts(ids: list[int], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """What each token says. Of tokens that make one character together the last says it, the others nothing."""
    found: list[str] = []
    begun = 0
    for place in range(len(ids)):
        text = tokenizer.backend_tokenizer.decode(ids[begun : place + 1], skip_special_tokens=False)
        whole = not text.endswith("\ufffd") or place - begun == _MOST_BYTES - 1
        found.append(text if whole else "")
        begun = place + 1 if whole else begun
    return found
