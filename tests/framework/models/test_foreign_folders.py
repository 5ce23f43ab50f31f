"""Whatever a model's folder holds, it is loaded or refused in a sentence: no traceback, no endless reading."""

from __future__ import annotations

import copy
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from luthier.errors import RecipeError, Refused, ResourceError
from luthier.models.bpe import byte_level_bpe
from luthier.models.folder import Folder

ODD = [
    None, "", "x", -1, 0, 1, 7, 4096, 2**70, 1.5, float("nan"), True, [], {}, [1], ["a"], {"a": 1}, [[[]]], "\ud800",
]  # fmt: skip
RAW = [b"", b"[" * 200_000, b'{"a":' * 200_000, b"\xff\xfe", b"null"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A small model in several files of weights, with its index."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = byte_level_bpe(400)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=128, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder, max_shard_size="20KB")
    tokenizer.save_pretrained(folder)
    return folder


def use(folder: Path) -> None:
    model = Folder(path=str(folder))
    network = model.network()
    model.meta_network()
    model.lineage()
    network(input_ids=model.tokenizer("Hello", return_tensors="pt").input_ids)


def places(value, path=()):
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for number, (key, item) in enumerate(inner):
        if number < 12:  # a vocabulary is like its beginning
            yield from places(item, (*path, key))


def changed(document, path, value):
    if not path:
        return value
    document = copy.deepcopy(document)
    at = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return document


def mutated(sound: Path, folder: Path, data: st.DataObject) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(sound, folder)
    file = folder / data.draw(st.sampled_from(sorted(os.listdir(folder))))
    content = file.read_bytes()
    if file.suffix == ".json" and data.draw(st.integers(0, 5)):
        document = json.loads(content)
        path = data.draw(st.sampled_from(list(places(document))))
        text = json.dumps(changed(document, path, data.draw(st.sampled_from(ODD))))
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
    elif data.draw(st.booleans()):
        file.write_bytes(data.draw(st.sampled_from(RAW)))
    else:
        at = data.draw(st.integers(0, len(content) - 1))
        flipped = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        file.write_bytes(data.draw(st.sampled_from([content[:at], flipped])))


def check(sound: Path, tmp_path_factory, examples: int) -> None:
    folder = tmp_path_factory.mktemp("odd") / "model"

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def loads_or_is_refused(data: st.DataObject) -> None:
        mutated(sound, folder, data)
        with suppress(RecipeError, ResourceError, Refused):
            use(folder)

    loads_or_is_refused()


def test_a_mutated_folder_is_loaded_or_refused(sound, tmp_path_factory):
    check(sound, tmp_path_factory, 40)


@pytest.mark.exhaustive
def test_a_thousand_mutated_folders_are_loaded_or_refused(sound, tmp_path_factory):
    check(sound, tmp_path_factory, 1000)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors.index.json", "notes.txt"])
def test_a_pipe_in_the_place_of_a_file_is_refused_unread(sound, tmp_path, name):
    folder = shutil.copytree(sound, tmp_path / "model")
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(Refused, match=f"{name} of .* is a device or a pipe"):
        use(folder)


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [("num_hidden_layers", 10**6, "1,000,000 layers"), ("hidden_size", 10**9, "GiB"), ("vocab_size", 10**13, "GiB")],
)
def test_a_network_that_nobody_could_build_is_refused_with_its_size(sound, tmp_path, setting, value, said):
    folder = shutil.copytree(sound, tmp_path / "model")
    stated = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**stated, setting: value}))
    with pytest.raises(RecipeError, match=said):
        _ = Folder(path=str(folder)).config
