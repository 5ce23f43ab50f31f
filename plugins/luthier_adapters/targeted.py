"""What the PEFT adaptations with chosen target modules share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from luthier.api import PeftAdaptation, RecipeError


@dataclass(kw_only=True, eq=False)
class TargetedAdaptation(PeftAdaptation):
    """Adapt the modules that `targets` names, or all linear layers but the LM head: `all-linear`."""

    targets: str | list[str] = "all-linear"

    def targeted(self, **settings: Any) -> dict[str, Any]:
        """The arguments of a PEFT configuration: the task, the target modules, and the method's own `settings`."""
        return {"task_type": "CAUSAL_LM", "target_modules": self.targets, **settings}


def refuse_added_tokens(added_tokens: Sequence[int], reason: str) -> None:
    """RecipeError where tokens were added to the vocabulary, whose rows this adaptation could not keep."""
    if added_tokens:
        raise RecipeError(reason, where="adaptation", hint="Choose adaptation=lora, which trains and saves them.")
