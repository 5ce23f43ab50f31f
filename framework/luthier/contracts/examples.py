"""The contract of data sources, and the keys of an example."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

Example = dict[str, Any]
"""One record of a data set. Which of these keys it has depends on its format:

- `messages`: a conversation in OpenAI's form, `[{"role", "content", "weight"?, "tool_calls"?, "name"?}, …]`;
- `text`: plain text; `chosen` and `rejected`: two lists of messages that continue `messages`, in place of its last
  answer where it has one (`prompt_of`);
- `label`: the class, in classification (the last message then is the label); `tools`: tool definitions;
- `relevant`: names of the documents that contain its answer; a retrieval prompt adds `found`, the names of the
  retrieved documents, best first, and `passages`, those in the prompt: `document`, `heading`, `text`, and `also`,
  other documents that hold the same passage;
- `where`: file:line of the record, and `split`: train, validation or test, both always present; `source`: its name in
  a mixture;
- `data.turns`: what of its conversation is an example (whole, each or last), where the source says so;
- any further column of the source, under its own name.
"""


class Source(Protocol):
    """A data source. Iterating yields its examples one at a time, in the same order each time."""

    @abstractmethod
    def __iter__(self) -> Iterator[Example]:
        """Read the examples in a fixed order, from the beginning each time; DataError for a row that cannot be used."""

    @property
    @abstractmethod
    def counts(self) -> Mapping[str, int]:
        """Counts of the latest reading by name: `read`, `examples`, `skipped`, `quarantined`, …"""

    @property
    def warnings(self) -> list[str]:
        """Warnings about the latest reading for the report, a sentence each."""

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """What was read, for the manifest: names, sha256 and numbers of rows, as JSON."""

    def quarantine_into(self, folder: Path) -> None:
        """Write quarantined records to `folder`, where the recipe asks for a quarantine and names no folder."""
