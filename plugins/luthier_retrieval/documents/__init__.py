"""The sources of documents, one class a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Document:
    """A text with a unique name: the path below its folder, or the `id` of a record.

    A Markdown text is split at its headings.
    """

    name: str
    text: str
    title: str = ""
    markdown: bool = False

    @property
    def digest(self) -> str:
        """The first 32 hexadecimal digits of the SHA-256 of title, kind and text."""
        content = json.dumps([self.title, self.markdown, self.text])
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Documents(Protocol):
    """Yields the documents of a collection one at a time, in a fixed order."""

    def __iter__(self) -> Iterator[Document]: ...

    @property
    def place(self) -> str:
        """Identifies the collection by where it is read from; adding or removing documents does not change it."""

    @property
    def warnings(self) -> list[str]:
        """The warnings of the latest reading for the report, a sentence each."""
        return []
