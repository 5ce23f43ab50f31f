"""What every model keeps to; inherit it, and say the answer.

class TestMine(ModelContract):
    answer = "model=mine"
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from luthier.contracts.model import Model
from luthier.models.meta_networks import meta_network
from luthier.testing.adaptation import logits
from luthier.testing.part import PartContract
from luthier.testing.twin import composer
from luthier.workflows.artifact import load


class ModelContract(PartContract):
    """Loads the model, which must be tiny: `words` make it so."""

    def test_each_network_is_a_fresh_one_with_the_same_weights(self) -> None:
        model = self._model()
        first, second = model.network().state_dict(), model.network().state_dict()
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
        next(iter(first.values())).zero_()
        assert any(weight.any() for weight in second.values())

    def test_its_weights_are_finite_and_on_the_processor(self) -> None:
        weights = self._model().network().state_dict().values()
        assert all(weight.device.type == "cpu" for weight in weights)
        assert all(torch.isfinite(weight).all() for weight in weights if weight.is_floating_point())

    def test_a_plan_knows_its_shapes_without_loading_it(self) -> None:
        known = {name: weight.shape for name, weight in meta_network(self._model()).named_parameters()}
        assert known == {name: weight.shape for name, weight in self._model().network().named_parameters()}

    def test_its_tokenizer_renders_a_conversation_within_the_vocabulary(self) -> None:
        model = self._model()
        asked = [{"role": "user", "content": "Which wood is it?"}]
        ids = model.tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
        assert ids
        assert max(ids) < model.network().get_input_embeddings().num_embeddings  # type: ignore[operator]

    def test_its_lineage_is_plain_json_and_always_the_same(self) -> None:
        assert json.dumps(self._model().lineage(), sort_keys=True) == json.dumps(
            self._model().lineage(), sort_keys=True
        )

    def test_it_is_trained_saved_and_loaded(self, tmp_path: Path) -> None:
        run = self.run(tmp_path / "run", "stages=[fit]", "adaptation=full")
        run.carry_out()
        loaded = load(tmp_path / "run", plugins=composer(*self.plugins).plugins)
        assert torch.equal(logits(loaded.network), logits(run.method.network))

    def _model(self) -> Model:
        built: Model = self.built()
        return built
