"""Write docs/reference/architectures.md: `python docs/generate/architectures.py [MODEL_TYPE …]`.

Every causal language model of transformers is made tiny and tried: packed, shared and generated texts against each
alone, and adaptations with what is saved of them, read back. The list is transformers' own, so that new ones appear.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from torch import Tensor, nn
from transformers import CONFIG_MAPPING, __version__
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from luthier.errors import LuthierError, RecipeError
from luthier.inference.generation.proof import decoding_of
from luthier.inference.proof import prove_adapted, prove_network
from luthier.models.adaptation import FullFineTuning
from luthier.models.attention import PACKED_ATTENTION, architecture_layout, layout_of
from luthier.models.lm_head import find_lm_head, lm_head_of
from luthier.models.twin import stir, twin_network
from luthier_adapters.lora import Lora
from luthier_prefix.prefix import Prefix
from luthier_prefix.prompt_tuning import PromptTuning

PAGE = Path(__file__).parents[1] / "reference" / "architectures.md"

INDEXED: dict[str, Any] = {
    "indexer_n_heads": 8, "indexer_kv_heads": 1, "indexer_head_dim": 256, "indexer_budget": 64,
    "indexer_compress_ratio": 4,
}  # fmt: skip

COMPLETE: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1, 4]},
    "cohere_compass_text": {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10000.0}}},
    "deepseek_v2": {"num_experts_per_tok": 6, "n_group": 8, "topk_group": 3},
    "dots1": {"n_routed_experts": 128, "num_experts_per_tok": 6, "n_shared_experts": 2},
    "dbrx": {"attn_config": {"kv_n_heads": 8, "rope_theta": 500000.0, "clip_qkv": 8.0}},
    "emu3": {"vocabulary_map": {"<image>": 3}},
    "granitemoehybrid": {"layer_types": (["linear_attention"] * 5 + ["full_attention"] + ["linear_attention"] * 2) * 4},
    "qwen4_exp_text": INDEXED,
    "qwen4_exp": {"text_config": INDEXED},
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128},
    "lfm2": {"layer_types": ["conv", "conv", "full_attention", "conv"] * 8},
    "lfm2_moe": {"layer_types": ["conv", "conv", "full_attention", "conv"] * 8},
    "ministral": {"head_dim": 128},
    "nemotron": {"num_key_value_heads": 8, "head_dim": 128},
    "reformer": {"is_decoder": True},
    "xmod": {"default_language": "en_XX", "is_decoder": True},
}
"""Settings that every released model of an architecture has, where its configuration has no default for them."""

DECODERS = {
    "bert", "bert-generation", "big_bird", "camembert", "data2vec-text", "electra", "ernie", "megatron-bert", "rembert",
    "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "xlm-roberta", "xlm-roberta-xl",
}  # fmt: skip
"""Encoders that are causal only where their configuration says so (`is_decoder`)."""

NOT_TEXT = {"musicgen", "musicgen_melody", "whisper", "trocr", "moshi", "moss_transcribe_diarize", "git", "got_ocr2",
            "gemma4_assistant", "gemma4_unified_assistant"}  # fmt: skip
"""Decoders of sound or pictures, and drafters for another network: no text alone is a meaningful input of theirs."""


@dataclass
class Found:
    """What an architecture does: a word for each column, or a sentence where it is refused."""

    model_type: str
    cells: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    bugs: dict[str, str] = field(default_factory=dict)
    """What was neither right nor refused: an error that is none of luthier's."""

    def attempt(self, column: str, act: Callable[[], str]) -> bool:
        """Fill in a cell; False where it was refused or broke."""
        try:
            self.cells[column] = act()
        except LuthierError as error:
            self.cells[column], self.refusals[column] = "refused", " ".join(str(error).split())
        except ImportError:
            self.cells[column] = "refused"
            self.refusals[column] = "transformers needs a further library to build it, such as timm."
        except Exception as error:
            self.cells[column] = "error"
            self.bugs[column] = f"{type(error).__name__}: {error}"
        return self.cells[column] not in {"refused", "error"}


