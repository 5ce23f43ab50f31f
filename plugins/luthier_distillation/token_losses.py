"""What a signal gives, checked before it is weighted or summed."""

from __future__ import annotations

from torch import Tensor

from luthier.api import Signal, TokenDistributions, misreturned


def token_losses(signal: Signal, distributions: TokenDistributions) -> Tensor:
    """The loss of each token, [n]; PluginError that names the signal where it gives anything else."""
    losses, targets = signal(distributions), distributions.targets
    if not isinstance(losses, Tensor) or losses.shape != targets.shape or not losses.is_floating_point():
        shown = f"one of shape {list(losses.shape)} and {losses.dtype}" if isinstance(losses, Tensor) else ""
        raise misreturned(signal, f"a tensor of the loss of each token, {[len(targets)]}", losses, shown=shown)
    if distributions.logits.requires_grad and signal.compares_distributions and not losses.requires_grad:
        raise misreturned(signal, "losses with a gradient", losses, shown="losses without")
    return losses
