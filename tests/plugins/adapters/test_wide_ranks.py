"""A rank above the width of a layer: trained, saved, loaded with plain PEFT and merged like any other."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import nn

from luthier.errors import RecipeError
from luthier.models.adaptation import with_saved_adapter
from luthier.models.attention.proof import batch_of
from luthier_adapters.adalora import AdaLora
from luthier_adapters.eva import Eva
from luthier_adapters.lora import Lora
from luthier_adapters.orthogonal import Oft
from luthier_adapters.principal import Olora, Pissa
from luthier_adapters.products import LoHa, LoKr
from luthier_adapters.vera import Vera
from tests.mixtures import logits, mixture, tokens
from tests.plugins.adapters.test_experts import moved
from tests.rounding import rounding

RANK = 40  # the twins have layers of 64 inputs and of 4, 16 or 32 outputs beside wider ones
ADAPTATIONS: dict[str, Callable[[], Any]] = {
    "lora": lambda: Lora(rank=RANK),
    "dora": lambda: Lora(rank=RANK, dora=True),
    "pissa": lambda: Pissa(rank=RANK),
    "pissa, exact": lambda: Pissa(rank=RANK, iterations=None, rslora=True),
    "olora": lambda: Olora(rank=RANK),
    "eva": lambda: Eva(rank=RANK, passes=1),
    "adalora": lambda: AdaLora(rank=RANK, target=8),
    "vera": lambda: Vera(rank=RANK),
    "loha": lambda: LoHa(rank=RANK),
    "lokr": lambda: LoKr(rank=RANK),
}
FACTORED = ("pissa", "olora", "eva")
CASES = [
    *(("qwen3_5_text", name) for name in ADAPTATIONS),
    *(("gpt2", name) for name in ADAPTATIONS if name.startswith(FACTORED)),  # whose weights are [inputs, outputs]
]


class Base:
    """A model whose network is a twin."""

    def __init__(self, model_type: str) -> None:
        self.model_type = model_type

    def network(self) -> nn.Module:
        return mixture(self.model_type)


@pytest.mark.parametrize(("model_type", "name"), CASES)
def test_a_rank_above_the_width_of_a_layer_is_saved_loaded_and_merged(
    model_type: str, name: str, tmp_path: Path
) -> None:
    adaptation, ids = ADAPTATIONS[name](), tokens()
    if name == "eva":
        adaptation.learn([batch_of(((90, 70),), 90)], None)
    base = mixture(model_type)
    near: dict[str, float] = {"rtol": 0.0, "atol": rounding(base, ids)}
    network = adaptation(mixture(model_type))
    torch.testing.assert_close(logits(network, ids), logits(base, ids), **near)
    found = logits(moved(network), ids)
    assert float((found - logits(base, ids)).abs().max()) > 10 * near["atol"]
    adaptation.save(network, tmp_path)
    assert torch.equal(logits(adaptation.load(Base(model_type), tmp_path), ids), found)
    plain = PeftModel.from_pretrained(mixture(model_type), str(tmp_path))
    torch.testing.assert_close(logits(plain, ids), found, **near)
    torch.testing.assert_close(logits(adaptation.merge(network), ids), found, **near)


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="four bits need bitsandbytes")
def test_the_error_of_four_bits_has_no_more_directions_than_a_layer(tmp_path: Path) -> None:
    from luthier_adapters.loftq import Loftq

    for iterations in (None, 16):
        adaptation, ids = Loftq(rank=RANK, compute="float32", iterations=iterations), tokens()
        found = logits(moved(adaptation(mixture("qwen3_5_text"))), ids)
        assert found.isfinite().all()
    network = moved(adaptation(mixture("qwen3_5_text")))
    adaptation.save(network, tmp_path)
    loaded = with_saved_adapter(adaptation.quantized(mixture("qwen3_5_text")), tmp_path)
    assert torch.equal(logits(loaded, ids), logits(network, ids))


@pytest.mark.parametrize("adaptation", [LoHa, LoKr, Oft])
def test_a_kind_of_layer_that_peft_does_not_adapt_is_refused_with_its_reason(adaptation: Any) -> None:
    with pytest.raises(RecipeError, match="PEFT refuses to adapt GPT2LMHeadModel so: Conv1D is not supported"):
        adaptation()(mixture("gpt2"))


@pytest.mark.parametrize("adaptation", [Pissa, Olora])
def test_what_is_no_linear_layer_is_not_decomposed(adaptation: Any) -> None:
    with pytest.raises(RecipeError, match=r"model\.embed_tokens is of the kind Embedding") as caught:
        adaptation(targets=["q_proj", "embed_tokens"])(mixture("llama"))
    assert caught.value.where == "adaptation.targets"
