"""What every objective below a method keeps to; inherit it, say the answer, and the method that asks it.

class TestMine(ObjectiveContract):
    answer = "method/objective=mine"
    method = "dpo"
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from luthier.testing.advantage import CHEAP
from luthier.testing.method import ALL, update
from luthier.testing.part import PartContract


class ObjectiveContract(PartContract):
    """Trains a tiny model with the objective. `method` asks for it: dpo, kto, grpo or reward_model."""

    method: ClassVar[str] = "dpo"

    @classmethod
    def recipe(cls) -> tuple[str, ...]:
        """The words of a recipe with the part."""
        return (*(CHEAP if cls.method == "grpo" else (f"method={cls.method}",)), cls.answer, *cls.words)

    @pytest.mark.parametrize("micro", [1, 3])
    def test_the_update_does_not_depend_on_micro_batches(self, micro: int, tmp_path: Path) -> None:
        words = (*self.recipe(), "batch.packing=false")
        whole = update(tmp_path / "whole", *words, f"batch.micro={ALL}", plugins=self.plugins)
        whole.assert_same(update(tmp_path / "cut", *words, f"batch.micro={micro}", plugins=self.plugins))
