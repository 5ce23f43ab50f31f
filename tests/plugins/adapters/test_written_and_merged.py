"""Adapters on weights of other kinds than a linear layer of their own: read back by plain PEFT, and merged."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoModelForCausalLM

import luthier
from luthier.errors import RecipeError
from luthier.testing.adaptation import logits, train
from luthier.testing.twin import twin

GPT2 = (
    "model=random", "model.architecture=gpt2", "model.config={n_embd: 48, n_layer: 2, n_head: 4, n_positions: 512}",
)  # fmt: skip
TRAINED = ("stages=[fit]", "optimizer.lr=0.05", "optimizer.eps=0.001")
CASES = {
    "PiSSA of a Conv1D": (*GPT2, "adaptation=pissa"),
    "PiSSA of a tied head": ("adaptation=pissa", "adaptation.targets=[lm_head]"),
    "OLoRA of a tied head": ("adaptation=olora", "adaptation.targets=[lm_head,q_proj]"),
    "LoRA of a tied head and table": (*GPT2, "adaptation=lora", "adaptation.targets=[lm_head,wte,c_attn]"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_read_by_plain_peft_and_exported_with_the_same_logits(case, tmp_path):
    trained = train(tmp_path / "run", *CASES[case], *TRAINED)
    manifest = json.loads((trained.folder / "artifact" / "manifest.json").read_text())
    assert manifest["proof"]["reader"] == "plain PEFT"
    expected = logits(trained.network)
    loaded = luthier.load(trained.folder)
    assert torch.equal(logits(loaded.network), expected)
    assert loaded.export(tmp_path / "plain").nats < 1e-4
    torch.testing.assert_close(
        logits(AutoModelForCausalLM.from_pretrained(tmp_path / "plain")), expected, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])  # without biases, and with
def test_four_bits_that_compute_in_bfloat16_are_merged_within_the_rounding_of_that(architecture, tmp_path):
    pytest.importorskip("bitsandbytes")
    run = train(tmp_path / "run", "adaptation=qlora", f"model.architecture={architecture}", *TRAINED).folder
    proof = luthier.load(run).export(tmp_path / "plain")
    assert proof.nats < 0.1 < proof.changed


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("adaptation=olora", "adaptation.targets=[embed_tokens]"), "embed_tokens is of the kind Embedding"),
        ((*GPT2, "adaptation=oft"), "Conv1D is not supported"),
    ],
)
def test_what_cannot_be_adapted_so_is_refused_by_name(words, why, tmp_path):
    with pytest.raises(RecipeError, match=why):
        twin(tmp_path / "run", *words, "stages=[fit]").carry_out()
