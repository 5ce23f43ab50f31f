"""Each adaptation beyond the contract that all of them keep."""

from __future__ import annotations

import json
import re

import pytest
import torch

import luthier
from luthier.errors import RecipeError
from luthier.testing.adaptation import TRAINING, adapt, logits, train
from luthier.testing.twin import twin
from luthier.training.checkpoint_io import load_model_state
from luthier_adapters.lisa import LayerSampling
from tests.held_out_rows import held_out

SMALL = "adaptation.rank=4"


def rates(run):
    """The learning rate of each weight that moves, by its name."""
    network = adapt(run)
    names = {weight: name for name, weight in network.named_parameters()}
    groups = run.method.configure_optimizers()["optimizer"].param_groups
    return {names[weight]: group["initial_lr"] for group in groups for weight in group["params"]}


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_lora_plus_moves_b_faster_whatever_the_optimizer(optimizer, tmp_path):
    found = rates(twin(tmp_path, "adaptation=lora_plus", SMALL, f"optimizer={optimizer}", "optimizer.lr=0.001"))
    assert {name: rate for name, rate in found.items() if ".lora_A." in name and rate != 0.001} == {}
    assert {name: rate for name, rate in found.items() if ".lora_B." in name and rate != 0.016} == {}
    assert len(found) == 2 * 14


def test_embeddings_and_head_move_at_their_own_rate(tmp_path):
    words = ("adaptation=embedding_rate", "adaptation.factor=0.5", "optimizer.lr=0.002")
    found = rates(twin(tmp_path / "untied", *words, "model.config.tie_word_embeddings=false"))
    slow = {name for name, rate in found.items() if rate == 0.001}
    assert slow == {"model.embed_tokens.weight", "lm_head.weight"}
    assert set(found.values()) == {0.001, 0.002}
    tied = rates(twin(tmp_path / "tied", *words))
    assert {name for name, rate in tied.items() if rate == 0.001} == {"model.embed_tokens.weight"}


def test_the_rate_that_is_logged_is_that_of_the_recipe(tmp_path):
    done = train(tmp_path / "run", "adaptation=embedding_rate", *TRAINING, "optimizer/schedule=constant",
                 "optimizer.schedule.warmup=0.0")  # fmt: skip
    lines = [json.loads(line) for line in done.run.folder.metrics.read_text().splitlines()]
    assert {line["learning_rate"] for line in lines} == {0.01}


def test_pissa_trains_the_principal_part_and_freezes_the_residual(tmp_path):
    run = twin(tmp_path, "adaptation=pissa", SMALL, "adaptation.iterations=null")
    before = run.model.network().model.layers[0].mlp.up_proj.weight
    layer = adapt(run).base_model.model.model.layers[0].mlp.up_proj
    values = torch.linalg.svdvals(before)
    moved = layer.scaling["default"] * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    torch.testing.assert_close(torch.linalg.svdvals(moved)[:4], values[:4], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.linalg.svdvals(layer.base_layer.weight)[0], values[4], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["pissa", "olora"])
def test_pissa_and_olora_save_the_difference_at_twice_the_rank(kind, tmp_path):
    done = train(tmp_path / "run", f"adaptation={kind}", SMALL, *TRAINING)
    config = json.loads((done.folder / "artifact" / "adapter_config.json").read_text())
    assert (config["r"], config["init_lora_weights"]) == (8, True)


