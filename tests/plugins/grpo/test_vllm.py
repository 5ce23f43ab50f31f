"""Rollouts by vLLM: the engine writes with the weights of now, and says what is needed where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from luthier.errors import RecipeError, ResourceError
from luthier.testing.twin import twin
from luthier_reward.rollout import TransformersRollout
from luthier_reward.vllm_colocated import Vllm
from luthier_reward.vllm_server import VllmServer
from tests.plugins.grpo import tiny_vllm

PROMPTS = [np.array([5, 9, 14, 3, 7], np.int32), np.array([4, 11], np.int32)]
SAME = {"max_new_tokens": 6, "temperature": 0.8}


def method(folder: Path, adaptation: str) -> Any:
    made = twin(folder, "method=grpo", "batch.packing=false", f"adaptation={adaptation}").method
    made.configure_model()
    return made.eval()


def moved(made: Any, by: float) -> None:
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in made.network.parameters():
            if weight.requires_grad:
                weight += by * torch.randn(weight.shape, generator=generator)


@pytest.fixture
def server(tmp_path: Path) -> Any:
    made = method(tmp_path / "twin", "full")
    made.model.network().save_pretrained(tmp_path / "base")
    made.model.tokenizer.save_pretrained(tmp_path / "base")
    server = tiny_vllm.serving(str(tmp_path / "base"))
    yield server
    server.shutdown()
    server.server_close()


def by_a_server(server: Any) -> VllmServer:
    return VllmServer(url=f"{server.url}/v1/", model="tiny", **SAME)


def writes_with_the_weights_of_now(rollout: Any, made: Any) -> None:
    """Like the network itself, before and after it has moved, twice."""
    own = TransformersRollout(**SAME)
    own.use(made.model, True)
    seen = []
    for by in (0.0, 0.3, 0.3):
        moved(made, by)
        rollout.use(made.model, by > 0)
        ours, theirs = rollout.greedy(made.network, PROMPTS), own.greedy(made.network, PROMPTS)
        assert [one.ids for one in ours] == [one.ids for one in theirs]
        assert [one.text for one in ours] == [one.text for one in theirs]
        assert [one.finish for one in ours] == [one.finish for one in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert one.sampling_logprobs == pytest.approx(other.sampling_logprobs, abs=1e-4)
        seen.append([one.ids for one in ours])
    assert seen[0] != seen[1] != seen[2]


@pytest.mark.parametrize("adaptation", ["lora", "full"])
def test_a_server_writes_with_the_weights_of_now(tmp_path, server, adaptation):
    writes_with_the_weights_of_now(by_a_server(server), method(tmp_path / "mine", adaptation))
    if adaptation == "lora":
        assert list(server.engine.adapters) == ["luthier-2"]  # the one before was unloaded
    else:
        assert server.engine.cached == 2


@pytest.mark.parametrize("adaptation", ["lora", "full"])
def test_vllm_in_this_process_writes_with_the_weights_of_now(tmp_path, monkeypatch, adaptation):
    tiny_vllm.installed(monkeypatch)
    rollout = Vllm(lora_rank=16 if adaptation == "lora" else 0, **SAME)
    writes_with_the_weights_of_now(rollout, method(tmp_path, adaptation))
    assert rollout.engine.settings["gpu_memory_utilization"] == 0.3
    assert ("enable_lora" in rollout.engine.settings) == (adaptation == "lora")


def test_answers_to_a_prompt_differ_and_are_the_same_for_the_same_seed(tmp_path, server):
    made, rollout = method(tmp_path / "mine", "full"), by_a_server(server)
    rollout.use(made.model, False)
    first, again, other = (rollout(made.network, PROMPTS, [3, 8], 4, seed) for seed in (0, 0, 1))
    assert len(first) == 8
    assert [one.ids for one in first] == [one.ids for one in again] != [one.ids for one in other]
    assert len({tuple(one.ids) for one in first[:4]}) > 1
    path, asked, _ = next(told for told in server.told if told[1]["prompt"] == [5, 9, 14, 3, 7])
    assert (path, asked["n"], asked["logprobs"]) == ("/v1/completions", 4, 0)
    assert (asked["repetition_penalty"], asked["min_p"]) == (1.0, 0.0)  # whatever the server's own defaults are


def test_a_run_trains_on_what_a_server_wrote(tmp_path, server):
    words = ("method/rollout=vllm_server", f"method.rollout.url={server.url}", "method.rollout.model=tiny",
             "method.rollout.max_new_tokens=6", "method=grpo", "method/reward=length", "method.reward.most=3",
             "batch.packing=false", "batch.size=2", "method.group=3", "stages=[fit]", "trainer.max_steps=2",
             "adaptation=lora", "optimizer.lr=0.05", "method.iterations=2", "trainer.precision=fp32")  # fmt: skip
    made = twin(tmp_path / "run", *words)
    made.carry_out()
    assert "/v1/load_lora_adapter" in [path for path, *_ in server.told]
    assert float(made.method.step_metrics["rollout_mismatch"]) < 1e-4  # the server has the weights that are trained


def test_where_vllm_is_not_installed_the_recipe_is_refused_before_anything_is_loaded(tmp_path):
    with pytest.raises(RecipeError, match="package vllm, which is not installed") as refused:
        twin(tmp_path, "method=grpo", "batch.packing=false", "method/rollout=vllm")
    assert "vllm_server" in refused.value.hint


def test_a_server_that_does_not_answer_or_takes_no_weights_says_what_to_start(tmp_path, server, monkeypatch):
    made = method(tmp_path / "mine", "lora")
    silent = VllmServer(url="http://127.0.0.1:9", model="tiny", secret="VLLM_KEY", **SAME)
    silent.use(made.model, False)
    with pytest.raises(RecipeError, match="no VLLM_KEY"):
        silent.greedy(made.network, PROMPTS)
    monkeypatch.setenv("VLLM_KEY", "sesame")
    with pytest.raises(ResourceError, match="does not answer") as raised:
        silent.greedy(made.network, PROMPTS)
    assert raised.value.resumable
    server.missing = {"/v1/load_lora_adapter"}
    rollout = by_a_server(server)
    rollout.use(made.model, True)
    with pytest.raises(ResourceError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING"):
        rollout.greedy(made.network, PROMPTS)


@pytest.mark.parametrize("adaptation", ["ia3", "dora", "bottleneck"])
def test_what_vllm_cannot_hold_is_refused_by_name(tmp_path, server, adaptation):
    made, rollout = method(tmp_path / "mine", adaptation), by_a_server(server)
    rollout.use(made.model, True)
    with pytest.raises(RecipeError, match=r"takes plain LoRA adapters|does not know"):
        rollout.greedy(made.network, PROMPTS)
