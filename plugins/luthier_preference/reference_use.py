"""Whether an objective needs a reference policy."""

from __future__ import annotations

import torch
from torch import Tensor

from luthier.api import PairLoss, PreferencePairs, misreturned
from luthier_preference.wrong_kind import wrong_kind


def uses_reference(objective: PairLoss) -> bool:
    """Whether an objective uses log-probabilities under the reference policy, found by calling it on made-up pairs.

    RecipeError where it is not written for them, PluginError where it does not return a finite loss for each pair, with
    a gradient; what its own code raises is raised.
    """
    used = False

    def reference() -> tuple[Tensor, Tensor]:
        nonlocal used
        used = True
        return torch.tensor([-4.0, -3.0]), torch.tensor([-5.0, -2.0])

    pairs = PreferencePairs(
        chosen=torch.tensor([-3.0, -6.0], requires_grad=True),
        rejected=torch.tensor([-5.0, -4.0], requires_grad=True),
        chosen_tokens=torch.tensor([2.0, 3.0]),
        rejected_tokens=torch.tensor([3.0, 2.0]),
        margin=torch.tensor([0.0, 1.0]),
        reference_log_probs=reference,
    )
    try:
        with torch.enable_grad():
            losses = objective(pairs)
    except (AttributeError, TypeError) as error:
        if (refusal := wrong_kind(objective, pairs, "pairs", error)) is None:
            raise
        raise refusal from error
    fits = isinstance(losses, Tensor) and losses.shape == (2,) and bool(losses.isfinite().all())
    if not fits:
        shown = losses.tolist() if isinstance(losses, Tensor) else losses
        raise misreturned(objective, "a tensor of two finite losses, one for each of two pairs", shown)
    if not losses.requires_grad:
        raise misreturned(objective, "losses with a gradient", losses, shown="losses without")
    return used
