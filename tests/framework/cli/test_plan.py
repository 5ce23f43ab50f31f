"""`luthier plan`: read-only, offline, and right about what a run will do."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

import luthier
from luthier.models.adaptation import FullFineTuning
from luthier.models.bpe import byte_level_bpe
from luthier.models.random import Random
from luthier.models.trainable_parameters import ParameterCounts, count_parameters
from luthier.workflows.planning import estimate
from luthier.workflows.planning.estimate import Work

ROW = {
    "messages": [
        {"role": "user", "content": "Is it well made?"},
        {"role": "assistant", "content": "It is, and quite so."},
    ]
}


def rows(count: int, **more: object) -> str:
    told = [{"role": "user", "content": f"Number {number}, is it well made?"} for number in range(count)]
    return "".join(json.dumps({"messages": [one, ROW["messages"][1]], **more}) + "\n" for one in told)


def tree(*folders: Path) -> dict[str, tuple[int, int]]:
    files = (file for folder in folders for file in folder.rglob("*"))
    return {str(file): (file.stat().st_size, file.stat().st_mtime_ns) for file in files}


@pytest.fixture
def planned(luthier):
    def ask(*argv: str) -> dict:
        end = luthier("plan", *argv, "--json")
        assert end.out, end.err
        return {**end.record, "code": end.code}

    return ask


def test_a_recipe_that_can_run_is_a_go(planned):
    found = planned("recipe=demo", "debug=tiny")
    assert (found["go"], found["code"], found["problems"]) == (True, 0, [])
    assert found["data"]["splits"]["train"] + found["data"]["splits"]["test"] == found["data"]["counts"]["examples"]
    assert found["weights"]["trained"] == found["weights"]["total"] > 100_000
    assert found["steps"]["count"] == 2
    assert found["memory"]["total"] > 0
    assert found["disk"]["total"] > 0
    assert found["seconds"] >= 0
    assert found["run"] == "luthier recipe=demo debug=tiny"


def test_nothing_is_written_anywhere(planned, write, here, tmp_path_factory, monkeypatch):
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LUTHIER_CACHE", str(cache / "none"))
    write("mine.jsonl", rows(30) + '{"messages": 3}\n')
    before = tree(here, cache)
    found = planned("data=jsonl", "data.file=mine.jsonl", "data.on_bad_row=quarantine")
    assert found["data"]["counts"]["skipped"] == 1
    assert tree(here, cache) == before
    assert not (cache / "none").exists()


def test_what_is_not_on_this_machine_yet_is_unknown_and_not_fetched(planned, tmp_path_factory, monkeypatch):
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LUTHIER_CACHE", str(cache))
    found = planned("recipe=quickstart")
    assert found["go"]
    assert [line.partition(":")[0] for line in found["unknown"]] == ["the model", "the data"]
    assert found["weights"] is None
    assert not list(cache.iterdir())


def test_the_share_that_trains_is_that_of_the_run(planned):
    from luthier.models.adaptation import FullFineTuning
    from luthier.models.random import Random
    from luthier_adapters.lora import Lora

    network = Lora(rank=4)(Random(config={"num_hidden_layers": 2}).network())
    trained = sum(each.numel() for each in network.parameters() if each.requires_grad)
    argv = ("model=random", "model.config={num_hidden_layers: 2}", "adaptation=lora", "adaptation.rank=4")
    assert planned(*argv)["weights"] == {
        "total": sum(each.numel() for each in network.parameters()),
        "trained": trained,
        "other_modalities": 0,
    }
    whole = planned("model=random", "model.config={num_hidden_layers: 2}")["weights"]
    full = FullFineTuning()(Random(config={"num_hidden_layers": 2}).network())
    assert whole["trained"] == whole["total"] == sum(each.numel() for each in full.parameters())


def test_a_recipe_without_a_fit_trains_nothing(planned, luthier):
    words = ("debug=tiny", "data=demo", "evaluation.general_examples=0")
    asking, learning = planned(*words, "stages=[evaluate]"), planned(*words)
    assert asking["weights"]["trained"] == asking["disk"]["total"] == 0
    assert asking["memory"]["total"] < learning["memory"]["total"]
    assert "trains  nothing: all " in luthier("plan", *words, "stages=[evaluate]").out


def test_each_value_says_where_it_came_from(planned, write):
    write(
        "recipes/recipe/mine.yaml", "# @package _global_\n# Mine.\ndefaults: [override /adaptation: lora]\n\nseed: 4\n"
    )
    found = planned("recipe=mine", "trainer.epochs=2")
    said = {one["path"]: (one["value"], one["by"], one["where"]) for one in found["settings"]}
    assert said["seed"] == (4, "recipe", "recipes/recipe/mine.yaml:5")
    assert said["trainer.epochs"] == (2, "command line", "command line: trainer.epochs=2")
    assert said["adaptation.rank"][1:] == ("option file", "luthier_adapters/recipes/adaptation/lora.yaml:3")
    assert said["batch.length"][2].startswith("luthier_recipes/config.yaml:")
    answers = {one["question"]: one["where"] for one in found["answers"]}
    assert answers["adaptation"] == "recipes/recipe/mine.yaml:3"
    assert answers["recipe"] == "command line: recipe=mine"
    assert answers["model"].startswith("luthier_recipes/config.yaml:")


def test_the_hash_is_that_of_the_work_not_of_its_name(planned):
    first = planned("recipe=demo", "debug=tiny")["hash"]
    assert planned("recipe=demo", "debug=tiny", "name=other")["hash"] == first
    assert planned("recipe=demo", "debug=tiny", "seed=1")["hash"] != first
    assert len(first) == 64


def test_tokens_and_steps_are_those_of_the_run(planned, write):
    """Compared with the blocks that the data module makes of the same file."""
    from luthier.config.catalog import Catalog
    from luthier.config.compose import Composer
    from luthier.config.instantiate import instantiate
    from luthier.plugins.registry import Plugins

    write("mine.jsonl", rows(200))
    argv = ["data=jsonl", "data.file=mine.jsonl", "batch.length=128", "batch.size=2", "trainer.epochs=3"]
    plugins = Plugins(only=None)
    config = Composer(plugins, Catalog.of(plugins)).compose(argv).config
    model = instantiate(config.model)
    method = instantiate(config.method, model, instantiate(config.adaptation), instantiate(config.optimizer))
    data = instantiate(
        config.batch, instantiate(config.data), instantiate(config.prompt), method.encode, model.tokenizer, 0
    )
    blocks = data.blocks("train")
    steps = planned(*argv)["steps"]
    assert steps["count"] == pytest.approx(data.steps(3, 1), rel=0.05)
    tokens = sum(len(row) for number in range(len(blocks)) for row in blocks.rows(number))
    assert steps["tokens"] == pytest.approx(3 * tokens, rel=0.05)


@pytest.mark.parametrize(
    ("argv", "code", "word"),
    [
        (["data=jsonl", "data.file=nowhere.jsonl"], 3, "nowhere.jsonl"),
        (["data=jsonl", "data.file=broken.jsonl"], 3, "broken.jsonl:2"),
        (["data=jsonl", "data.file=mine.jsonl", "batch.length=16"], 3, "longer than 16 tokens"),
        (["adaptation=lora", "adaptation.targets=[q_prj]"], 2, "q_proj"),
        (["adaptation=lora", "adaptation.rank=0"], 2, "rank"),
        (["model=folder", "model.path=nowhere"], 2, "nowhere"),
        (["model=random", "model.architecture=lama"], 2, "llama"),
        (["trainer=gpu"], 5, "CUDA"),
        (["batch.micro=4000000"], 5, "memory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_work_is_a_no_go_with_its_exit_code(argv, code, word, planned, write):
    write("mine.jsonl", rows(20))
    write("broken.jsonl", rows(1) + "{\n")
    found = planned(*argv)
    assert (found["code"], found["go"]) == (code, False)
    assert any(word in f"{problem['where']} {problem['message']} {problem['hint']}" for problem in found["problems"])


@pytest.fixture
def dynamic(tmp_path: Path) -> Path:
    """A model whose positions all change with the longest text that it has read, beyond 32 tokens."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    tokenizer = byte_level_bpe(400)
    config = LlamaConfig(
        vocab_size=400, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=32, rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0},
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "dynamic")
    tokenizer.save_pretrained(tmp_path / "dynamic")
    return tmp_path / "dynamic"


