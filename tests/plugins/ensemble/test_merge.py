"""Whole models merged from their files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import luthier
from luthier.errors import RecipeError
from luthier.fetch import cache
from luthier.models.folder import Folder
from luthier.models.random import Random
from luthier.testing.twin import twin
from luthier_ensemble.greedy_soup import GreedySoup
from luthier_ensemble.merge import Merge
from luthier_ensemble.merging.dare import Dare
from luthier_ensemble.merging.linear import Linear
from luthier_ensemble.merging.passthrough import Passthrough
from luthier_ensemble.merging.slerp import Slerp
from luthier_ensemble.safetensors_writer import write
from luthier_ensemble.weights import StoredTensors
from tests.framework.multimodal.families import save
from tests.plugins.ensemble.conftest import SIZE


def state(model) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.network().state_dict().items()}


def test_the_merged_network_has_the_mean_of_the_weights_and_stays_tied(kept):
    models = {"a": kept("a", seed=1), "b": kept("b", seed=2)}
    merge = Merge(models=models, merging=Linear(weights={"a": 3.0}))
    network, a, b = merge.network(), state(models["a"]), state(models["b"])
    for name, weight in network.state_dict().items():
        torch.testing.assert_close(weight, (3 * a[name] + b[name]) / 4)
    assert network.get_output_embeddings().weight is network.get_input_embeddings().weight
    assert "lm_head.weight" not in load_file(merge.folder / "model.safetensors")


def test_a_tied_and_an_untied_model_make_an_untied_one(kept):
    models = {"tied": kept("a", seed=1), "untied": kept("b", seed=2, tie_word_embeddings=False)}
    network, tied, untied = Merge(models=models, merging=Linear()).network(), *map(state, models.values())
    head, embeddings = (f"{name}.weight" for name in ("lm_head", "model.embed_tokens"))
    found = network.state_dict()
    torch.testing.assert_close(found[head], (tied[embeddings] + untied[head]) / 2)
    torch.testing.assert_close(found[embeddings], (tied[embeddings] + untied[embeddings]) / 2)
    assert not torch.equal(found[head], found[embeddings])


def test_a_merge_is_the_same_to_the_bit_each_time(kept, tmp_path, monkeypatch):
    def made() -> bytes:
        models = {name: kept(name, seed=seed) for seed, name in enumerate(("base", "a", "b"))}
        merge = Merge(models=models, base="base", merging=Dare(density=0.5))
        return (merge.folder / "model.safetensors").read_bytes()

    first = made()
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "another"))
    assert made() == first


def test_layers_of_two_models_are_stacked(kept):
    models = {"a": kept("a", seed=1), "b": kept("b", seed=2)}
    slices = [{"model": "a", "layers": [0, 2]}, {"model": "b", "layers": [1, 2]}]
    merge = Merge(models=models, merging=Passthrough(slices=slices))
    found, a, b = state(merge), state(models["a"]), state(models["b"])
    assert merge.config.num_hidden_layers == 3
    weight = "model.layers.{}.self_attn.q_proj.weight".format
    for layer, (theirs, number) in enumerate([(a, 0), (a, 1), (b, 1)]):
        assert torch.equal(found[weight(layer)], theirs[weight(number)])
    assert torch.equal(found["model.embed_tokens.weight"], a["model.embed_tokens.weight"])
    assert torch.equal(found["model.norm.weight"], b["model.norm.weight"])
    with pytest.raises(RecipeError, match="b has 2 layers"):
        _ = Merge(models=models, merging=Passthrough(slices=[{"model": "b", "layers": [0, 9]}])).config


def test_models_without_files_merge_too():
    random = {f"m{seed}": Random(config=SIZE, seed=seed, vocabulary=300) for seed in (1, 2)}
    found, one, other = state(Merge(models=random, merging=Linear())), *map(state, random.values())
    name = "model.layers.1.mlp.up_proj.weight"
    torch.testing.assert_close(found[name], (one[name] + other[name]) / 2)


def test_another_vocabulary_is_refused_before_anything_is_read(kept):
    merge = Merge(models={"a": kept("a"), "b": kept("b", vocabulary=310)}, merging=Linear())
    with pytest.raises(RecipeError, match="b has another vocabulary"):
        _ = merge.folder


@pytest.mark.parametrize("tied", [True, False])
def test_another_vocabulary_is_aligned_by_its_tokens(kept, tied):
    sizes = {"base": 340, "smaller": 300}
    models = {name: kept(name, vocabulary=size, tie_word_embeddings=tied) for name, size in sizes.items()}
    file = models["smaller"].path / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]  # another order of tokens
    file.write_text(json.dumps(tokenizer))
    merge = Merge(models=models, merging=Linear(weights={"base": 3.0}), vocabulary="aligned")
    found, base, smaller = state(merge), *map(state, models.values())
    here, there = (model.tokenizer.get_vocab() for model in models.values())
    assert merge.tokenizer.get_vocab() == here
    assert here["a"] == there["b"] != there["a"]
    assert set(here) > set(there)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        assert found[name].shape == base[name].shape
        for token, row in here.items():
            theirs = smaller[name][there[token]] if token in there else base[name][row]
            torch.testing.assert_close(found[name][row], (3 * base[name][row] + theirs) / 4)
    inside = "model.layers.0.mlp.up_proj.weight"
    torch.testing.assert_close(found[inside], (3 * base[inside] + smaller[inside]) / 4)


def test_other_shapes_are_refused_by_name(kept):
    merge = Merge(models={"a": kept("a"), "b": kept("b", intermediate_size=32)}, merging=Linear())
    with pytest.raises(RecipeError, match=r"mlp\.\w+\.weight is \[\d+, \d+\] in a and"):
        _ = merge.folder
    deeper = Merge(models={"a": kept("a"), "b": kept("c", num_hidden_layers=3)}, merging=Linear())
    with pytest.raises(RecipeError, match=r"a has no model\.layers\.2"):
        _ = deeper.folder


def test_a_base_that_is_missing_or_unknown_is_refused(kept):
    models = {"a": kept("a"), "b": kept("b")}
    with pytest.raises(RecipeError, match="the one that they started from"):
        Merge(models=models, merging=Slerp())
    with pytest.raises(RecipeError, match="There is no model 'c'"):
        Merge(models=models, merging=Slerp(), base="c")
    with pytest.raises(RecipeError, match="has no models"):
        Merge(models={}, merging=Linear())


def test_the_lineage_names_every_model_and_how_they_were_merged(kept):
    merge = Merge(models={"a": kept("a", seed=1), "b": kept("b", seed=2)}, merging=Linear(weights={"a": 2.0}))
    found = json.loads(json.dumps(merge.lineage()))
    assert found["merging"] == {"kind": "Linear", "base": None, "weights": {"a": 2.0}, "normalize": True}
    assert found["models"]["a"]["sha256"] != found["models"]["b"]["sha256"] != found["sha256"]


def test_a_written_file_is_one_that_safetensors_reads(tmp_path):
    given = {"a": torch.randn(3, 2), "b": torch.arange(3), "c": torch.randn(4).bfloat16(), "d": torch.tensor(2.0)}
    write(tmp_path / "x.safetensors", {k: (tuple(v.shape), v.dtype) for k, v in given.items()}, given.items())
    found = load_file(tmp_path / "x.safetensors")
    assert found.keys() == given.keys()
    assert all(torch.equal(found[name], given[name]) for name in given)


def test_a_greedy_soup_keeps_the_models_that_do_not_lower_the_score(kept):
    """With the distance from a weight as the score, the model that increases it is left out."""
    models = {name: kept(name, seed=seed) for seed, name in enumerate(("far", "near", "good"))}
    states, name = {key: state(model) for key, model in models.items()}, "model.norm.weight"
    states["far"][name] += 9
    network = models["far"].network()
    network.load_state_dict(states["far"])
    network.save_pretrained(models["far"].path)
    goal = (states["near"][name] + 2 * states["good"][name]) / 3
    soup = GreedySoup(models=models)
    with pytest.raises(RecipeError, match="has chosen nothing"):
        soup.network()
    soup.choose(lambda network: -float((network.get_parameter(name).detach() - goal).norm()))
    assert soup.chosen == ["good", "near"]
    torch.testing.assert_close(state(soup)[name], (states["near"][name] + states["good"][name]) / 2)
    assert "Of 3 models the soup has good, near" in soup.lineage()["note"]
    assert len(list(cache.cache_folder("models").glob("[!.]*"))) == 1, "only the soup is cached"


def test_a_soup_is_chosen_on_the_validation_split_and_stored_with_the_run(tmp_path):
    words = ["+model@model.models.one=tiny", "+model@model.models.other=tiny", "model.models.other.seed=1"]
    words += ["data=demo", "data.limit=40", "data.splits.validation=0.3", "evaluation.general_examples=0"]
    run = twin(tmp_path / "run", "model=greedy_soup", *words, "stages=[evaluate]")
    run.carry_out()
    manifest = json.loads((tmp_path / "run" / "artifact" / "manifest.json").read_text())
    assert manifest["model"]["chosen"] == run.model.chosen
    assert run.model.chosen
    loaded = luthier.load(tmp_path / "run").network.state_dict()
    assert all(torch.equal(loaded[name], weight) for name, weight in state(run.model).items())


PEAK = """
import sys
from pathlib import Path
import torch
from luthier_ensemble.merging.ties import Ties
from luthier_ensemble.merged_tensors import tensors_of_all, write_merged
from luthier_ensemble.weights import StoredTensors

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1])