class TwinModel:
    """A model whose network is the twin of a configuration, the same each time."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.layout = architecture_layout(config, PACKED_ATTENTION)

    def network(self) -> nn.Module:
        return twin_network(self.config, self.layout.attention)


def configuration(model_type: str) -> Any:
    """The default configuration of an architecture, with what released models always say."""
    more = COMPLETE.get(model_type, {}) | ({"is_decoder": True} if model_type in DECODERS else {})
    return CONFIG_MAPPING[model_type](**more)


def found_of(model_type: str) -> Found:
    """Try one architecture in every column."""
    found, made = Found(model_type), []

    def packed() -> str:
        made.append(TwinModel(configuration(model_type)))
        network = made[0].network()
        layout_of(network)
        lm_head_of(network)
        layout = made[0].layout
        under = "" if layout.attention == PACKED_ATTENTION else f" ({layout.attention})"
        return f"{layout.packed}{under}"

    if not found.attempt("packed texts", packed):
        return found
    model = made[0]
    found.cells["shared prompts"] = "once" if model.layout.shared_prefixes else "repeated"
    found.attempt("generation", lambda: _generation(model))
    found.attempt("full", lambda: _full(model))
    for name, adaptation in (
        ("lora", Lora()),
        ("prefix", Prefix(virtual_tokens=3)),
        ("prompt_tuning", PromptTuning(virtual_tokens=3)),
    ):
        found.attempt(name, lambda adaptation=adaptation: _adapted(model, adaptation))  # type: ignore[misc]
    return found


def _generation(model: TwinModel) -> str:
    network = model.network()
    decoding = decoding_of(network)
    prove_network(network)
    if decoding.cache is None:
        return "all read again"
    return "together" if decoding.padded else "by length"


def _full(model: TwinModel) -> str:
    network = model.network()
    find_lm_head(network)
    with TemporaryDirectory() as folder:
        try:
            FullFineTuning().save(network, Path(folder))
            again = cast(Any, type(network)).from_pretrained(folder, attn_implementation="eager")
        except StrictDataclassClassValidationError as error:
            raise RecipeError(f"transformers does not save this configuration, or not read it back: {error}") from error
    return _same(network, again)


def _adapted(model: TwinModel, adaptation: Any) -> str:
    torch.manual_seed(0)
    network = adaptation(model.network())
    stir(weight for weight in network.parameters() if weight.requires_grad)
    prove_adapted(network, adaptation)
    with TemporaryDirectory() as folder:
        adaptation.save(network, Path(folder))
        said = _same(network, adaptation.load(model, Path(folder)))
    if isinstance(adaptation, Lora):
        before = _logits(network)
        _close(before, _logits(adaptation.merge(network)), "merged")
    return said


def _same(network: nn.Module, again: nn.Module) -> str:
    _close(_logits(network), _logits(again.eval()), "read back")
    return "ok"


def _close(one: Tensor, other: Tensor, what: str) -> None:
    distance = float((one - other).abs().max())
    assert distance <= 1e-4 * max(1.0, float(one.abs().max())), f"{what}, logits differ by {distance:.2g}"


def _logits(network: nn.Module) -> Tensor:
    ids = torch.randint(3, 90, (1, 12), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits: Tensor = network.eval()(input_ids=ids, use_cache=False).logits[:, -ids.shape[1] :]
    return logits


def model_types() -> list[str]:
    """Every causal language model of transformers whose input is text."""
    return sorted(set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) - NOT_TEXT)


COLUMNS = ("packed texts", "shared prompts", "generation", "full", "lora", "prefix", "prompt_tuning")


def page(all_found: list[Found]) -> str:
    """The whole page."""
    return "\n".join([*_head(all_found), *(line(found) for found in all_found), "", *_refusals(all_found)]) + "\n"


def _head(all_found: list[Found]) -> Iterator[str]:
    yield "# Architectures"
    yield ""
    yield "<!-- Written by docs/generate/architectures.py: a tiny network of each is made and tried. -->"
    yield ""
    yield (
        f"Every causal language model of transformers {__version__}, made tiny and tried, {len(all_found)} in all: "
        "whatever loads is tried in the same way before a run reads its data, and `luthier plan` says what was found."
    )
    yield ""
    yield (
        "**Packed texts**: how texts that share a batch are computed so that each gives what it gives alone (values, "
        "gradients, windows). *packed* is luthier's own attention, *packed by positions* that of transformers, *row by "
        "row* and *one length at a time* are right where an architecture mixes what is packed. **Shared prompts**: "
        "whether the prompt of several answers is computed once. **Generation**: prompts together, by length, or with "
        "all tokens read again for each new one. Adaptations were saved and read back; a LoRA was merged, too. "
        "*refused* says why below."
    )
    yield ""
    yield f"| architecture | {' | '.join(COLUMNS)} |"
    yield f"| --- | {' | '.join('---' for _ in COLUMNS)} |"


def line(found: Found) -> str:
    return f"| {found.model_type} | {' | '.join(found.cells.get(column, '') for column in COLUMNS)} |"


def _refusals(all_found: list[Found]) -> Iterator[str]:
    yield "## Why"
    yield ""
    for found in all_found:
        for column, sentence in {**found.refusals, **found.bugs}.items():
            yield f"- **{found.model_type}**, {column}: {sentence}"


def main(asked: list[str]) -> None:
    torch.set_num_threads(1)
    all_found = []
    for model_type in asked or model_types():
        all_found.append(found_of(model_type))
        print(line(all_found[-1]), all_found[-1].refusals, all_found[-1].bugs or "", file=sys.stderr, flush=True)
    if not asked:
        PAGE.write_text(page(all_found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