def test_texts_beyond_what_a_model_reads_are_a_no_go_as_they_end_the_run(planned, luthier, dynamic):
    words = ["debug=tiny", "model=folder", f"model.path={dynamic}", "adaptation=lora"]
    for more, problem in (
        (["batch.length=256"], "batch.length=256 is more than the model's 32 positions"),
        (["batch.length=32"], "tokens changes all positions of this model"),
    ):
        found, done = planned(*words, *more), luthier(*words, *more)
        assert (found["go"], found["code"]) == (False, done.code)
        assert problem in found["problems"][0]["message"]
        assert problem in done.err
    cut = ["batch.length=32", "stages=[fit]"]
    assert planned(*words, *cut)["go"]
    assert luthier(*words, *cut).code == 0


def test_where_no_twin_can_be_built_nothing_is_said_to_be_proved(luthier, tmp_path):
    """Key heads of DiffLlama come in pairs, so that a small network with one is none."""
    from transformers import AutoModelForCausalLM, DiffLlamaConfig

    config = DiffLlamaConfig(
        vocab_size=400, hidden_size=96, intermediate_size=32, num_hidden_layers=2, num_attention_heads=12,
        num_key_value_heads=2, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    byte_level_bpe(400).save_pretrained(tmp_path)
    page = luthier("plan", "debug=tiny", "model=folder", f"model.path={tmp_path}", "adaptation=lora")
    assert "none yet: no small twin of its configuration can be built" in " ".join(page.out.split())


def test_the_page_says_the_verdict_last(luthier):
    end = luthier("plan", "recipe=demo", "debug=tiny", "seed=3")
    lines = end.out.splitlines()
    assert lines[-2].startswith("GO")
    assert lines[-1] == "run it:  luthier recipe=demo debug=tiny seed=3"
    assert "command line: seed=3" in end.out
    assert max(map(len, lines)) <= 100
    assert "optimizer.beta1" not in end.out
    assert "optimizer.beta1" in luthier("plan", "recipe=demo", "debug=tiny", "--all").out


def test_a_hook_that_says_why_it_cannot_work_ends_the_plan(luthier, write, monkeypatch, here):
    write(
        "grumbler.py", "import luthier\n@luthier.hookimpl\ndef luthier_check(config):\n    yield 'This cannot work.'\n"
    )
    monkeypatch.syspath_prepend(str(here))
    end = luthier("plan", "-p", "grumbler", "--json")
    assert end.code == 2
    assert end.error["message"] == "This cannot work."


def test_a_problem_that_two_parts_have_is_told_once(planned):
    found = planned("model=run", "model.path=missing")
    (problem,) = found["problems"]
    assert (found["code"], "missing holds no artifact" in problem["message"]) == (2, True)


def test_plain_text_is_no_conversation(planned, write):
    write("plain.jsonl", '{"text": "Spruce is for the top, maple for the back."}\n' * 8)
    found = planned("data=jsonl", "data.file=plain.jsonl")
    (problem,) = found["problems"]
    assert (found["code"], problem["kind"]) == (3, "data")
    assert "no `messages`" in problem["message"]
    assert "method=cpt" in problem["hint"]


def test_what_a_recipe_lost_is_noted(planned, write):
    body = "defaults: [override /data: jsonl]\ndata: {file: a.jsonl}\n"
    write("recipes/recipe/mine.yaml", f"# @package _global_\n# Mine.\n{body}")
    assert "data.file" in planned("recipe=mine", "debug=tiny")["dropped"][0]


LLAMA = ParameterCounts(total=134_515_008, trained=134_515_008, layers=30, width=576, inner=1536, vocabulary=49_152)
WORK = Work(
    micro=1,
    length=512,
    size=4,
    packing=True,
    epochs=1,
    max_steps=None,
    computes_in=4,
    stored_in=4,
    checkpointing=False,
)


def test_memory_counts_weights_gradients_and_adams_two_states():
    needed = estimate.memory(LLAMA, WORK)
    assert needed["weights"] == needed["gradients"] == 4 * LLAMA.total
    assert needed["optimizer"] == 8 * LLAMA.total


def test_devices_with_shards_need_a_share_of_the_state_and_gather_a_block_at_a_time():
    whole = estimate.memory(LLAMA, WORK)
    shared = estimate.of_a_shard(whole, LLAMA, WORK, 8)
    for name in ("weights", "gradients", "optimizer"):
        assert shared[name] == whole[name] // 8
    assert whole["weights"] / 4 < shared["gathered"] < whole["weights"] / 3, "the embeddings are a fifth of it"
    assert shared["activations"] == whole["activations"]


def test_memory_grows_with_what_one_forward_holds():
    from dataclasses import replace

    small, large = (estimate.memory(LLAMA, replace(WORK, micro=micro))["activations"] for micro in (1, 4))
    assert large > 3 * small
    assert estimate.memory(LLAMA, replace(WORK, checkpointing=True))["activations"] < small


def test_time_is_six_operations_for_each_weight_and_token_and_four_where_little_trains():
    from dataclasses import replace

    assert estimate.seconds(LLAMA, 1000, flops=1e9) == pytest.approx(6 * LLAMA.total * 1000 / 1e9)
    adapted = replace(LLAMA, trained=0)
    assert estimate.seconds(adapted, 1000, flops=1e9) == pytest.approx(4 * LLAMA.total * 1000 / 1e9)


def test_steps_end_at_the_most_that_a_recipe_allows():
    from dataclasses import replace

    lengths = [256] * 80
    assert estimate.steps(WORK, lengths) == estimate.StepEstimate(10, 256 * 80)
    assert estimate.steps(replace(WORK, max_steps=3), lengths) == estimate.StepEstimate(3, 256 * 24)
    assert estimate.steps(replace(WORK, packing=False), lengths).count == 20


def test_the_package_is_the_one_under_test():
    assert Path(luthier.__file__).is_relative_to(Path(os.path.realpath(__file__)).parents[3])


def test_the_time_of_a_mixture_counts_the_experts_that_a_token_passes_through():
    config = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
              "num_key_value_heads": 2, "num_local_experts": 8, "num_experts_per_tok": 2}  # fmt: skip
    counted = count_parameters(Random(architecture="mixtral", config=config), FullFineTuning())
    assert counted.idle == counted.idle_trained == 2 * 6 * 3 * 32 * 64
    tokens, flops = 1000.0, 1e9
    fewer = {"total": counted.total - counted.idle, "trained": counted.trained - counted.idle}
    dense = dataclasses.replace(counted, **fewer, idle=0, idle_trained=0)
    assert estimate.seconds(counted, tokens, flops=flops) == estimate.seconds(dense, tokens, flops=flops)


