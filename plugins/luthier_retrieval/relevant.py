"""The column `relevant` of an example: the documents that answer its question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.api import DataError

COLUMN = "relevant"


def relevant_names(example: Mapping[str, Any]) -> list[str]:
    """The names of the relevant documents, empty where no document is; a text is one name, as tables hold it.

    DataError for what is neither a text nor a list of texts.
    """
    value = example.get(COLUMN)
    names = [value] if isinstance(value, str) else list(value) if isinstance(value, (list, tuple)) else value or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(
            f"`{COLUMN}` is {value!r}, where a list of names of documents is expected.",
            where=str(example.get("where", "")),
            hint='Write it as "relevant": ["prices.md"].',
        )
    return [name for name in names if name]
