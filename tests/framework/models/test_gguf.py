"""A GGUF file becomes a folder of safetensors: whole, once, and with the tokenizer that it was made with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from luthier.errors import ResourceError
from luthier.models.bpe import byte_level_bpe
from luthier.models.folder import Folder
from luthier.models.gguf import converted
from luthier.models.random import Random

NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "mlp.up_proj": "ffn_up",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def permuted(weight: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp keeps the rows of queries and keys in another order."""
    return weight.reshape(heads, 2, len(weight) // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


@pytest.fixture
def file(tmp_path: Path, tiny: dict) -> Path:
    """A small Llama as llama.cpp would store it: 8-bit weights, a `smollm` tokenizer."""
    model = Random(config=tiny | {"intermediate_size": 64}, vocabulary=416)
    network: Any = model.network()
    path = tmp_path / "tiny.Q8_0.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_context_length(256)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(416)
    backend = byte_level_bpe(416).backend_tokenizer
    merges = json.loads(backend.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([backend.id_to_token(number) or f"[{number}]" for number in range(416)])
    writer.add_token_types([3 if number < 3 else 1 for number in range(416)])
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    for name, weight in network.state_dict().items():
        layer, _, rest = name.removeprefix("model.layers.").partition(".")
        target = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}.get(name)
        target = target or f"blk.{layer}.{NAMES.get(rest.removesuffix('.weight'))}.weight"
        if name == "lm_head.weight":
            continue
        values = weight.numpy()
        if "q_proj" in name or "k_proj" in name:
            values = permuted(values, 4 if "q_proj" in name else 2)
        kind = gguf.GGMLQuantizationType.Q8_0 if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(target, gguf.quantize(values.astype(np.float32), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_converted_network_computes_what_the_quantized_weights_say(file: Path, tiny: dict) -> None:
    original = Random(config=tiny | {"intermediate_size": 64}, vocabulary=416).network().state_dict()
    found = Folder(path=str(converted(file))).network().state_dict()
    for name, weight in original.items():
        step = weight.abs().max() / 127
        assert (found[name] - weight).abs().max() <= 0.6 * step + 1e-7, (
            name
        )  # half a step, and the step itself is rounded


def test_the_converted_network_can_be_saved_and_trained(file: Path, tmp_path: Path) -> None:
    network: Any = Folder(path=str(converted(file))).network()
    network(input_ids=torch.tensor([[5, 6, 7]]), labels=torch.tensor([[5, 6, 7]])).loss.backward()
    assert all(weight.dtype == torch.float32 and weight.grad is not None for weight in network.parameters())
    network.save_pretrained(tmp_path / "again")
    AutoModelForCausalLM.from_pretrained(tmp_path / "again")


def test_digits_are_split_one_by_one_as_the_file_says(file: Path) -> None:
    tokenizer: Any = Folder(path=str(converted(file))).tokenizer
    pieces = [piece for piece, _ in tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("in 1999")]
    assert pieces[-4:] == ["1", "9", "9", "9"]


def test_the_longest_input_is_that_of_the_network(file: Path) -> None:
    assert Folder(path=str(converted(file))).tokenizer.model_max_length == 256


def test_a_file_is_converted_once_and_another_file_again(file: Path) -> None:
    folder = converted(file)
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    assert converted(file) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == stamp
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert converted(file) != folder


def test_a_process_killed_while_converting_leaves_nothing_that_could_be_loaded(file: Path, cache: Path) -> None:
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from transformers import PreTrainedTokenizerBase
        from luthier.models import gguf
        def die(*a, **k): os.kill(os.getpid(), signal.SIGKILL)
        PreTrainedTokenizerBase.save_pretrained = die   # the weights are written, the tokenizer is not
        gguf.converted(Path(sys.argv[1]))
        """
    )
    done = subprocess.run([sys.executable, "-c", script, str(file)], env=dict(os.environ), check=False)
    assert done.returncode == -signal.SIGKILL
    assert not [path for path in (cache / "models").iterdir() if path.is_dir() and not path.name.startswith(".")]
    assert [path.name for path in (cache / "models").glob(".tmp-*/*.safetensors")]
    Folder(path=str(converted(file))).network()
    assert not list((cache / "models").glob(".tmp-*"))


@pytest.mark.parametrize("left", [0, 3, 3000, -500])
def test_a_damaged_file_is_a_resource_error_that_names_it(file: Path, left: int) -> None:
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(ResourceError, match=r"tiny\.Q8_0\.gguf"):
        converted(file)
