"""Where documents come from. One way a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Document:
    """A text with a name of its own: the path below its folder, or the `id` of a record. Markdown is split by it."""

    name: str
    text: str
    title: str = ""
    markdown: bool = False

    @property
    def digest(self) -> str:
        """What it says, as 32 hexadecimal digits."""
        said = json.dumps([self.title, self.markdown, self.text])
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Documents(Protocol):
    """Gives the documents one at a time, in a fixed order."""

    def __iter__(self) -> Iterator[Document]: ...

    @property
    def place(self) -> str:
        """Names the collection: what it is read from. It stays the same while documents come and go."""

    @property
    def warnings(self) -> list[str]:
        """What somebody should see of the latest reading, a sentence each."""
