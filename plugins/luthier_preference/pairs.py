"""What an objective is given: how likely the answers are, now and before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from luthier.errors import RecipeError


@dataclass(frozen=True)
class Pairs:
    """P pairs of answers to the same prompt, one preferred to the other; every tensor is float32 [P].

    `chosen` and `rejected` are log p(answer | prompt), summed over its tokens, of which there are `chosen_tokens` and
    `rejected_tokens`. `margin` is how much better the chosen answer is by the data's own word, 0 where it says
    nothing. The reference is asked for when an objective first uses it, and never for one that does without.
    """

    chosen: Tensor
    rejected: Tensor
    chosen_tokens: Tensor
    rejected_tokens: Tensor
    margin: Tensor
    reference: Callable[[], tuple[Tensor, Tensor]]

    @cached_property
    def _before(self) -> tuple[Tensor, Tensor]:
        return self.reference()

    @property
    def chosen_ratio(self) -> Tensor:
        """log p(chosen) - log p_ref(chosen)."""
        return self.chosen - self._before[0]

    @property
    def rejected_ratio(self) -> Tensor:
        """log p(rejected) - log p_ref(rejected)."""
        return self.rejected - self._before[1]

    @property
    def difference(self) -> Tensor:
        """How much more the chosen answer gained on the reference than the rejected one."""
        return self.chosen_ratio - self.rejected_ratio

    @property
    def chosen_mean(self) -> Tensor:
        """log p(chosen) a token."""
        return self.chosen / self.chosen_tokens

    @property
    def rejected_mean(self) -> Tensor:
        """log p(rejected) a token."""
        return self.rejected / self.rejected_tokens


Objective = Callable[[Pairs], Tensor]
"""The loss of each pair, [P]; its settings are bound by the recipe."""


def uses_reference(objective: Objective) -> bool:
    """Whether an objective looks at the reference, found out by trying it on two made-up pairs.

    RecipeError for one that does not give a finite loss for each pair.
    """
    asked = False

    def reference() -> tuple[Tensor, Tensor]:
        nonlocal asked
        asked = True
        return torch.tensor([-4.0, -3.0]), torch.tensor([-5.0, -2.0])

    pairs = Pairs(
        chosen=torch.tensor([-3.0, -6.0]),
        rejected=torch.tensor([-5.0, -4.0]),
        chosen_tokens=torch.tensor([2.0, 3.0]),
        rejected_tokens=torch.tensor([3.0, 2.0]),
        margin=torch.tensor([0.0, 1.0]),
        reference=reference,
    )
    name = getattr(getattr(objective, "func", objective), "__name__", type(objective).__name__)
    try:
        found = objective(pairs)
    except (AttributeError, TypeError) as error:
        raise RecipeError(f"{name} is no objective for pairs: {error}.", where="method.objective") from error
    if found.shape != (2,) or not found.isfinite().all():
        raise RecipeError(
            f"{name} gives {found.tolist()} for two pairs, where a finite loss for each is expected.",
            where="method.objective",
        )
    return asked
