"""What was written is read back by plain transformers and compared, whatever was adapted, tied or rounded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft import LoHaConfig, LoraConfig, OFTConfig, VeraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, Gemma3TextConfig, GPT2Config, LlamaConfig

import luthier
from luthier.errors import RecipeError
from luthier.models.adaptation import PeftAdaptation
from luthier.models.read_back import Logits, ProofTexts, prove_folder, read_by_transformers, rounding_of, texts_by_seed
from luthier.models.twin import stir
from luthier.testing.adaptation import logits, train
from tests.command import luthier as command

SIZES = {"vocab_size": 96, "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None}
LLAMA = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, **SIZES}
ARCHITECTURES = {
    "llama": (LlamaConfig(num_key_value_heads=2, attention_bias=True, **LLAMA), ("embed_tokens", "lm_head", "q_proj")),
    "gemma": (
        Gemma3TextConfig(num_key_value_heads=2, head_dim=8, **LLAMA),
        ("embed_tokens", "lm_head", "down_proj"),
    ),
    "gpt2": (GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=64, **SIZES), ("wte", "lm_head", "c_attn")),
}
KINDS = {
    "lora": lambda targets: LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM"),
    "loha": lambda targets: LoHaConfig(r=2, target_modules=targets, task_type="CAUSAL_LM"),
    "oft": lambda targets: OFTConfig(oft_block_size=4, target_modules=targets, task_type="CAUSAL_LM"),
    "vera": lambda targets: VeraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM"),
}
NOT_LINEAR = ("embed_tokens", "wte", "c_attn")
"""Modules that PEFT adapts by LoRA alone: tables, and the Conv1D of GPT-2."""


def network_of(architecture: str, *, tied: bool, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    config = type(ARCHITECTURES[architecture][0])(
        **ARCHITECTURES[architecture][0].to_dict() | {"tie_word_embeddings": tied}
    )
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, dtype=dtype).eval()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    architecture=st.sampled_from(sorted(ARCHITECTURES)),
    kind=st.sampled_from(sorted(KINDS)),
    chosen=st.sets(st.integers(0, 2), min_size=1),
    tied=st.booleans(),
)
@pytest.mark.filterwarnings("ignore")
def test_a_merged_network_is_read_back_as_the_adapted_one_whatever_is_tied(
    tmp_path_factory, architecture, kind, chosen, tied
):
    names = [ARCHITECTURES[architecture][1][number] for number in sorted(chosen)]
    targets = names if kind == "lora" else [name for name in names if name not in NOT_LINEAR]
    if not targets:
        return
    adapted = get_peft_model(network_of(architecture, tied=tied), KINDS[kind](targets)).eval()
    stir(weight for weight in adapted.parameters() if weight.requires_grad)
    texts, folder = texts_by_seed(adapted), tmp_path_factory.mktemp("merged")
    before = Logits.of(adapted, texts)
    merged = PeftAdaptation().merge(adapted)
    merged.save_pretrained(folder)
    read = read_by_transformers(folder, like=merged)
    proof = before.against(Logits.of(read, texts), "plain transformers")
    assert proof.within(rounding_of(read)), (targets, proof)
    assert read.config.tie_word_embeddings == (tied and not {"embed_tokens", "wte", "lm_head"} & set(targets))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 40), place=st.floats(0, 0.999), by=st.sampled_from([2.0**-10, 0.01, 1.0]))
def test_a_changed_value_of_any_weight_is_found(tmp_path_factory, number, place, by):
    network, folder = network_of("llama", tied=False), tmp_path_factory.mktemp("whole")
    network.save_pretrained(folder)
    read_by_transformers(folder, like=network)
    tensors = load_file(folder / "model.safetensors")
    name = sorted(tensors)[number % len(tensors)]
    flat = tensors[name].flatten()
    flat[int(place * len(flat))] += by
    save_file(
        {**tensors, name: flat.view(tensors[name].shape)}, folder / "model.safetensors", metadata={"format": "pt"}
    )
    with pytest.raises(RecipeError, match=f"{name} has other values"):
        read_by_transformers(folder, like=network)


def test_weights_that_are_missing_or_of_too_many_are_named(tmp_path):
    network = network_of("llama", tied=False)
    network.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    extra = tensors["lm_head.weight"].clone()
    save_file({**tensors, "model.second.weight": extra}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RecipeError, match=r"model\.second\.weight is unexpected"):
        read_by_transformers(tmp_path)
    del tensors["model.norm.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RecipeError, match=r"model\.norm\.weight is missing"):
        read_by_transformers(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_tolerance_follows_the_dtype_and_lets_no_other_network_through(tmp_path, dtype):
    network = network_of("llama", tied=True, dtype=dtype)
    stir(network.parameters())
    network.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    assert prove_folder(network, tmp_path).within(rounding_of(network))
    with torch.no_grad():
        network.get_parameter("model.layers.1.mlp.down_proj.weight").add_(0.2)
    with pytest.raises(RecipeError, match="holds another network"):
        prove_folder(network, tmp_path)


def test_equal_infinities_do_not_differ_and_what_is_no_number_does():
    texts = ProofTexts(((1, 2),), "two tokens")
    row = torch.tensor([[0.0, float("-inf")], [1.0, 2.0]])
    rounding = rounding_of(torch.nn.Linear(1, 1))
    same = Logits((row,), texts, rounding, scores=False).against(
        Logits((row.clone(),), texts, rounding, scores=False), ""
    )
    assert (same.logits, same.nats) == (0.0, 0.0)
    broken = Logits((row * float("nan"),), texts, rounding, scores=False)
    assert not Logits((row,), texts, rounding, scores=False).against(broken, "").within(rounding)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA on the LM head of a network whose embeddings are tied to it."""
    folder = tmp_path_factory.mktemp("head") / "run"
    done = command(
        "debug=tiny", "adaptation=lora", "adaptation.targets=[lm_head]", "optimizer.lr=0.05", "stages=[fit]",
        f"hydra.run.dir={folder}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_a_run_says_how_its_artifact_reads_back(head):
    (proof,) = json.loads((head / "record.json").read_text())["proofs"]
    assert (proof["what"], proof["reader"]) == ("Artifact", "plain PEFT")
    assert proof["nats"] < 1e-4
    assert proof["tokens"] > 50
    assert json.loads((head / "artifact" / "manifest.json").read_text())["proof"]["nats"] == proof["nats"]
    for file in ("report.html", "MODEL_CARD.md", "artifact/README.md"):
        assert "read back by plain PEFT, logits differ by" in (head / file).read_text()


def test_an_adapted_head_is_exported_apart_from_the_embeddings_with_its_figure(head, tmp_path):
    done = command("export", str(head), str(tmp_path / "plain"), "--json")
    assert done.returncode == 0, done.stderr
    proof = json.loads(done.stdout)["proof"]
    assert proof["nats"] < 1e-4 < 1e-3 < proof["changed"]
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    assert plain.config.tie_word_embeddings is False
    torch.testing.assert_close(logits(plain), logits(luthier.load(head).network), atol=1e-5, rtol=1e-5)
    assert "read back by plain transformers, logits differ by" in (tmp_path / "plain" / "README.md").read_text()
    assert [each["what"] for each in json.loads((head / "record.json").read_text())["proofs"]] == [
        "Artifact", "Export plain",
    ]  # fmt: skip
    for file in ("report.html", "MODEL_CARD.md", "artifact/README.md"):
        assert "Export plain proved" in (head / file).read_text()


def test_a_run_that_starts_from_merged_weights_says_how_they_were_merged(head, tmp_path):
    words = ("model=run", f"model.path={head}", "stages=[fit]", "adaptation=lora")
    done = command("debug=tiny", *words, f"hydra.run.dir={tmp_path / 'second'}")
    assert done.returncode == 0, done.stderr
    merged, written = json.loads((tmp_path / "second" / "record.json").read_text())["proofs"]
    assert merged["what"] == f"Merge of {head}"
    assert merged["nats"] < 1e-4 < merged["changed"]
    assert written["reader"] == "plain PEFT"


def test_an_export_that_files_cannot_hold_gets_no_name(head, tmp_path):
    artifact = luthier.load(head)
    artifact.network.get_base_model().model.norm.register_forward_hook(lambda module, given, hidden: 2 * hidden)
    with pytest.raises(RecipeError, match="The export is another model than the run's"):
        artifact.export(tmp_path / "plain")
    assert list(tmp_path.iterdir()) == []


def test_an_export_goes_into_a_folder_that_is_there_and_empty_and_into_no_other(head, tmp_path):
    empty, file = tmp_path / "empty", tmp_path / "file"
    empty.mkdir()
    file.write_text("")
    luthier.load(head).export(empty)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {each.name for each in empty.iterdir()}
    assert not list(empty.glob(".tmp-*"))
    for taken, why in ((empty, "is not empty"), (file, "is a file")):
        with pytest.raises(RecipeError, match=why):
            luthier.load(head).export(taken)


def test_a_merge_that_rounds_away_what_was_learned_is_warned_of(tmp_path):
    words = ("adaptation=lora", "model.dtype=bfloat16", "optimizer.lr=0.00001", "stages=[fit]")
    run = train(tmp_path / "run", *words).folder
    assert luthier.load(run).export(tmp_path / "plain").lossy
    done = command("export", str(run), str(tmp_path / "again"))
    assert done.returncode == 0
    assert "rounds away most of what the adapter changed" in done.stderr


def test_an_export_ends_answers_where_the_run_does(tmp_path):
    config = "model.config={eos_token_id: 5}"  # the template ends turns with another token
    run = train(tmp_path / "run", "adaptation=lora", config, "stages=[fit]").folder
    artifact = luthier.load(run)
    artifact.export(tmp_path / "plain")
    stops = json.loads((tmp_path / "plain" / "generation_config.json").read_text())["eos_token_id"]
    assert {5, artifact.tokenizer.eos_token_id} == set(stops)
