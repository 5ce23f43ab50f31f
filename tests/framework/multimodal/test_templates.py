"""Chat templates of processors: where they lie, what form of texts they take, and what an export makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from luthier.data.encoding.template import template_takes_parts
from luthier.models.bpe import byte_level_bpe
from luthier.models.loading import load_tokenizer
from luthier.models.opening import opened, with_opening
from luthier.models.processors import copy_processor, processor_files_in

IN_PARTS = (
    "{% for message in messages %}{{ message['role'] }}: "
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}\n{% endfor %}"
)
EITHER = (
    "{% for message in messages %}{{ message['role'] }}: {% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{% endif %}\n{% endfor %}"
)
OPENING = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}]


def text(content: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": content}]


def rendered(template: str, messages: list[dict[str, object]]) -> str:
    return ImmutableSandboxedEnvironment().from_string(template).render(messages=messages)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(("template", "in_parts"), [(IN_PARTS, True), (EITHER, False)])
def test_an_export_begins_as_the_prompt_did_in_whatever_form_texts_come(template: str, in_parts: bool) -> None:
    tokenizer = byte_level_bpe(400)
    assert template_takes_parts(template, tokenizer) is in_parts
    tokenizer.chat_template = template
    with opened(tokenizer, OPENING, template_takes_parts):
        made = str(tokenizer.chat_template)
    assert tokenizer.chat_template == template
    alone = [{"role": "user", "content": text("Why?")}]
    assert rendered(made, alone) == "system: Be brief.\nuser: Hi.\nuser: Why?\n"
    own = [{"role": "system", "content": text("In French.")}, *alone]
    assert rendered(made, own) == "system: Be brief.\n\nIn French.\nuser: Hi.\nuser: Why?\n"


def test_a_system_prompt_that_is_a_string_is_joined_as_before() -> None:
    own = [{"role": "system", "content": "In French."}, {"role": "user", "content": "Why?"}]
    made = with_opening(EITHER, OPENING)
    assert rendered(made, own) == "system: Be brief.\n\nIn French.\nuser: Hi.\nuser: Why?\n"  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["chat_template.json", "processor_config.json"])
def test_a_tokenizer_without_a_template_has_that_of_its_processor(name: str, tmp_path: Path) -> None:
    tokenizer = byte_level_bpe(400)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path, owner="it").chat_template is None
    (tmp_path / name).write_text(json.dumps({"chat_template": IN_PARTS}))
    assert load_tokenizer(tmp_path, owner="it").chat_template == IN_PARTS


def test_a_template_in_a_processor_s_file_is_not_carried_over_as_it_would_hide_the_trained_one(tmp_path: Path) -> None:
    (tmp_path / "processor_config.json").write_text(json.dumps({"chat_template": "old", "image_token": "<image>"}))
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": "old"}))
    target = tmp_path / "target"
    target.mkdir()
    copy_processor(processor_files_in(tmp_path), target)
    assert json.loads((target / "processor_config.json").read_text()) == {"image_token": "<image>"}
    assert [file.name for file in target.iterdir()] == ["processor_config.json"]


def test_a_processor_that_brings_code_is_not_carried_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"auto_map": {"AutoImageProcessor": "code.It"}}))
    target = tmp_path / "target"
    target.mkdir()
    copy_processor(processor_files_in(tmp_path), target)
    assert not list(target.iterdir())
    assert "names code of the model's own" in caplog.text
