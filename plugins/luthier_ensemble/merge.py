"""A model whose weights are merged from several."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from torch import nn

from luthier.api import (
    LoadableModel,
    Proof,
    RecipeError,
    StoredModel,
    build_once,
    cache_folder,
    check_names,
    configure_tokenizer,
    content_hash,
    load_network,
    meta_causal_lm,
    processor_files,
    proofs_of,
    prove_folder,
    weight_files,
    weights_digest,
    without_progress_bars,
)
from luthier_ensemble.lineages import lineages_of
from luthier_ensemble.merged_tensors import tensors_of_all, tensors_of_stack, write_merged
from luthier_ensemble.merging.merging import Merging
from luthier_ensemble.vocabulary_alignment import aligned
from luthier_ensemble.weights import StoredTensors

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from luthier.api import Model

VERSION = 1
"""Part of the cache key: raise it when the same models would merge to other weights."""

PROOF = "proof.json"
"""The file beside merged weights with the proof that they were written whole."""

log = logging.getLogger("luthier")


class Merge(LoadableModel):
    """Merge the weights of several models of one architecture and one vocabulary, tensor by tensor.

    `base` names the model that the others started from, which some merging methods need; it gives configuration,
    tokenizer and dtypes, else the first model does. A model with another vocabulary is refused, or with `aligned` the
    rows of its tokens are put in the order of the base, and the base's own rows stand for tokens that it does not have.
    The result is cached under the hash of its inputs and deterministic to the bit. Memory holds one tensor of each
    model at a time; models that are not stored in files (random ones, runs with adapters) are written to disk first.
    """

    def __init__(
        self,
        *,
        models: dict[str, Model],
        merging: Merging,
        base: str | None = None,
        vocabulary: Literal["same", "aligned"] = "same",
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        self.models, self.merging, self.base, self.vocabulary = models, merging, base, vocabulary
        if len(models) < 1:
            raise RecipeError(
                "The merge has no models.",
                where="model.models",
                hint="Add each to the recipe's defaults: /model@model.models.NAME: folder.",
            )
        if base is not None:
            check_names([base], models, kind="model", where="model.base")
        if merging.needs_base and base is None:
            raise RecipeError(
                f"{type(merging).__name__} compares models with the one that they started from.",
                where="model.base",
                hint=f"Set model.base to one of {', '.join(models)}.",
            )
        merging.check(list(models), base)

    @property
    def first(self) -> Model:
        """The model that gives what is not merged."""
        return self.models[self.base] if self.base is not None else next(iter(self.models.values()))

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The base's or the first model's; RecipeError where another has other tokens that are not aligned."""
        tokenizer = deepcopy(self.first.tokenizer)
        for name, model in self.models.items():
            if self.vocabulary == "same" and model.tokenizer.get_vocab() != tokenizer.get_vocab():
                raise RecipeError(
                    f"{name} has another vocabulary ({len(model.tokenizer)} tokens) than the model it is merged with "
                    f"({len(tokenizer)}).",
                    where=f"model.models.{name}",
                    hint="Only models with the same tokens merge; model.vocabulary=aligned merges what they share.",
                )
        configure_tokenizer(tokenizer, self.config, **self.loading.of_tokenizer)
        return tokenizer

    @cached_property
    def config(self) -> PretrainedConfig:
        """The base's or the first model's, with the stacked layers; embeddings are untied if any model's are."""
        config = deepcopy(self.first.config)
        for name, model in self.models.items():
            if model.config.model_type != config.model_type:
                raise RecipeError(
                    f"{name} is a {model.config.model_type}, and it is to be merged with a {config.model_type}.",
                    where=f"model.models.{name}",
                )
        config.tie_word_embeddings = all(model.config.tie_word_embeddings for model in self.models.values())
        if self._stack is not None:
            _stack_layers(config, self._stack, {name: model.config for name, model in self.models.items()})
        return config

    def network(self) -> nn.Module:
        return load_network(self.folder, self.loading, self.config, owner="The merged model")

    @property
    def proofs(self) -> dict[str, Proof]:
        """Those of the models, and how plain transformers read the merged weights when they were written."""
        file = self.folder / PROOF
        own = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
        return proofs_of(*self.models.values()) | ({f"Merge of {', '.join(self.models)}": Proof(**own)} if own else {})

    def uncached_network(self) -> nn.Module:
        """The same network, without writing it to the cache."""
        _ = self.tokenizer
        with tempfile.TemporaryDirectory(dir=cache_folder("models"), prefix=".tmp-merge-") as folder:
            self._write(Path(folder), prove=False)
            return load_network(Path(folder), self.loading, self.config, owner="The merged model")

    @cached_property
    def folder(self) -> Path:
        """The merged weights, written at the first access."""
        _ = self.tokenizer  # which refuses other vocabularies before anything is read
        inputs = [VERSION, self._lineages, type(self.merging).__name__, vars(self.merging), self.base, self.vocabulary]
        return build_once(cache_folder("models") / f"merge-{content_hash(inputs)[:24]}", self._write)

    def processor_files(self) -> list[Path]:
        """Those of the base or the first model."""
        return processor_files(self.first)

    def lineage(self) -> dict[str, Any]:
        """With the lineage of each model, and how they were merged."""
        return {
            "kind": "merge",
            "name": " + ".join(self.models),
            "sha256": weights_digest(weight_files(self.folder, owner="The merged model")),
            "dtype": self.loading.dtype,
            "merging": {"kind": type(self.merging).__name__, "base": self.base, **vars(self.merging)},
            "models": self._lineages,
        }

    @cached_property
    def _lineages(self) -> dict[str, Any]:
        return lineages_of(self.models)

    @cached_property
    def _stack(self) -> list[tuple[str, int]] | None:
        stack = self.merging.stack({name: _layers(model.config) for name, model in self.models.items()})
        if stack is not None and self.first.config.get_text_config() is not self.first.config:
            raise RecipeError(
                f"The layers of {self.first.config.model_type} are not stacked, as it has layers of several towers.",
                where="model.merging",
                hint="Choose a merging that takes a mean, such as linear.",
            )
        return stack

    def _write(self, target: Path, *, prove: bool = True) -> None:
        log.info("Merging %s.", ", ".join(self.models))
        tied = _tied(self.config)
        without = list(tied) if self.config.tie_word_embeddings else []
        with ExitStack() as folders:
            stored = {name: _stored(name, model, tied, folders) for name, model in self.models.items()}
            if self.vocabulary == "aligned":
                stored = aligned(stored, self.models, self.first)
            if self._stack is None:
                tensors = tensors_of_all(stored, _layers(self.config), without)
            else:
                tensors = tensors_of_stack(stored, self._stack, without)
            write_merged(target / "model.safetensors", tensors, stored, self.merging, self.base)
        self.config.save_pretrained(target)
        if prove:
            proof = prove_folder(load_network(target, self.loading, self.config, owner="The merged model"), target)
            (target / PROOF).write_text(json.dumps(proof.as_json()), encoding="utf-8")


