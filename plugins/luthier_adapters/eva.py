"""LoRA initialised with the principal directions of the activations on training data (EVA)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from luthier.api import ADAPTER_NAME, Batch, ForwardPass, RecipeError, forward_passes, layout_of
from luthier_adapters.lora import LowRankAdaptation, ranks_within, widths

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)


@dataclass(kw_only=True, eq=False)
class Eva(LowRankAdaptation):
    """Start A with the principal directions of each layer's input over training data (EVA, Paischer et al., 2024).

    The incremental SVD reads `batches` micro-batches of the training split until the directions stay within a cosine of
    `tau`, at most `passes` times; a warning is logged for those that have not converged. Ranks are redistributed to
    the layers where they explain most variance, up to `rho` times `rank` in one layer, and to as many as it has inputs;
    the sum of all ranks stays.
    RecipeError where `learn` was not called with data.
    """

    rho: float = 2.0
    tau: float = 0.99
    batches: int = 8
    passes: int = 3
    _calibration: list[Batch] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rho < 1 or not 0 <= self.tau <= 1 or min(self.batches, self.passes) < 1:
            raise RecipeError("rho, batches and passes are at least 1, tau lies between 0 and 1.", where="adaptation")

    def learn(self, batches: Iterable[Batch], tokenizer: PreTrainedTokenizerBase) -> None:
        self._calibration = list(islice(batches, self.batches))

    def peft_config(self, network: nn.Module) -> LoraConfig:
        from peft import EvaConfig

        inputs = {name: max(1, int(sizes[0] / self.rho)) for name, sizes in widths(network).items()}
        ranks, eva = ranks_within(inputs, self.rank), EvaConfig(rho=self.rho, tau=self.tau)
        return self.lora_config(init_lora_weights="eva", eva_config=eva, rank_pattern=ranks)

    def __call__(self, network: nn.Module, added_tokens: Sequence[int] = ()) -> nn.Module:
        from peft.tuners.lora.eva import initialize_lora_eva_weights
        from peft.tuners.tuners_utils import cast_adapter_dtype

        adapted = super().__call__(network, added_tokens)
        if next(network.parameters()).is_meta:
            return adapted  # with the same rank everywhere: ranks are redistributed by data alone
        self._check_calibration(max(layer.r[ADAPTER_NAME] for layer in _lora_layers(adapted)))
        calibration = [each for batch in self._calibration for each in forward_passes(batch, layout_of(network))]
        initialize_lora_eva_weights(
            adapted,
            calibration,
            forward_fn=_CountedForward(self.passes * len(calibration)),
            prepare_model_inputs_fn=_token_mask,
            prepare_layer_inputs_fn=_token_states,
            gather_distributed_inputs=False,
            show_progress_bar=False,
        )
        # PEFT leaves this out for layers whose rank has changed
        cast_adapter_dtype(adapted, adapter_name=ADAPTER_NAME)
        return adapted

    def _check_calibration(self, rank: int) -> None:
        """RecipeError without calibration batches, or where one has fewer tokens than a layer of `rank` directions."""
        if not self._calibration:
            raise RecipeError("eva is initialised from training data, and was given none.", where="adaptation")
        fewest, directions = min(batch.tokens for batch in self._calibration), round(self.rho * rank)
        if fewest < directions:
            raise RecipeError(
                f"eva estimates {directions} directions (rank times rho) in batches of as few as {fewest} tokens.",
                where="adaptation.rank",
                hint="Lower adaptation.rank or adaptation.rho, or raise batch.micro.",
            )


def _lora_layers(network: nn.Module) -> list[Any]:
    from peft.tuners.lora import LoraLayer

    return [module for module in network.modules() if isinstance(module, LoraLayer)]


class _CountedForward:
    """PEFT's forward pass, counted: after `most` calls the directions are used as they are.

    PEFT's loop would not end where two directions explain the same variance.
    """

    def __init__(self, most: int) -> None:
        self.most, self.done = most, 0
        self.hooks: set[Any] = set()

    def __call__(self, network: Any, batch: ForwardPass) -> None:
        unconverged = _svd_hooks(network)
        self.hooks |= unconverged
        if self.done == self.most:
            for hook in self.hooks:
                hook.sim_thresh = -1.0
            log.warning(
                "adaptation=eva: the directions of %d of %d inputs had not converged (adaptation.tau) after %d forward "
                "passes; they are used as they are.", len(unconverged), len(self.hooks), self.done,
            )  # fmt: skip
        network(**batch.inputs, logits_to_keep=1)
        self.done += 1


def _svd_hooks(network: nn.Module) -> set[Any]:
    """The hooks of PEFT whose directions have not converged yet."""
    from peft.tuners.lora.eva import SVDHook

    hooks = (hook for layer in network.modules() for hook in layer._forward_hooks.values())
    return {hook for hook in hooks if isinstance(hook, SVDHook)}


def _token_mask(batch: ForwardPass, config: Any) -> Tensor:
    """True for tokens and False for padding, bool [R, L]."""
    return batch.tokens


def _token_states(inputs: Any, mask: Tensor, name: str) -> Tensor:
    """The inputs of a layer at the tokens of the mask, [N, width]; all of them where a layer is given other rows.

    An architecture may have flattened batch and tokens, or put a dimension of one head between them.
    """
    states = inputs if isinstance(inputs, torch.Tensor) else inputs[0]
    rows = states.reshape(-1, states.shape[-1])
    return rows[mask.flatten()] if len(rows) == mask.numel() else rows
