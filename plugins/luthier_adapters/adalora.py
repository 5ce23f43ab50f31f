"""AdaLoRA: singular values of low importance are pruned while training."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytorch_lightning as pl
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from luthier.api import ADAPTER_NAME, RecipeError
from luthier_adapters.targeted import TargetedAdaptation

if TYPE_CHECKING:
    from peft import AdaLoraConfig

    from luthier.api import Model


@dataclass(kw_only=True, eq=False)
class AdaLora(TargetedAdaptation):
    """Learn P Λ Q beside each weight and prune the least important singular values (AdaLoRA, Zhang et al., 2023).

    Each update starts with `rank`, and `target` is the average that is left. Nothing is pruned in the first `warmup`
    fraction of the steps, nor in the last `settle` fraction; in between every `every` steps. P and Q are regularised
    towards orthogonality by `orthogonality` times the mean of ‖PᵀP - I‖ and ‖QQᵀ - I‖, which the reported loss does not
    include.
    """

    rank: int = 16
    target: int = 8
    alpha: float = 32.0
    dropout: float = 0.0
    warmup: float = 0.1
    settle: float = 0.3
    every: int = 1
    orthogonality: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.target < self.rank:
            raise RecipeError(
                f"adalora prunes from rank to target, so {self.target} must lie between 0 and {self.rank}.",
                where="adaptation.target",
            )
        if self.every < 1:
            raise RecipeError(f"every is at least 1, not {self.every}.", where="adaptation.every")

    def peft_config(self, network: nn.Module) -> AdaLoraConfig:
        from peft import AdaLoraConfig

        settings = self.targeted(
            init_r=self.rank,
            target_r=self.target,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            deltaT=self.every,
            total_step=1,  # known when training starts
        )
        return AdaLoraConfig(**settings)

    def penalty(self, network: nn.Module) -> Tensor | None:
        if not self.orthogonality:
            return None
        factors = [
            (name, weight) for name, weight in network.named_parameters() if ".lora_A." in name or ".lora_B." in name
        ]
        with torch.autocast(factors[0][1].device.type, enabled=False):
            distances = [_distance_from_orthonormal(weight, rows=".lora_A." in name) for name, weight in factors]
        return self.orthogonality * torch.stack(distances).mean()

    def callbacks(self) -> list[Any]:
        return [RankAllocation(self.warmup, self.settle)]

    def save(self, network: nn.Module, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*invalid shape")  # a layer may have lost all of its ranks
            super().save(network, folder)

    def load(self, model: Model, folder: Path) -> nn.Module:
        """As PEFT loads it, then with the exact factors: PEFT rounds those of pruned layers to the base dtype."""
        network = super().load(model, folder)
        for name, tensor in load_file(folder / "adapter_model.safetensors").items():
            path, _, factor = name.rpartition(".")
            if not factor.startswith("lora_"):
                continue  # rows of new tokens, which keep their shape
            _replace_factor(network.get_submodule(path), factor, tensor)
        return network


class RankAllocation(pl.Callback):
    """Prunes after each optimizer step, and removes the pruned ranks from the network when training is over."""

    def __init__(self, warmup: float, settle: float) -> None:
        self.warmup, self.settle = warmup, settle
        self._step = 0
        self._state: dict[str, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        tuner = _tuner(pl_module)
        total = max(2, int(cast(Any, pl_module).steps))  # with one step it would prune before any importance is known
        config: Any = tuner.peft_config[ADAPTER_NAME]
        config.total_step = total
        config.tfinal = min(round(self.settle * total), total - 2)
        config.tinit = min(round(self.warmup * total), total - config.tfinal - 1)
        self._step = trainer.global_step
        if self._state:
            config.rank_pattern = self._state["rank_pattern"]
            for name in ("exp_avg_ipt", "exp_avg_unc"):
                setattr(tuner.rankallocator, name, self._state[name])
            tuner.rankallocator.ipt = dict(self._state["exp_avg_ipt"])  # PEFT reads only whether a weight is in it

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step > self._step:
            self._step = trainer.global_step
            tuner = _tuner(pl_module)
            if not any(weight.grad is not None for weight in tuner.parameters()):
                return  # a step that was not finite has lost its gradients and moved nothing
            tuner.update_and_allocate(self._step)
            ranks = tuner.rankallocator
            self._state = {
                "rank_pattern": tuner.peft_config[ADAPTER_NAME].rank_pattern,
                "exp_avg_ipt": dict(ranks.exp_avg_ipt),
                "exp_avg_unc": dict(ranks.exp_avg_unc),
            }

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        tuner = _tuner(pl_module)
        pattern = self._state.get("rank_pattern")  # that of the weights, which may be those of an earlier step
        tuner.peft_config[ADAPTER_NAME].rank_pattern = pattern or {}
        for name, mask in (pattern or {}).items():
            layer, rows = tuner.model.get_submodule(name.partition(".lora_E")[0]), torch.tensor(mask)
            _replace_factor(layer, "lora_E", layer.lora_E[ADAPTER_NAME][rows])
            _replace_factor(layer, "lora_A", layer.lora_A[ADAPTER_NAME][rows])
            _replace_factor(layer, "lora_B", layer.lora_B[ADAPTER_NAME][:, rows])

    def state_dict(self) -> dict[str, Any]:
        return self._state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._state = state_dict


def _replace_factor(layer: Any, factor: str, tensor: Tensor) -> None:
    before = getattr(layer, factor)[ADAPTER_NAME]
    getattr(layer, factor)[ADAPTER_NAME] = nn.Parameter(tensor.detach().to(before.device), before.requires_grad)


def _tuner(module: pl.LightningModule) -> Any:
    return cast(Any, module).network.base_model


def _distance_from_orthonormal(weight: Tensor, *, rows: bool) -> Tensor:
    """‖W Wᵀ - I‖ of the rows, or ‖Wᵀ W - I‖ of the columns (Zhang et al., 2023, equation 4, without the square)."""
    products = weight @ weight.T if rows else weight.T @ weight
    identity = torch.eye(len(products), device=weight.device, dtype=weight.dtype)
    return cast(Tensor, torch.linalg.matrix_norm(products - identity))
