"""Mixtures of experts as a user trains them: what is frozen, what is balanced, what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import luthier as product
from luthier.models.experts.layers import routing_weights
from luthier.testing.twin import composer, twin
from luthier.workflows.parts import part
from tests.command import luthier

SIZES = (
    "hidden_size: 32, intermediate_size: 24, num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 2, "
    "head_dim: 8, num_local_experts: 6, max_position_embeddings: 256"
)
MIXTRAL = ("model=random", "model.architecture=mixtral", f"model.config={{{SIZES}}}")
COMMON = ("debug=tiny", "stages=[fit]", "batch.packing=false", "evaluation.general_examples=0", "evaluation.samples=0")
BALANCED = ("adaptation=full", "adaptation.routers=true", "method.router_aux_loss_coef=0.5")
EIGHT = ("trainer.max_steps=3", "trainer.epochs=3", "batch.size=8")
RANKS = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.precision=fp32")


def trained(folder: Path, *words: str) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
    """The lines of metrics.jsonl, and the tensors of the artifact."""
    done = luthier(*COMMON, *MIXTRAL, *words, f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    (file,) = (folder / "artifact").glob("*model.safetensors")
    return lines, load_file(file)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
    return trained(tmp_path_factory.mktemp("whole") / "run", *EIGHT, *BALANCED, "batch.micro=8")


@pytest.mark.parametrize(
    "cut",
    [("batch.micro=4",), ("batch.micro=1",), ("batch.micro=4", *RANKS), ("batch.micro=2", *RANKS)],
    ids=["4 x 2", "1 x 8", "two ranks of 4", "two ranks of 2 x 2"],
)
def test_experts_are_balanced_over_a_step_however_it_is_cut(cut: tuple[str, ...], whole: Any, tmp_path: Path) -> None:
    lines, weights = trained(tmp_path / "run", *EIGHT, *BALANCED, *cut)
    for name in ("loss", "router_aux_loss", "expert_load_cv", "idle_experts"):
        assert [line[name] for line in lines] == pytest.approx([line[name] for line in whole[0]], rel=1e-4), name
    for name, weight in whole[1].items():
        assert (weights[name] - weight).abs().max() < 2e-5, name


def test_the_loss_of_balance_moves_what_is_trained_and_is_no_part_of_the_reported_loss(
    whole: Any, tmp_path: Path
) -> None:
    lines, weights = trained(tmp_path / "run", *EIGHT, *BALANCED, "batch.micro=8", "method.router_aux_loss_coef=0")
    assert lines[0]["loss"] == whole[0][0]["loss"]
    assert "router_aux_loss" not in lines[0]
    assert any(not torch.equal(weights[name], weight) for name, weight in whole[1].items())


def test_the_first_update_is_that_of_transformers_own_loss(tmp_path: Path) -> None:
    words = (
        "trainer.max_steps=1", "batch.size=8", "batch.micro=4", *BALANCED, "optimizer.lr=0.001", "optimizer.eps=1.0",
        "optimizer.weight_decay=0", "optimizer/schedule=constant", "trainer.clip=null",
    )  # fmt: skip
    trained(tmp_path / "run", *words)
    ours: Any = product.load(tmp_path / "run").network
    run = twin(tmp_path / "twin", *COMMON, *MIXTRAL, *words, "batch.micro=8")
    network: Any = run.model.network().train()
    network.set_attn_implementation("sdpa")
    network.router_aux_loss_coef = 0.5
    (batch,) = list(run.data.first_batches())[:1]
    text = batch.segments > 0
    labels = torch.where((batch.weights > 0) & text, batch.input_ids, -100)
    asked = {"output_router_logits": True, "use_cache": False}
    network(input_ids=batch.input_ids, attention_mask=text.long(), labels=labels, **asked).loss.backward()
    named = dict(ours.named_parameters())
    for name, weight in network.named_parameters():
        step = 0.001 * weight.grad / (weight.grad.abs() + 1.0)  # Adam's first, with an eps of 1
        torch.testing.assert_close(named[name], weight.detach() - step, atol=1e-7, rtol=1e-4)


def test_routers_are_frozen_and_the_report_and_the_plan_say_so(tmp_path: Path) -> None:
    before = {name: weight.clone() for name, weight in routing_weights(_network()).items()}
    for adaptation in ("adaptation=full", "adaptation=lora"):
        words = (*COMMON, *MIXTRAL, "recipe=lora_sft", adaptation, "score=loss", "optimizer.lr=0.01")
        folder = tmp_path / adaptation.partition("=")[2]
        assert luthier(*words, f"hydra.run.dir={folder}").returncode == 0
        merged = routing_weights(product.load(folder).merged())
        assert all(torch.equal(merged[name], weight) for name, weight in before.items())
        record = json.loads((folder / "record.json").read_text())
        planned = json.loads(luthier("plan", *words, "--json").stdout)["experts"]
        assert planned.items() <= record["method"].items()
        assert planned["Routers"] == "frozen"
        assert planned["Load-balancing loss"].startswith("none, as routers are frozen")
        assert "Expert load" in (folder / "report.html").read_text()
        assert [len(layer["shares"]) for layer in record["experts"]] == [6, 6]
        assert all(sum(layer["shares"]) == pytest.approx(1) for layer in record["experts"])
    assert "adaptation.experts=true" in planned["Without an adapter"]
    assert planned["Without an adapter"].startswith("94 % of all weights: experts 28 %, routers 0.38 %")


def test_a_configuration_that_asks_for_router_logits_trains_alike_and_keeps_asking(tmp_path: Path) -> None:
    plain = trained(tmp_path / "plain", "adaptation=full")
    asking = ("model=random", "model.architecture=mixtral", f"model.config={{{SIZES}, output_router_logits: true}}")
    done = luthier(
        *COMMON, *asking, "adaptation=full", "stages=[baseline,fit,evaluate]", f"hydra.run.dir={tmp_path}/run"
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines] == [line["loss"] for line in plain[0]]
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "artifact")
    assert exported.config.output_router_logits is True
    assert exported(input_ids=torch.tensor([[5, 6]])).aux_loss is not None


def test_the_load_of_experts_survives_a_stop(tmp_path: Path) -> None:
    words = ("adaptation=lora", "trainer.max_steps=4", "trainer.epochs=9", "trainer.checkpoint_every=2",
             "trainer.keep=0")  # fmt: skip
    trained(tmp_path / "all", *words)
    trained(tmp_path / "again", *words, f"resume={tmp_path / 'all' / 'checkpoints' / 'step-00000002'}")
    experts = [json.loads((tmp_path / name / "record.json").read_text())["experts"] for name in ("all", "again")]
    assert experts[0] == experts[1]


@pytest.mark.parametrize(
    ("words", "where", "said"),
    [
        (("adaptation=lora", "adaptation.targets=[q_proj,v_porj]"), "adaptation.targets", "v_porj"),
        (("adaptation=lora", "adaptation.targets=[gate]"), "adaptation.targets", "routers of experts alone"),
        (("adaptation=lora", "adaptation.experts=true", "adaptation.dora=true"), "adaptation", "use_dora"),
        (("adaptation=full", "method.router_aux_loss_coef=-1"), "method", "router_aux_loss_coef"),
        (("model.architecture=llama", "model.config=null", "method.router_aux_loss_coef=0.1"),
         "method.router_aux_loss_coef", "has no experts"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_no_go_and_refused_before_anything_is_read(
    words: tuple[str, ...], where: str, said: str, tmp_path: Path
) -> None:
    planned = json.loads(luthier("plan", *COMMON, *MIXTRAL, *words, "--json", cwd=tmp_path).stdout)
    assert not planned["go"]
    assert planned["problems"][0]["where"].startswith(where)
    assert said in json.dumps(planned["problems"][0])
    done = luthier(*COMMON, *MIXTRAL, *words, "--json", cwd=tmp_path)
    assert done.returncode > 0
    assert said in done.stderr
    assert not list(tmp_path.glob("runs/*/metrics.jsonl"))


def _network() -> Any:
    composition = composer().compose(["debug=tiny", *MIXTRAL])
    return part(composition.config, composition.trust, "model").network()
