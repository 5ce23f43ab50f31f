"""Text training of checkpoints that read images or sound, as a user runs it, and what plain transformers then loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoTokenizer

import luthier as library
from luthier.models.modalities import text_weights
from tests.command import luthier
from tests.framework.multimodal.families import save
from tests.rounding import assert_equal_but_for_rounding

IDS = torch.tensor([[11, 200, 35, 7, 301, 99, 12, 13, 250]])
TEMPLATE = (  # as those of image processors are: a text that is a string is not shown
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def run(*words: str) -> str:
    done = luthier(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def refused(*words: str) -> str:
    done = luthier(*words)
    assert done.returncode == 3 or done.returncode == 2, done.stdout + done.stderr
    return done.stdout + done.stderr


@torch.no_grad()
def logits(network: Any, ids: Tensor = IDS) -> Tensor:
    found: Tensor = network.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    return found[:, -ids.shape[1] :]


def whole(folder: Path) -> Any:
    """By the class that config.json names, as servers load it."""
    named = json.loads((folder / "config.json").read_text())["architectures"][0]
    assert named.endswith("ForConditionalGeneration")
    return getattr(transformers, named).from_pretrained(folder)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Qwen2.5-VL with the files of its processor."""
    return save("qwen2_5_vl", tmp_path_factory.mktemp("vision") / "base")


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter") / "run"
    words = ["debug=tiny", "model=folder", f"model.path={base}", "adaptation=lora", "adaptation.rank=4"]
    run(*words, "optimizer.lr=0.05", "evaluation.general_examples=0", f"hydra.run.dir={folder}")
    return folder


def test_an_adapter_loads_on_the_whole_model_with_plain_peft(base: Path, adapter: Path) -> None:
    plain = PeftModel.from_pretrained(AutoModelForImageTextToText.from_pretrained(base), adapter / "artifact")
    ours = logits(library.load(adapter).network)
    assert_equal_but_for_rounding(logits(plain), ours, plain, IDS)
    assert (logits(whole(base)) - ours).abs().max() > 1e-3, "the adapter learned something"
    names = load_file(adapter / "artifact" / "adapter_model.safetensors").keys()
    assert all(name.startswith("base_model.model.model.language_model.layers.") for name in names)


def test_an_export_is_the_whole_model_with_its_processor_and_the_trained_template(base: Path, adapter: Path, tmp_path):
    exported = tmp_path / "exported"
    run("export", str(adapter), str(exported))
    plain = whole(exported)
    assert_equal_but_for_rounding(logits(plain), logits(library.load(adapter).network), plain, IDS)
    before, after = load_file(base / "model.safetensors"), load_file(exported / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("visual"))
    assert json.loads((exported / "preprocessor_config.json").read_text()) == {
        "image_processor_type": "AnImageProcessor"
    }
    assert json.loads((exported / "processor_config.json").read_text()) == {"processor_class": "AProcessor"}
    assert AutoTokenizer.from_pretrained(exported).chat_template == (exported / "chat_template.jinja").read_text()


def test_the_report_says_what_no_text_passes_through(adapter: Path) -> None:
    page, card = (adapter / "report.html").read_text(), (adapter / "MODEL_CARD.md").read_text()
    assert "Not reached by text" in page
    assert "model.visual" in page
    assert "Not reached by text" in card
    artifact = library.load(adapter)
    trained = json.loads((adapter / "record.json").read_text())["model"]["trained"]
    assert trained == sum(w.numel() for name, w in artifact.network.named_parameters() if "lora_" in name)


def test_whole_networks_are_trained_but_for_their_towers_and_go_on_from_there(tmp_path: Path) -> None:
    base, folder, further = save("gemma3", tmp_path / "base"), tmp_path / "run", tmp_path / "further"
    words = ["debug=tiny", "stages=[fit]", "optimizer.lr=0.01"]
    run(*words, "model=folder", f"model.path={base}", "adaptation=full", f"hydra.run.dir={folder}")
    first, network = whole(base), whole(folder / "artifact")
    of_text = text_weights(first)
    for (name, weight), moved in zip(first.named_parameters(), network.parameters(), strict=True):
        assert torch.equal(weight, moved) == (name not in of_text), name
    assert json.loads((folder / "artifact" / "preprocessor_config.json").read_text())
    run(*words, "model=run", f"model.path={folder}", "adaptation=lora", f"hydra.run.dir={further}")
    plain = PeftModel.from_pretrained(network, further / "artifact")
    assert_equal_but_for_rounding(logits(plain), logits(library.load(further).network), plain, IDS)
    assert json.loads((further / "artifact" / "preprocessor_config.json").read_text())