def _stored(name: str, model: Model, tied: Mapping[str, str], folders: ExitStack) -> StoredTensors:
    """The tensors of a model's files; a model without files is saved to a temporary folder, which `folders` removes."""
    aliases = tied if model.config.tie_word_embeddings else {}
    if isinstance(model, StoredModel):
        return StoredTensors(name, model.folder(), aliases)
    folder = Path(folders.enter_context(tempfile.TemporaryDirectory(dir=cache_folder("models"), prefix=".tmp-merge-")))
    network: Any = model.network()
    if hasattr(network, "peft_config"):
        raise RecipeError(
            f"{name} has an adapter beside its weights.", where=f"model.models.{name}", hint="Set its merge: true."
        )
    with without_progress_bars():
        network.save_pretrained(folder)
    prove_folder(network, folder)
    return StoredTensors(name, folder, aliases)


def _tied(config: PretrainedConfig) -> dict[str, str]:
    """The names of the weights that may be tied, and the names of the weights that they are tied to."""
    network: Any = meta_causal_lm(config)
    return dict(network._tied_weights_keys or {})


def _layers(config: PretrainedConfig) -> int:
    return int(cast("Any", config.get_text_config()).num_hidden_layers)


def _stack_layers(
    config: PretrainedConfig, stack: list[tuple[str, int]], configs: Mapping[str, PretrainedConfig]
) -> None:
    """Set the number of layers, and take the settings of each layer from the configuration of its model."""
    text: Any = config.get_text_config()
    before = text.num_hidden_layers
    for name, value in text.to_dict().items():
        if isinstance(value, list) and len(value) == before:
            by_model = {model: getattr(each.get_text_config(), name) for model, each in configs.items()}
            setattr(text, name, [by_model[model][layer] for model, layer in stack])
    text.num_hidden_layers = len(stack)
