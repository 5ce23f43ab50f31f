"""Four-bit bases: the contract where bitsandbytes is installed, a refusal before anything loads where it is not."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest
import torch

from luthier.errors import RecipeError
from luthier.testing.adaptation import AdaptationContract, adapt
from luthier.testing.twin import twin

EXACT = ("adaptation.rank=4", "adaptation.compute=float32")


@pytest.mark.parametrize("kind", ["qlora", "loftq"])
def test_without_bitsandbytes_nothing_is_loaded(kind, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(RecipeError, match=r"pip install 'luthier\[gpu\]'"):
        twin(tmp_path, f"adaptation={kind}")


if find_spec("bitsandbytes") is not None:

    class OnFourBits(AdaptationContract):
        def base(self, run):
            return run.adaptation.quantized(run.model.network())

    class TestQlora(OnFourBits):
        words = ("adaptation=qlora", *EXACT)

    class TestLoftq(OnFourBits):
        words = ("adaptation=loftq", *EXACT)
        cannot = frozenset({"identity"})

    def test_loftq_starts_nearer_to_the_network_than_qlora(tmp_path):
        weight = twin(tmp_path / "base", "model=tiny").model.network().model.layers[0].mlp.up_proj.weight
        assert lost(twin(tmp_path / "loftq", "adaptation=loftq", *EXACT), weight) < 0.95 * lost(
            twin(tmp_path / "qlora", "adaptation=qlora", *EXACT), weight
        )

    def lost(run, weight):
        layer = adapt(run).base_model.model.model.layers[0].mlp.up_proj
        with torch.no_grad():
            here = layer(torch.eye(weight.shape[1])).T
        return float((here - weight).norm())
