"""LoRA beside a network whose own weights have four bits each, by bitsandbytes."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from luthier.api import ADAPTER_NAME, Needs, RecipeError, added_token_ids, imported, unwrapped
from luthier_adapters.lora import Lora

if TYPE_CHECKING:
    from luthier.api import Model


class Qlora(Lora):
    """Keep the frozen weights of all linear layers but the head in four bits, and learn LoRA beside them.

    Dettmers et al., 2023: `kind` is the four-bit type, with `double` the scales of its blocks are quantized as well,
    and products are computed in `compute`. RecipeError without bitsandbytes. The artifact is an ordinary LoRA; plain
    PEFT loads it on the base quantized the same way.
    """

    shaping_base = ("kind", "double", "compute")
    needs: ClassVar[Needs] = {"bitsandbytes": "luthier[gpu]"}

    def __init__(
        self,
        *,
        rank: int = 16,
        alpha: float = 32.0,
        dropout: float = 0.0,
        targets: str | list[str] = "all-linear",
        rslora: bool = False,
        kind: Literal["nf4", "fp4"] = "nf4",
        double: bool = True,
        compute: Literal["bfloat16", "float32"] = "bfloat16",
    ) -> None:
        super().__init__(rank=rank, alpha=alpha, dropout=dropout, targets=targets, rslora=rslora)
        self.kind, self.double, self.compute = kind, double, compute
        self._bitsandbytes()

    def _bitsandbytes(self) -> Any:
        return imported("bitsandbytes", self.needs["bitsandbytes"], "A base of four bits", where="adaptation")

    def __call__(self, network: nn.Module) -> nn.Module:
        if added_token_ids(network):
            raise RecipeError(
                "Rows of new tokens cannot be merged back into a base of four bits.",
                where="adaptation",
                hint="Choose adaptation=lora.",
            )
        if next(network.parameters()).is_meta:
            return super().__call__(network)  # a plan counts weights, whatever their bits
        return super().__call__(self.quantized(network))

    def load(self, model: Model, folder: Path) -> nn.Module:
        from peft import PeftModel

        return cast(nn.Module, PeftModel.from_pretrained(self.quantized(model.network()), str(folder)))

    def merge(self, network: nn.Module) -> nn.Module:
        """The quantized weights made whole again, with the update added and not rounded to four bits."""
        base = cast(nn.Module, network.get_base_model())  # type: ignore[operator]
        for parent in list(base.modules()):
            for name, child in list(parent.named_children()):
                inner = getattr(child, "base_layer", child)
                if _is_quantized(inner):
                    delta = child.get_delta_weight(ADAPTER_NAME) if inner is not child else None  # type: ignore[operator]
                    setattr(parent, name, _whole(inner, delta))
        cast(Any, base).is_loaded_in_4bit = False
        return base

    def quantized(self, network: nn.Module) -> nn.Module:
        """The network with its linear layers quantized where they lie; the head stays as it is."""
        head = unwrapped(network).get_output_embeddings()  # type: ignore[operator]
        for parent in list(network.modules()):
            for name, child in list(parent.named_children()):
                if type(child) is nn.Linear and child is not head:
                    setattr(parent, name, self.four_bits(child))
        cast(Any, network).is_loaded_in_4bit = True  # PEFT asks
        return network

    def four_bits(self, linear: nn.Linear) -> nn.Module:
        """The same layer with its weights quantized, on the same device."""
        bnb = self._bitsandbytes()
        made = bnb.nn.Linear4bit(
            linear.in_features, linear.out_features, linear.bias is not None, device="meta",
            compute_dtype=getattr(torch, self.compute), compress_statistics=self.double, quant_type=self.kind,
        )  # fmt: skip
        settings = {"quant_type": self.kind, "compress_statistics": self.double, "module": made}
        made.weight = bnb.nn.Params4bit(linear.weight.data, requires_grad=False, **settings)
        made.bias = linear.bias
        made.support_avx512bf16_for_cpu = False  # it would round the scales of frozen weights at the first evaluation
        return cast(nn.Module, made.to(linear.weight.device))


def weights_of(linear: Any) -> Tensor:
    """The weights of a quantized layer as numbers, in the dtype that they had."""
    state = linear.weight.quant_state
    return cast(Tensor, import_module("bitsandbytes.functional").dequantize_4bit(linear.weight.data, state))


def _whole(quantized: Any, delta: Tensor | None) -> nn.Linear:
    weight = weights_of(quantized)
    made = nn.Linear(quantized.in_features, quantized.out_features, quantized.bias is not None, device="meta")
    made.weight = nn.Parameter(weight if delta is None else (weight + delta).to(weight.dtype), requires_grad=False)
    made.bias = quantized.bias
    return made


def _is_quantized(module: nn.Module) -> bool:
    return type(module).__name__ == "Linear4bit" and type(module).__module__.startswith("bitsandbytes.")
