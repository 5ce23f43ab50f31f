"""An ensemble of models whose next-token distributions are combined."""

from __future__ import annotations

from copy import deepcopy
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from torch import nn
from transformers import PretrainedConfig

from luthier.api import (
    LoadSettings,
    RecipeError,
    cast_weights,
    configure_tokenizer,
    is_reward_model,
    meta_network,
    prepare_network,
    proofs_of,
)
from luthier_ensemble.combining.combining import Combining
from luthier_ensemble.lineages import hash_of_members, lineages_of
from luthier_ensemble.network import EnsembleNetwork

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from luthier.api import Model, Proof


class Ensemble:
    """Run several models with one vocabulary on each text, and combine their next-token distributions.

    Each member has a key-value cache of its own. The tokenizer and its chat template are the first member's.
    """

    def __init__(
        self,
        *,
        members: dict[str, Model],
        combining: Combining,
        dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
        gradient_checkpointing: bool = False,
        chat_template: str | None = None,
        template_settings: dict[str, Any] | None = None,
    ) -> None:
        if not members:
            raise RecipeError(
                "The ensemble has no members.",
                where="model.members",
                hint="Add each to the recipe's defaults: /model@model.members.NAME: folder.",
            )
        combining.check(list(members))
        self.members, self.combining = members, combining
        self.dtype, self.gradient_checkpointing = dtype, gradient_checkpointing
        self.chat_template, self.template_settings = chat_template, template_settings

    @property
    def proofs(self) -> dict[str, Proof]:
        """Those of the members."""
        return proofs_of(*self.members.values())

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The first member's; RecipeError where another member has another vocabulary."""
        tokenizer = deepcopy(next(iter(self.members.values())).tokenizer)
        for name, member in self.members.items():
            if member.tokenizer.get_vocab() != tokenizer.get_vocab():
                raise RecipeError(
                    f"{name} has another vocabulary ({len(member.tokenizer)} tokens) than the first member "
                    f"({len(tokenizer)}).",
                    where=f"model.members.{name}",
                    hint="Members with other tokens can vote on whole answers: model=vote.",
                )
        configure_tokenizer(
            tokenizer, self.config, chat_template=self.chat_template, template_settings=self.template_settings
        )
        return tokenizer

    @cached_property
    def config(self) -> PretrainedConfig:
        """All members side by side: layers and widths add up, and limits are the smallest of all members."""
        configs: list[Any] = [member.config.get_text_config() for member in self.members.values()]

        def least(name: str) -> int | None:
            values = (getattr(config, name, None) for config in configs)
            return min((value for value in values if value is not None), default=None)

        inner = [getattr(config, "intermediate_size", None) or 4 * config.hidden_size for config in configs]
        facts: dict[str, Any] = {
            "architectures": [" + ".join((config.architectures or [config.model_type])[0] for config in configs)],
            "vocab_size": least("vocab_size"),
            "hidden_size": sum(config.hidden_size for config in configs),
            "intermediate_size": sum(inner),
            "num_hidden_layers": sum(config.num_hidden_layers for config in configs),
            "layer_types": [layer_type for config in configs for layer_type in _layer_types(config)],
            "max_position_embeddings": least("max_position_embeddings"),
            "sliding_window": least("sliding_window"),
            "tie_word_embeddings": False,
        }
        return PretrainedConfig(**facts)

    def network(self) -> nn.Module:
        network: Any = self._joined({name: member.network() for name, member in self.members.items()})
        loading = LoadSettings(self.dtype, network.config._attn_implementation, self.gradient_checkpointing)
        if self.dtype != "auto":
            cast_weights(network, loading.torch_dtype(self.config))
        return prepare_network(network, loading)

    def meta_network(self) -> nn.Module:
        """The network on the meta device."""
        return self._joined({name: meta_network(member) for name, member in self.members.items()})

    def lineage(self) -> dict[str, Any]:
        """With the lineage of each member, and how they are combined."""
        members = lineages_of(self.members)
        combining = {"kind": type(self.combining).__name__, **vars(self.combining)}
        return {
            "kind": "ensemble",
            "name": " + ".join(self.members),
            "sha256": hash_of_members(members, combining),
            "dtype": self.dtype,
            "combining": combining,
            "members": members,
        }

    def _joined(self, networks: dict[str, nn.Module]) -> EnsembleNetwork:
        for name, member in networks.items():
            if is_reward_model(member):
                raise RecipeError(
                    f"{name} is a reward model, which has no next-token distribution.", where=f"model.members.{name}"
                )
        config = deepcopy(self.config)
        config._attn_implementation = _attention(next(iter(networks.values())))
        return EnsembleNetwork(networks, self.combining, config)


def _layer_types(config: Any) -> list[str]:
    return getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers


def _attention(network: Any) -> str:
    return str(network.config.get_text_config()._attn_implementation)
