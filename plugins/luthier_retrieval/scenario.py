"""Tasks of a customer-service benchmark as retrieval queries."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.api import DataError, Format

if TYPE_CHECKING:
    from luthier.api import Example


@dataclass(frozen=True)
class Scenario(Format):
    """Read τ-bench's tasks: the customer's request (`user_scenario.instructions`) and the documents that it requires.

    The answer of an example is the names of these documents, one a line; `relevant` holds them as a list. Tasks that
    require none are dropped and counted as `without_documents`.
    """

    name = "scenario"
    expects = "`user_scenario` with `instructions`, and `required_documents`"

    def recognises(self, row: dict[str, Any]) -> str:
        matches = {"user_scenario", "required_documents"} <= row.keys()
        return "`user_scenario` and `required_documents` stand side by side" if matches else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example | None:
        request = (row.get("user_scenario") or {}).get("instructions")
        if not isinstance(request, str) or not request.strip():
            raise DataError("The task has no `user_scenario.instructions`.")
        names = [str(name) for name in row.get("required_documents") or ()]
        if not names:
            counts["without_documents"] += 1
            return None
        answer = {"role": "assistant", "content": "\n".join(names)}
        return {"messages": [{"role": "user", "content": request}, answer], "relevant": names, "id": str(row.get("id"))}