def test_a_probe_measures_what_two_steps_take_and_leaves_nothing(planned, write, here, monkeypatch, tmp_path_factory):
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    write("mine.jsonl", rows(30))
    before = tree(here)
    found = planned("data=jsonl", "data.file=mine.jsonl", "debug=tiny", "batch.packing=false", "--probe")
    assert (found["go"], found["problems"]) == (True, [])
    assert found["memory"]["two steps"] == found["memory"]["total"] == found["probe"]["memory"] > 100_000_000
    assert found["seconds"] == round(found["steps"]["count"] * found["probe"]["seconds"])
    assert tree(here, scratch) == before


@pytest.mark.exhaustive
def test_what_ends_a_probe_is_a_problem_of_the_plan(planned):
    found = planned("debug=tiny", "optimizer.lr=1e38", "optimizer/schedule=constant", "--probe")
    assert (found["go"], found["code"]) == (False, 4)
    assert "weights" in found["problems"][0]["message"]


def test_a_probe_is_of_one_recipe(luthier):
    end = luthier("plan", "pipeline=cpt-then-sft", "--probe")
    assert end.code == 2
    assert "Plan the steps one by one" in end.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("trainer=tensor_parallel", "trainer.devices=4"), "4 ranks split layers, and num_key_value_heads=2"),
        (("trainer=fsdp_tp", "trainer.devices=3"), "groups ranks, and there are 3 of them"),
        (("trainer.devices=2",), "is for one device, and trainer.devices and trainer.num_nodes make 2"),
    ],
    ids=["heads", "groups", "one device"],
)
def test_what_cannot_be_split_is_a_problem_of_the_plan(words, sentence, luthier):
    end = luthier("plan", "debug=tiny", *words, "trainer.accelerator=cpu", "--json")
    assert end.code == 2, end.err
    problems = end.record["problems"] if end.out else [end.error]
    assert any(sentence in one["message"] for one in problems), problems


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("recipe=quickstart", "adaptation=adalora"), "AdaLora acts on whole weights between the steps"),
        (("recipe=grpo",), "all devices must call a network in shards equally often"),
        (
            ("recipe=quickstart", "trainer.strategy.cpu_offload=true"),
            "keeps weights in host memory while an accelerator",
        ),
    ],
    ids=["adaptation", "method", "offloading"],
)
def test_what_shards_would_break_is_a_problem_of_the_plan(words, sentence, luthier):
    on_ranks = ("debug=tiny", "trainer=fsdp", "trainer.accelerator=cpu")
    end = luthier("plan", *on_ranks, *words, "--json")
    assert end.code == 2, end.err
    problems = end.record["problems"] if end.out else [end.error]
    assert any(sentence in one["message"] for one in problems), problems
