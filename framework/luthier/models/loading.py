"""Load a network from a folder of safetensors, and dress any network as the recipe asks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import AutoConfig, AutoTokenizer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import logging

from luthier.errors import RecipeError, ResourceError
from luthier.errors.names import check_names
from luthier.models import attention
from luthier.models.auto_class import auto_class, is_encoder
from luthier.models.backend import backend_of
from luthier.models.encoder_heads import is_masked_lm
from luthier.models.experts.outputs import without_router_outputs
from luthier.models.foreign import first_line, foreign_files, refuse_senseless
from luthier.models.modalities import other_modalities, within
from luthier.models.processors import processor_template
from luthier.models.safety import weight_files
from luthier.models.text_attention import for_text
from luthier.models.wrappers import unwrapped

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


log = getLogger("luthier")


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """How a network loads; the settings that every answer of `model` shares.

    dtype: of the weights. float32 keeps small updates from rounding away, whatever the trainer computes in; `auto`
        is what the file says.
    attn_implementation: luthier_packed never lets packed examples see each other and builds no mask; an architecture
        that is not right with it is built with its own. sdpa, eager, flex_attention and flash_attention_2 are those of
        transformers. Towers for images and sound keep their own.
    gradient_checkpointing: keep the input of each layer alone and compute the rest again in the backward pass.
    compile: torch.compile for each decoder layer.
    chat_template: in place of the model's own: chatml, plain, or a .jinja file.
    template_settings: variables of the chat template, such as {enable_thinking: false}; they become part of it.
    """

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    attn_implementation: str = attention.PACKED_ATTENTION
    gradient_checkpointing: bool = False
    compile: bool = False
    chat_template: str | None = None
    template_settings: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        known = [attention.PACKED_ATTENTION, "eager", *ALL_ATTENTION_FUNCTIONS.valid_keys()]
        check_names([self.attn_implementation], known, kind="attention", where="model.attn_implementation")

    @property
    def of_tokenizer(self) -> dict[str, Any]:
        """The settings of `configure_tokenizer`."""
        return {"chat_template": self.chat_template, "template_settings": self.template_settings}

    def torch_dtype(self, config: PretrainedConfig) -> torch.dtype:
        """The dtype in which the weights load; for `auto`, that of the configuration, else float32."""
        if self.dtype == "auto":
            return config.dtype if isinstance(config.dtype, torch.dtype) else torch.float32
        dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
        return dtypes[self.dtype]


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """transformers draws a progress bar for each file it reads; a run has one bar of its own."""
    enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if enabled:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def load_config(folder: Path, *, owner: str, trusted: bool = False) -> PretrainedConfig:
    """The architecture that a folder states; RecipeError if transformers does not know it, or nobody could build it."""
    with foreign_files(f"{owner} has no architecture that can be loaded", hint="Is it a language model?"):
        config: PretrainedConfig = AutoConfig.from_pretrained(folder, trust_remote_code=trusted)
        config.to_json_string(use_diff=False)
        refuse_senseless(config, owner)
    return config


def load_tokenizer(folder: Path, *, owner: str, trusted: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer that lies beside a model; with the chat template of its processor where it has none of its own.

    A length that its tokenizer.json cuts or pads to is removed.
    """
    hint = "Put tokenizer.json and tokenizer_config.json beside its weights."
    with foreign_files(f"{owner} has no tokenizer that can be loaded", hint=hint):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=trusted)
    backend_of(tokenizer)
    if tokenizer.chat_template is None:
        tokenizer.chat_template = processor_template(folder)
    return tokenizer


def meta_causal_lm(config: PretrainedConfig, *, trusted: bool = False) -> nn.Module:
    """A causal language model, or an encoder, of an architecture on the meta device; RecipeError if there is none."""
    whole = auto_class(config)
    try:
        with torch.device("meta"):
            network: nn.Module = whole.from_config(deepcopy(config), trust_remote_code=trusted)
    except ValueError as error:
        raise RecipeError(
            f"transformers has no causal language model of the architecture {type(config).__name__}.", where="model"
        ) from error
    except ImportError as error:
        raise not_installed(error, config.model_type) from error
    except Exception as error:
        raise _unbuildable(error, config) from error
    return network