def test_eva_starts_with_the_directions_of_its_inputs_and_keeps_the_sum_of_ranks(tmp_path):
    run = twin(tmp_path, "adaptation=eva", SMALL, "adaptation.batches=2", "adaptation.rho=1.0")
    caught = []
    base = run.model.network()
    base.model.layers[0].self_attn.q_proj.register_forward_pre_hook(lambda module, given: caught.append(given[0]))
    for batch, _ in zip(run.data.first_batches(), range(2), strict=False):
        base(input_ids=batch.input_ids, position_ids=batch.positions, use_cache=False)
        caught[-1] = caught[-1][batch.segments > 0]
    inputs = torch.cat(caught).detach()
    _, _, directions = torch.linalg.svd(inputs - inputs.mean(0), full_matrices=False)
    learned = adapt(run).base_model.model.model.layers[0].self_attn.q_proj.lora_A["default"].weight
    assert learned.shape == (4, 64)
    kept = (learned @ directions[:8].T).square().sum(1) / learned.square().sum(1)
    assert (kept > 0.8).all(), "the start lies among the directions of most variance"
    uneven = adapt(twin(tmp_path / "uneven", "adaptation=eva", SMALL, "adaptation.batches=2"))
    ranks = [weight.shape[0] for name, weight in uneven.named_parameters() if ".lora_A." in name]
    assert sum(ranks) == 4 * 14
    assert max(ranks) > 4


def test_eva_ends_with_a_warning_where_its_directions_do_not_converge(tmp_path, caplog):
    words = ("adaptation=eva", SMALL, "adaptation.batches=2", "adaptation.passes=2", "adaptation.tau=1.0")
    adapt(twin(tmp_path, *words))
    assert re.search(r"the directions of \d+ of \d+ inputs had not converged .* after 4 forward passes", caplog.text)
    with pytest.raises(RecipeError, match="tau lies between 0 and 1"):
        adapt(twin(tmp_path / "wrong", "adaptation=eva", "adaptation.tau=1.1"))


def test_eva_refuses_batches_with_too_few_tokens(tmp_path):
    run = twin(tmp_path, "adaptation=eva", "adaptation.rank=200")
    with pytest.raises(RecipeError, match="128 directions"):
        adapt(run)


def test_adalora_ends_with_the_ranks_that_it_was_given(tmp_path):
    done = train(tmp_path / "run", "adaptation=adalora", "adaptation.rank=6", "adaptation.target=3", *TRAINING,
                 "trainer.max_steps=8", "trainer.epochs=9")  # fmt: skip
    ranks = [len(weight) for name, weight in done.after.items() if ".lora_E." in name]
    assert sum(ranks) == 3 * 14
    saved = luthier.load(done.folder).network
    assert sum(len(weight) for name, weight in saved.named_parameters() if ".lora_E." in name) == 3 * 14


def test_the_best_checkpoint_of_adalora_has_the_ranks_of_its_step(tmp_path):
    data = (*held_out(tmp_path), "stages=[fit]")
    steps = ("trainer.max_steps=12", "trainer.epochs=19", "trainer.validate_every=2", "trainer.keep_best=true")
    words = ("adaptation=adalora", *data, *steps, "trainer.keep=0", "optimizer/schedule=constant")
    for rate in (1, 3, 30, 100):  # at so high a rate the loss goes up and down, on each processor in its own way
        done = train(tmp_path / f"run-{rate}", *words, f"optimizer.lr={rate}")
        if (best := done.run.end.best).step < 8:
            break
    assert best.step < 8, "the test needs a best before the last ranks are pruned"
    patterns = {
        step: load_model_state(done.folder / "checkpoints" / f"step-{step:08d}")["callbacks"]["RankAllocation"][
            "rank_pattern"
        ]
        for step in (best.step, 12)
    }
    kept = {step: sum(sum(mask) for mask in pattern.values()) for step, pattern in patterns.items()}
    assert kept[best.step] > kept[12], "the test needs ranks that were pruned afterwards"
    assert sum(len(weight) for name, weight in done.after.items() if ".lora_E." in name) == kept[best.step]
    assert torch.equal(logits(luthier.load(done.folder).network), logits(done.network))
    ended = twin(done.folder, *words, f"optimizer.lr={rate}", "resume=auto")
    ended.carry_out()
    assert torch.equal(logits(ended.method.network), logits(done.network)), "with nothing left to train"


