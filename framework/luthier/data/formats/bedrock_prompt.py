"""Amazon Bedrock's prompt and completion format."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.formats.conversation import conversation
from luthier.data.formats.fields import text_field
from luthier.data.formats.format import Format
from luthier.data.formats.reserved import count_reserved
from luthier.errors import DataError

if TYPE_CHECKING:
    from luthier.contracts.examples import Example

FIELDS = ("prompt", "completion", "system")


@dataclass(frozen=True)
class BedrockPrompt(Format):
    """Amazon Bedrock's format for text models: the texts `prompt` and `completion`, and optionally `system`.

    Other than in prompt_completion, any further field is refused, as by Bedrock. Turns with strings for which a job
    there fails ("User:", "[EOS]", …) are counted as `reserved_strings`.
    """

    name = "bedrock_prompt"
    expects = "`prompt` and `completion`, both texts, and nothing else but `system`"
    keys = (("prompt", "completion"),)

    def recognises(self, row: dict[str, Any]) -> str:
        return ""  # its rows are also prompt_completion, which accepts more; this one is chosen by name

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        if other := [key for key in row if key not in FIELDS]:
            raise DataError(f"The row has the field {other[0]!r}, which Bedrock does not take.")
        turns = [{"role": "system", "content": text_field(row, "system")}] if row.get("system") else []
        turns += [{"role": "user", "content": text_field(row, "prompt")}]
        turns += [{"role": "assistant", "content": text_field(row, "completion")}]
        messages = conversation(turns, counts)
        count_reserved(messages, counts)
        return {"messages": messages}