def load_network(
    folder: Path, loading: LoadSettings, config: PretrainedConfig, *, owner: str, trusted: bool = False
) -> PreTrainedModel:
    """The network of a folder, each weight read once and only then in memory (built on meta, filled from safetensors).

    ResourceError if a file is damaged; RecipeError if weights are missing, so that no part starts from random ones.
    """
    for file in weight_files(folder, owner=owner):
        _check_readable(file, owner)
    attention.register()
    try:
        with _same_each_time(), without_progress_bars(), foreign_files(f"{owner} cannot be loaded", where="model"):
            loaded: Any = auto_class(config).from_pretrained(
                folder, config=config, dtype=loading.torch_dtype(config), use_safetensors=True,
                attn_implementation=for_text(
                    config, attention.attention_to_build(config, loading.attn_implementation)
                ),
                output_loading_info=True, trust_remote_code=trusted,
                ignore_mismatched_sizes=True,  # which are refused below, by name
            )  # fmt: skip
    except ImportError as error:
        raise not_installed(error, owner) from error
    network, report = cast("tuple[PreTrainedModel, dict[str, Any]]", loaded)
    missing = sorted(report["missing_keys"])
    if is_encoder(config):  # few are stored with a pooler, which only some heads read
        missing = [key for key in missing if not key.startswith("pooler.")]
    if is_masked_lm(network):
        missing = _without_head(missing, network, owner)
    absent = missing + sorted(str(key) for key in report["mismatched_keys"])
    if absent:
        raise RecipeError(
            f"The weights of {owner} do not fill the network: {len(absent)} are missing, {absent[0]} for one.",
            hint="Is it a language model with a head, complete, and of the architecture that its config.json states?",
        )
    return prepare_network(network, loading)


def _without_head(missing: list[str], network: PreTrainedModel, owner: str) -> list[str]:
    """The missing weights that are not of the head over the vocabulary, of which a missing one is said."""
    trunk = [key for key in missing if key.startswith(f"{network.base_model_prefix}.")]
    if head := [key for key in missing if key not in trunk]:
        log.warning("%s was stored without the head over its vocabulary (%s), which begins at random.", owner, head[0])
    return trunk


@contextmanager
def _same_each_time() -> Iterator[None]:
    """What a file does not hold, such as the pooler of an encoder, is drawn from the same seed each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def prepare_network(network: PreTrainedModel, loading: LoadSettings) -> PreTrainedModel:
    """Choose attention that is right, switch on gradient checkpointing and compiling: the one place where they happen.

    Compiling marks the layers and happens at their first use, so that adapters put in later are compiled as well,
    and names in the state dict stay as they are.
    """
    attention.layout_of(network)
    without_router_outputs(network)
    if loading.gradient_checkpointing:
        if not network.supports_gradient_checkpointing:
            raise RecipeError(f"{type(network).__name__} does not support gradient checkpointing.", where="model")
        network.gradient_checkpointing_enable(
            gradient_checkpointing_kwargs={"use_reentrant": False}  # type: ignore[no-untyped-call]
        )
    if loading.compile:
        for layer in decoder_layers(network):
            layer.compile()
    return network


def cast_weights(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The same network with its weights in `dtype`; what it computes once in float32, as rotary frequencies, stays."""
    for weight in network.parameters():
        weight.data = weight.data.to(dtype)
    return network


def decoder_layers(network: nn.Module) -> list[nn.Module]:
    """The repeated blocks of a network that text passes through, the first one first, as its architecture names them.

    The layers of towers for images or sound are not among them.
    """
    plain, others = unwrapped(network), other_modalities(network)
    names = set(cast("PreTrainedModel", plain)._no_split_modules or ())
    named = ((name, module) for name, module in plain.named_modules() if type(module).__name__ in names)
    layers = [module for name, module in named if not within(name, others)]
    if not layers:
        raise RecipeError(f"{type(network).__name__} does not name its layers.", where="model")
    return layers


def _check_readable(file: Path, owner: str) -> None:
    try:
        with safe_open(file, framework="pt") as weights:
            weights.keys()
    except (SafetensorError, OSError) as error:
        raise ResourceError(
            f"{file.name} of {owner} is damaged: {error}", where=str(file), hint="Fetch the model again."
        ) from error


def not_installed(error: ImportError, owner: str) -> RecipeError:
    """What to say where an architecture needs a package that is not here, as transformers names it."""
    said, advice = first_line(error), re.search(r"`(pip install [^`]+)`", str(error))
    return RecipeError(
        f"{owner} cannot be built here: {said.partition('. You can')[0].rstrip('.')}.",
        where="model",
        hint=f"Run {advice.group(1)}." if advice else "",
    )


def _unbuildable(error: Exception, config: PretrainedConfig) -> RecipeError:
    """What to say where the code of an architecture does not take its configuration."""
    said = f"{type(config).__name__} builds no network of this config.json: {first_line(error)}"
    return RecipeError(said, where="model", hint="Take the config.json that belongs to the weights.")