def test_adalora_refuses_a_target_that_prunes_nothing(tmp_path):
    with pytest.raises(RecipeError, match="between 0 and 8"):
        twin(tmp_path, "adaptation=adalora", "adaptation.rank=8", "adaptation.target=8")


def test_lisa_trains_the_sampled_layers_and_the_embeddings_and_no_other(tmp_path):
    sampled = LayerSampling(1, 100, 0).sampled(2, 0)
    done = train(tmp_path / "run", "adaptation=lisa", "adaptation.layers=1", "adaptation.every=100", *TRAINING)
    moved = {name for name, weight in done.after.items() if not torch.equal(weight, done.before[name])}
    assert {int(name.split(".")[2]) for name in moved if ".layers." in name} == sampled
    assert "model.embed_tokens.weight" in moved
    assert "model.norm.weight" in moved


def test_lisa_samples_other_layers_later_and_the_same_in_each_run():
    samples = [frozenset(LayerSampling(2, 5, 3).sampled(12, step)) for step in range(40)]
    assert samples == [frozenset(LayerSampling(2, 5, 3).sampled(12, step)) for step in range(40)]
    assert all(samples[start : start + 5] == [samples[start]] * 5 for start in range(0, 40, 5))
    assert len(set(samples)) > 3


def test_lisa_on_several_devices_needs_find_unused(tmp_path):
    with pytest.raises(RecipeError, match="find_unused=true"):
        twin(tmp_path, "adaptation=lisa", "trainer=ddp")


def test_freeze_trains_the_layers_and_names_of_the_recipe(tmp_path):
    words = ("adaptation=freeze", "adaptation.first=1", "adaptation.last=0", "adaptation.also=['model.norm.*']",
             "adaptation.never=['*self_attn*']")  # fmt: skip
    moving = {name for name, weight in adapt(twin(tmp_path, *words)).named_parameters() if weight.requires_grad}
    assert moving == {
        "model.norm.weight", "model.layers.0.mlp.gate_proj.weight", "model.layers.0.mlp.up_proj.weight",
        "model.layers.0.mlp.down_proj.weight", "model.layers.0.input_layernorm.weight",
        "model.layers.0.post_attention_layernorm.weight",
    }  # fmt: skip


def test_a_pattern_that_names_nothing_is_refused_with_the_nearest(tmp_path):
    run = twin(tmp_path, "adaptation=freeze", "adaptation.also=['model.nrom.weight']")
    with pytest.raises(RecipeError, match=r"'model\.nrom\.weight'.*Did you mean"):
        adapt(run)


def test_boft_does_not_quietly_take_one_factor_for_several(tmp_path):
    with pytest.raises(RecipeError, match=r"adaptation\.factors=1"):
        adapt(twin(tmp_path, "adaptation=boft", "adaptation.factors=2"))


def test_bitfit_refuses_a_network_without_biases(tmp_path):
    with pytest.raises(RecipeError, match=r"adaptation\.norms=true"):
        adapt(twin(tmp_path, "adaptation=bitfit"))


def test_an_adapter_of_another_adaptation_or_an_unknown_name_is_refused(tmp_path):
    first = luthier.load(train(tmp_path / "first", "adaptation=lora", SMALL, *TRAINING).folder)
    other = train(tmp_path / "other", "adaptation=vera", SMALL, *TRAINING)
    with pytest.raises(RecipeError, match="same adaptation of the same base"):
        first.add(other.folder, "other")
    with pytest.raises(RecipeError, match="default"):
        first.use("defualt")
    with pytest.raises(RecipeError, match="already"):
        first.add(tmp_path / "first", "default")


def test_without_an_adapter_the_base_answers_and_with_it_the_adapter_again(tmp_path):
    done = train(tmp_path / "run", "adaptation=lora", SMALL, *TRAINING)
    artifact = luthier.load(done.folder)
    artifact.use(None)
    assert torch.equal(logits(artifact.network), logits(done.run.model.network()))
    artifact.use("default")
    assert torch.equal(logits(artifact.network), logits(done.network))
