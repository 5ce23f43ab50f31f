"""What a record of a data set is, and where records come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

Example = dict[str, Any]
"""One record of a data set. Which of these keys it has depends on its format:

- `messages`: a conversation in OpenAI's form, `[{"role", "content", "weight"?, "tool_calls"?, "name"?}, …]`;
- `text`: plain text; `chosen` and `rejected`: two lists of messages that continue `messages`, in place of its last
  answer where it has one (`prompt_of`);
- `label`: the class, where the task is classification (the last message then says it); `tools`: tool definitions;
- `relevant`: names of the documents that hold its answer; a prompt that looks them up adds `found`, the names of those
  that it found, the best one first, and `passages`, those that it shows: `document`, `heading` and `text`;
- `where`: file:line of the record, and `split`: train, validation or test, always there; `source`: in a mixture;
- any further column of the source, under its own name.
"""


class Source(Protocol):
    """From which examples? Iterating gives them in a fixed order, one at a time."""

    def __iter__(self) -> Iterator[Example]:
        """Read the examples in a fixed order, from the beginning each time; DataError for a row that cannot be used."""

    @property
    def counts(self) -> Mapping[str, int]:
        """What happened to the records in the latest reading: read, skipped, quarantined, …"""

    @property
    def warnings(self) -> list[str]:
        """What somebody should see of the latest reading, a sentence each."""

    def fingerprint(self) -> dict[str, Any]:
        """What was read, for the manifest: names, sha256, rows."""

    def quarantine_into(self, folder: Path) -> None:
        """Let records that cannot be used be kept in `folder`, where the recipe wants them kept and names no place."""
