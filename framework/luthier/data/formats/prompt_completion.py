"""A prompt and its completion."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.formats.conversation import conversation
from luthier.data.formats.fields import further_fields, system_turns, text_field
from luthier.data.formats.format import Format
from luthier.data.formats.tools import with_tools

if TYPE_CHECKING:
    from luthier.contracts.examples import Example


@dataclass(frozen=True)
class PromptCompletion(Format):
    """`prompt` and `completion`: two texts, or two lists of turns with `role` and `content`.

    Texts become the user and the assistant turn; `system`, if present, the system turn; `tools` holds tool definitions.
    """

    name = "prompt_completion"
    """As `data/format` names it."""
    expects = "`prompt` and `completion`"
    """What a row must hold, as errors say it."""
    keys = (("prompt", "completion"),)
    """Sets of keys by which a row is recognised."""
    synonyms = {  # noqa: RUF012
        "prompt": ("question", "query", "input", "instruction", "source", "document", "dialogue", "article", "context"),
        "completion": ("answer", "response", "output", "target", "summary", "reply", "section_text", "highlights"),
    }
    """Column names that often hold these keys, for the hint of an error."""

    def recognises(self, row: dict[str, Any]) -> str:
        """Why the row is of this format, an empty string where it is not."""
        return "`prompt` and `completion` stand side by side" if {"prompt", "completion"} <= row.keys() else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        """The example of a row, with its further columns; DataError where a key is missing or holds no text."""
        example = further_fields(row, ("prompt", "completion", "system", "tools"), counts)
        turns = system_turns(row)
        for key, role in (("prompt", "user"), ("completion", "assistant")):
            given = row.get(key)
            turns += given if isinstance(given, list) else [{"role": role, "content": text_field(row, key)}]
        example["messages"] = conversation(turns, counts, at="prompt and completion")
        return with_tools(example, row)
