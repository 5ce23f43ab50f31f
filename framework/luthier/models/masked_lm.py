"""Masked language models: encoders under the head over their vocabulary with which they were pre-trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from transformers import AutoModelForMaskedLM

from luthier.contracts.batch import Batch
from luthier.errors import RecipeError
from luthier.models.auto_class import is_encoder, with_masked_lm_heads
from luthier.models.encoder_heads import encoder_with_head, head_outputs, is_masked_lm
from luthier.models.lm_head import hidden_states
from luthier.models.meta_networks import meta_network
from luthier.models.processors import processor_files

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from luthier.contracts.model import Model


class MaskedLanguageModel:
    """`model`, an encoder, under the head over its vocabulary: its own, or a new one where it was stored without.

    RecipeError for a causal language model.
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer of the model."""
        return self.model.tokenizer

    @property
    def config(self) -> PretrainedConfig:
        """The configuration of the model."""
        return self.model.config

    def network(self) -> nn.Module:
        """The network of the model under its head."""
        self._refuse_causal()
        with with_masked_lm_heads():
            return _headed(self.model.network())

    def meta_network(self) -> nn.Module:
        """The same on the meta device."""
        self._refuse_causal()
        with with_masked_lm_heads():
            return _headed(meta_network(self.model))

    def _refuse_causal(self) -> None:
        if not is_encoder(self.config):
            raise RecipeError(
                f"{self.config.model_type} is no encoder, and predicts the next token, not those that are masked.",
                where="model",
                hint="Choose an encoder such as BERT (its offline twin: debug=tiny_encoder), or train a language "
                "model on plain text with method=cpt.",
            )

    def processor_files(self) -> list[Path]:
        """The processor files of the model."""
        return processor_files(self.model)

    def lineage(self) -> dict[str, Any]:
        """The lineage of the model."""
        return self.model.lineage()


def _headed(network: nn.Module) -> nn.Module:
    """The network itself, or, of one that has another head, its trunk under a new one; embeddings stay tied."""
    if is_masked_lm(network):
        return network
    given: Any = network
    made: Any = encoder_with_head(network, given.config, AutoModelForMaskedLM)
    made.tie_weights()
    headed: nn.Module = made
    return headed


def masked_logits(network: nn.Module, batch: Batch, positions: Tensor) -> Tensor:
    """Logits of a masked language model at positions of the flattened batch, float32 [positions, vocabulary].

    The head is computed for these alone, and each text as if it were alone.
    """
    states = hidden_states(network, batch).flatten(0, 1)[positions][None]
    return head_outputs(network, states, states.new_ones(states.shape[:2]).long())[0].float()