@pytest.mark.parametrize("answer", ["prefix", "prompt_tuning"])
def test_virtual_tokens_are_those_of_the_whole_model(answer: str, tmp_path: Path) -> None:
    base, folder = save("llava", tmp_path / "base"), tmp_path / "run"
    words = ["debug=tiny", "stages=[fit]", "optimizer.lr=0.1", "model=folder", f"model.path={base}"]
    run(*words, f"adaptation={answer}", "adaptation.virtual_tokens=4", f"hydra.run.dir={folder}")
    plain = PeftModel.from_pretrained(AutoModelForImageTextToText.from_pretrained(base), folder / "artifact")
    ours = logits(library.load(folder).network)
    assert_equal_but_for_rounding(logits(plain), ours, plain, IDS)
    assert (logits(whole(base)) - ours).abs().max() > 1e-3


def test_plan_counts_towers_by_themselves(base: Path) -> None:
    words = ["plan", "debug=tiny", "model=folder", f"model.path={base}"]
    page = run(*words, "adaptation=full")
    network = whole(base)
    of_text = text_weights(network)
    others = sum(weight.numel() for name, weight in network.named_parameters() if name not in of_text)
    total, trained = sum(w.numel() for w in network.parameters()), sum(w.numel() for w in of_text.values())
    assert f"{trained:,} of {total:,} weights" in page
    assert f"{others:,} weights of model.visual stay: no text passes through them" in " ".join(page.split())
    found = json.loads(luthier(*words, "adaptation=lora", "--json").stdout)["weights"]
    assert (found["total"] - found["trained"], found["other_modalities"]) == (total, others)


def test_a_tower_that_is_named_gets_no_gradient_and_the_user_is_told(base: Path) -> None:
    words = ["plan", "debug=tiny", "model=folder", f"model.path={base}", "adaptation=lora"]
    page = " ".join(run(*words, "adaptation.targets='.*(q_proj|visual.*qkv)'").split())
    assert "trainable weights of model.visual get no gradient, as no text passes through them" in page
    page = " ".join(refused(*words, "adaptation.targets='.*visual.*qkv'").split())
    assert "NO GO" in page
    assert "Only weights of model.visual would be trained" in page


def test_a_random_network_may_be_one_that_reads_images(tmp_path: Path) -> None:
    text = (
        "{hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 2}"
    )
    vision = "{depth: 1, hidden_size: 32, out_hidden_size: 32, num_heads: 2, intermediate_size: 32}"
    words = [
        "model=random",
        "model.architecture=qwen3_vl",
        f"model.config={{text_config: {text}, vision_config: {vision}}}",
    ]
    run("debug=tiny", *words, "stages=[fit]", "adaptation=full", f"hydra.run.dir={tmp_path / 'run'}")
    assert type(whole(tmp_path / "run" / "artifact")).__name__ == "Qwen3VLForConditionalGeneration"


def test_a_template_that_takes_texts_in_parts_shows_them(tmp_path: Path) -> None:
    base, folder = save("smolvlm", tmp_path / "base"), tmp_path / "run"
    (base / "chat_template.jinja").unlink()
    (base / "processor_config.json").unlink()
    (base / "chat_template.json").write_text(json.dumps({"chat_template": TEMPLATE}))  # where older folders have it
    words = ["debug=tiny", "model=folder", f"model.path={base}", "stages=[fit]"]
    run(*words, "adaptation=lora", f"hydra.run.dir={folder}")
    conversation = [{"role": "user", "content": "Is the violin warm?"}, {"role": "assistant", "content": "Yes."}]
    artifact = library.load(folder)
    assert (artifact.logprobs(conversation) < 0).sum() >= len(artifact.tokenizer("Yes.").input_ids)
    assert artifact.generate([conversation[:1]])
    run("export", str(folder), str(tmp_path / "exported"))
    assert (tmp_path / "exported" / "chat_template.jinja").read_text() == TEMPLATE


def test_an_encoder_decoder_is_no_go_by_name(tmp_path: Path) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    from luthier.models.bpe import byte_level_bpe

    config = T5Config(vocab_size=400, d_model=32, d_ff=32, num_layers=1, num_heads=2, d_kv=16)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    byte_level_bpe(400).save_pretrained(tmp_path)
    for words in (["plan"], []):
        said = refused(*words, "debug=tiny", "model=folder", f"model.path={tmp_path}")
        assert "t5 is an encoder-decoder" in " ".join(said.split())
