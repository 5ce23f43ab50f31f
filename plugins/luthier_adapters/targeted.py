"""What the PEFT adaptations with chosen target modules share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from luthier.api import PeftAdaptation


@dataclass(kw_only=True, eq=False)
class TargetedAdaptation(PeftAdaptation):
    """Adapt the modules that `targets` names, or all linear layers but the LM head: `all-linear`."""

    targets: str | list[str] = "all-linear"

    def targeted(self, **settings: Any) -> dict[str, Any]:
        """The arguments of a PEFT configuration: the task, the target modules, and the method's own `settings`."""
        return {"task_type": "CAUSAL_LM", "target_modules": self.targets, **settings}
