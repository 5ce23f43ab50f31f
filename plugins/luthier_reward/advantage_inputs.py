"""Which inputs an advantage estimator reads beside the rewards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from luthier.api import Advantage, RecipeError, RewardedAnswers, misreturned


@dataclass(frozen=True, slots=True)
class AdvantageInputs:
    """Whether an advantage estimator reads the rewards of greedy answers, and the predictions of a value head."""

    greedy: bool
    values: bool


def advantage_inputs(advantage: Advantage) -> AdvantageInputs:
    """The inputs that an advantage estimator reads, found by calling it on two made-up groups of two answers.

    RecipeError where it fails on them, PluginError where it does not return finite advantages of shape [P, G] or
    [P, G, T].
    """
    read: set[str] = set()

    def recording(name: str, value: Tensor) -> Callable[[], Tensor]:
        def read_value() -> Tensor:
            read.add(name)
            return value

        return read_value

    rewarded = RewardedAnswers(
        torch.tensor([[1.0, 0.0], [0.5, 1.0]]),
        torch.full((2, 2, 3), 0.1),
        torch.tensor([[3, 2], [1, 3]]),
        recording("greedy", torch.tensor([0.5, 0.5])),
        recording("values", torch.full((2, 2, 3), 0.5)),
    )
    name = getattr(getattr(advantage, "func", advantage), "__name__", type(advantage).__name__)
    try:
        result = advantage(rewarded)
    except (AttributeError, TypeError) as error:
        raise RecipeError(f"{name} is not an advantage estimator: {error}.", where="method.advantage") from error
    fits = isinstance(result, Tensor) and result.shape in ((2, 2), (2, 2, 3)) and bool(result.isfinite().all())
    if not fits:
        shown = result.tolist() if isinstance(result, Tensor) else result
        expected = "a tensor of a finite number per answer, or per token, for two prompts with two answers each"
        raise misreturned(advantage, expected, shown)
    return AdvantageInputs("greedy" in read, "values" in read)
