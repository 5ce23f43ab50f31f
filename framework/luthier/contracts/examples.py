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
    """A data source. Iterating yields its examples one at a time, in the same order each time.

    - *Given*: settings alone, such as the path of a file.
    - *Returns*: examples as dictionaries with `where` and `split`, and `messages`, `text` or `chosen` and
      `rejected`; each reading begins anew and gives the same.
    - *Called*: once for each reading: before training and before measuring. A reading is cached by the settings,
      the code and `state()` where the source has one.
    - *Ranks*: on every rank; the first to read fills the cache for the others.
    - *Raises*: DataError with `where` for a row that cannot be used; anything else is a fault.
    - *Resume*: a resumed run reads again and refuses to go on where the examples are others.
    - *Nested*: a field or a keyword-only parameter: `format: auto` and `splits: by_hash` in the defaults are
      questions of the folder `data/`, `/data@source: text` is a source inside of it.
    """

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
