"""A randomly initialised network of any architecture of transformers and of any size."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from copy import deepcopy
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import CONFIG_MAPPING, AutoConfig, configuration_utils, modeling_rope_utils

from luthier.errors import RecipeError
from luthier.errors.names import check_names
from luthier.errors.suggestions import nearest
from luthier.models import attention
from luthier.models.auto_class import auto_class, is_encoder
from luthier.models.bpe import byte_level_bpe
from luthier.models.foreign import foreign_files, refuse_sizes, refuse_stated_counts
from luthier.models.loadable import LoadableModel
from luthier.models.loading import cast_weights, prepare_network
from luthier.models.text_attention import for_text
from luthier.models.tokenizers import configure_tokenizer

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from luthier.contracts.model import Model

MOST_TOKENS = 1_000_000
"""Of a vocabulary that is learned here; a page of text has some thousands."""


class Random(LoadableModel):
    """Start from random weights, drawn from a seed: for tests, for dry runs, and for training from nothing.

    `architecture` is a model type of transformers (llama, qwen2, gpt2, …); `config` overrides any field of its
    configuration, and so chooses the size; that of a text tower in `text_config`. Without `tokenizer` a byte-level
    BPE of at most `vocabulary` tokens is trained in the process; else it is another model, whose tokenizer is used
    (`/model@model.tokenizer: smollm2` in a defaults list). The same settings give the same weights in every process.
    """

    def __init__(
        self,
        *,
        architecture: str = "llama",
        config: dict[str, Any] | None = None,
        seed: int = 0,
        vocabulary: int = 1024,
        tokenizer: Any = None,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        if not 0 < vocabulary <= MOST_TOKENS:
            raise RecipeError(
                f"model.vocabulary is {vocabulary:,}.", where="model.vocabulary", hint=f"Take 1 to {MOST_TOKENS:,}."
            )
        if tokenizer is not None and not hasattr(tokenizer, "tokenizer"):
            raise RecipeError(
                f"model.tokenizer is {tokenizer!r}, and no model.",
                where="model.tokenizer",
                hint="Name the model that lends its tokenizer in a defaults list: /model@model.tokenizer: smollm2.",
            )
        self.architecture, self.overrides = architecture, dict(config or {})
        self.seed, self.vocabulary = seed, vocabulary
        self.lender: Model | None = tokenizer

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        tokenizer = self._tokenizer
        configure_tokenizer(tokenizer, self.config, **self.loading.of_tokenizer)
        return tokenizer

    @cached_property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        if self.lender is not None:
            return deepcopy(self.lender.tokenizer)
        return byte_level_bpe(self.vocabulary, encoder=self._is_encoder)

    @property
    def _is_encoder(self) -> bool:
        if self.architecture not in CONFIG_MAPPING or self.overrides.get("is_decoder"):
            return False
        return is_encoder(CONFIG_MAPPING[self.architecture]())

    @cached_property
    def config(self) -> PretrainedConfig:
        tokenizer = self._tokenizer
        facts = {
            "vocab_size": max(tokenizer.get_vocab().values()) + 1,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        }
        refuse_stated_counts(self.overrides, "model.config")
        settings = self._settings(facts)
        try:
            with foreign_files("model.config", where="model.config"):
                config = AutoConfig.for_model(self.architecture, **settings)
        except RecipeError:
            if self.architecture in CONFIG_MAPPING:
                raise
            raise RecipeError(
                f"transformers knows no architecture {self.architecture!r}.",
                where="model.architecture",
                hint=nearest(self.architecture, CONFIG_MAPPING.keys(), "It knows"),
            ) from None
        refuse_sizes(config, "model.config", where="model.config", hint="Take smaller ones.")
        return config

    def _settings(self, facts: dict[str, Any]) -> dict[str, Any]:
        """The overrides with what the tokenizer says, which belongs to the text tower where there is one."""
        if self.architecture not in CONFIG_MAPPING:  # which for_model refuses
            return facts | self.overrides
        known = CONFIG_MAPPING[self.architecture]  # its `get` knows none that was not used before
        _check_fields(self.overrides, known, "model.config")
        if "text_config" not in known.sub_configs:
            return facts | self.overrides
        return self.overrides | {"text_config": facts | dict(self.overrides.get("text_config") or {})}

    def network(self) -> nn.Module:
        attention.register()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            try:
                network: PreTrainedModel = auto_class(self.config).from_config(
                    deepcopy(self.config),
                    attn_implementation=for_text(
                        self.config, attention.attention_to_build(self.config, self.loading.attn_implementation)
                    ),
                )
            except (ValueError, ImportError) as error:
                raise RecipeError(
                    f"No {self.architecture} network can be made: {str(error).splitlines()[0]}", where="model"
                ) from error
        # drawn in float32 and rounded after, so that the seed means the same weights in each dtype
        module: nn.Module = network
        cast_weights(module.eval(), self.loading.torch_dtype(self.config))
        return prepare_network(network, self.loading)

    def lineage(self) -> dict[str, Any]:
        return {
            "kind": "random",
            "name": self.architecture,
            "config": self.overrides,
            "seed": self.seed,
            "tokenizer": f"bpe-{self.vocabulary}" if self.lender is None else self.lender.lineage(),
            "dtype": self.loading.dtype,
        }


def _check_fields(given: Mapping[str, Any], config: type[PretrainedConfig], where: str) -> None:
    """RecipeError for a field that a configuration does not have; those of its towers as well.

    transformers keeps any field. Fields of earlier times, such as `rope_theta`, are those that its sources still read.
    """
    towers: Mapping[str, Any] = getattr(config, "sub_configs", {})
    fields = {*config().to_dict(), *config.attribute_map, *towers}
    for name, value in given.items():
        if name not in fields and not re.search(rf"\b{re.escape(name)}\b", _sources(config)):
            check_names([name], fields, kind="field", use=f"of {config.__name__}", where=where)
        tower = towers.get(name)
        if isinstance(value, dict) and tower is not None and hasattr(tower, "sub_configs"):
            _check_fields(value, tower, f"{where}.{name}")


def _sources(config: type[PretrainedConfig]) -> str:
    """The sources in which the fields of a configuration are read as it is made."""
    own = sys.modules[config.__module__]
    return "\n".join(inspect.getsource(one) for one in (own, configuration_utils, modeling_rope_utils))
