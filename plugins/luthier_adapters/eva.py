"""LoRA that starts where the activations of the training data vary most."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from luthier.api import Batch, RecipeError, network_inputs, unwrapped
from luthier_adapters.lora import Lora

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)


class Eva(Lora):
    """Start A with the principal directions of each layer's input over training data (EVA, Paischer et al., 2024).

    `batches` micro-batches of the training split are looked at until the directions stay within a cosine of `tau`,
    but no more than `passes` times; what had not settled by then is said. Ranks go where they explain most variance,
    up to `rho` times `rank` in one layer; the sum of all ranks stays. RecipeError where no data was learned from.
    """

    def __init__(
        self,
        *,
        rank: int = 16,
        alpha: float = 32.0,
        dropout: float = 0.0,
        targets: str | list[str] = "all-linear",
        rslora: bool = False,
        rho: float = 2.0,
        tau: float = 0.99,
        batches: int = 8,
        passes: int = 3,
    ) -> None:
        super().__init__(rank=rank, alpha=alpha, dropout=dropout, targets=targets, rslora=rslora)
        if rho < 1 or not 0 <= tau <= 1 or min(batches, passes) < 1:
            raise RecipeError("rho, batches and passes are at least 1, tau lies between 0 and 1.", where="adaptation")
        self.rho, self.tau, self.batches, self.passes = rho, tau, batches, passes
        self._seen: list[Batch] = []

    def learn(self, batches: Iterable[Batch], tokenizer: PreTrainedTokenizerBase) -> None:
        self._seen = list(islice(batches, self.batches))

    def peft_config(self, network: nn.Module) -> LoraConfig:
        from peft import EvaConfig

        return self.lora_config(init_lora_weights="eva", eva_config=EvaConfig(rho=self.rho, tau=self.tau))

    def __call__(self, network: nn.Module) -> nn.Module:
        from peft.tuners.lora.eva import initialize_lora_eva_weights
        from peft.tuners.tuners_utils import cast_adapter_dtype

        adapted = super().__call__(network)
        if next(network.parameters()).is_meta:
            return adapted  # with the same rank everywhere: only data says where ranks belong
        self._check()

        initialize_lora_eva_weights(
            adapted, self._seen, forward_fn=_Looks(self.passes * len(self._seen)), prepare_model_inputs_fn=_real_tokens,
            prepare_layer_inputs_fn=_rows, gather_distributed_inputs=False, show_progress_bar=False,
        )  # fmt: skip
        cast_adapter_dtype(adapted, adapter_name="default")  # layers of another rank were made anew
        return adapted

    def _check(self) -> None:
        """RecipeError where no batch was seen, or one has too few tokens to say so many directions."""
        if not self._seen:
            raise RecipeError("eva starts from training data, and has seen none.", where="adaptation")
        fewest, asked = min(batch.tokens for batch in self._seen), round(self.rho * self.rank)
        if fewest < asked:
            raise RecipeError(
                f"eva looks for {asked} directions (rank times rho) in batches of as few as {fewest} tokens.",
                where="adaptation.rank",
                hint="Lower adaptation.rank or adaptation.rho, or raise batch.micro.",
            )


class _Looks:
    """PEFT's forward pass, counted: after `most` of them the directions are taken as they are.

    PEFT would look for ever where two directions vary alike.
    """

    def __init__(self, most: int) -> None:
        self.most, self.done = most, 0
        self.hooks: set[Any] = set()

    def __call__(self, network: Any, batch: Batch) -> None:
        open_ones = _directions(network)
        self.hooks |= open_ones
        if self.done == self.most:
            for hook in self.hooks:
                hook.sim_thresh = -1.0
            log.warning(
                "adaptation=eva: the directions of %d of %d inputs were not settled (adaptation.tau) after %d looks; "
                "they are taken as they are.", len(open_ones), len(self.hooks), self.done,
            )  # fmt: skip
        network(**network_inputs(batch, unwrapped(network).config), logits_to_keep=1)
        self.done += 1


def _directions(network: nn.Module) -> set[Any]:
    """The hooks of PEFT that still look for directions."""
    from peft.tuners.lora.eva import SVDHook

    hooks = (hook for layer in network.modules() for hook in layer._forward_hooks.values())
    return {hook for hook in hooks if isinstance(hook, SVDHook)}


def _real_tokens(batch: Batch, config: Any) -> Tensor:
    """Where no padding is, bool [B, T]."""
    return batch.segments > 0


def _rows(given: Any, real: Tensor, name: str) -> Tensor:
    """The inputs of a layer for those tokens, [N, width]."""
    states = given if isinstance(given, torch.Tensor) else given[0]
    return states[real]