class Watched(Ties):
    most = 0
    def __call__(self, *given):
        made = super().__call__(*given)
        Watched.most = max(Watched.most, anonymous())
        return made

folder = Path(sys.argv[1])
models = {name: StoredTensors(name, folder / name) for name in ("base", "a", "b")}
Watched()("first", {name: torch.randn(64, 64) for name in "ab"}, torch.randn(64, 64), 0.0)  # torch wakes up
before = anonymous()
write_merged(folder / "merged.safetensors", tensors_of_all(models, 16), models, Watched(), "base")
print(Watched.most - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_holds_a_few_tensors_and_not_the_models(tmp_path):
    each = 1024 * 1024 * 4
    for seed, name in enumerate(("base", "a", "b")):
        chance = torch.Generator().manual_seed(seed)
        (tmp_path / name).mkdir()
        for shard in range(2):
            numbers = range(shard * 8, shard * 8 + 8)
            part = {f"model.layers.{number}.w": torch.randn(1024, 1024, generator=chance) for number in numbers}
            save_file(part, tmp_path / name / f"model-{shard}.safetensors")
    at_once = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed is given back and does not count
    command = [sys.executable, "-c", PEAK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=at_once)
    peak, models = int(done.stdout) * 1024, 3 * 16 * each
    assert each <= peak < models / 4, f"{peak / each:.1f} tensors"
    assert load_file(tmp_path / "merged.safetensors").keys() == StoredTensors("a", tmp_path / "a").files.keys()


def test_models_that_read_images_merge_whole_and_are_not_stacked(tmp_path):
    models = {name: Folder(path=str(save("llava", tmp_path / name))) for name in ("one", "other")}
    merged = Merge(models=models, merging=Linear())
    network = merged.network()
    assert type(network).__name__ == "LlavaForConditionalGeneration"
    first = state(models["one"])
    assert all(torch.equal(first[name], weight) for name, weight in network.state_dict().items())
    assert [file.parent.name for file in merged.processor_files()] == ["one", "one"]
    stacked = Merge(models=models, merging=Passthrough(slices=[{"model": "one", "layers": [0, 1]}]))
    with pytest.raises(RecipeError, match="layers of several towers"):
        _ = stacked.config
