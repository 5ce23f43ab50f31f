"""Settings of a chat template become part of it, and only those that it reads."""

from __future__ import annotations

import pytest
from transformers import AutoTokenizer

from luthier.errors import RecipeError
from luthier.models.bpe import byte_level_bpe
from luthier.models.template_settings import apply_template_settings, template_variables
from tests.framework.data_tokens.real_templates import source

ASKED = [{"role": "user", "content": "Hello"}]


def made(template: str | dict):
    tokenizer = byte_level_bpe(400)
    tokenizer.chat_template = template
    return tokenizer


def rendered(tokenizer, **given) -> str:
    return tokenizer.apply_chat_template(ASKED, tokenize=False, add_generation_prompt=True, **given)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("qwen3", {"enable_thinking": False}),
        ("gpt_oss", {"reasoning_effort": "high", "model_identity": 'I am "T".\nHi.'}),
        ("llama3_1", {"date_string": "1 Jan 2026"}),
        ("gemma4", {"enable_thinking": True}),
        ("deepseek_v3_1", {"thinking": True}),
    ],
)
def test_what_is_saved_renders_without_settings_what_it_rendered_with_them(name, settings, tmp_path):
    plain, set_ = made(source(name)), made(source(name))
    apply_template_settings(set_, settings)
    set_.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert rendered(loaded) == rendered(plain, **settings) != rendered(plain)


def test_a_setting_is_a_default_that_a_server_may_change(tmp_path):
    tokenizer = made(source("gpt_oss"))
    apply_template_settings(tokenizer, {"reasoning_effort": "high"})
    assert "Reasoning: high" in rendered(tokenizer)
    assert "Reasoning: low" in rendered(tokenizer, reasoning_effort="low")


def test_settings_of_an_earlier_run_give_way_to_new_ones():
    tokenizer = made(source("gpt_oss"))
    for effort in ("high", "low"):
        apply_template_settings(tokenizer, {"reasoning_effort": effort})
    assert "Reasoning: low" in rendered(tokenizer)


@pytest.mark.parametrize(
    "value", [None, True, False, 3, -1.5, "", 'a "b" \\ \n{{ c }} %} é 😀', [1, "two", None], {"a b": [True], "é": {}}]
)
def test_every_value_arrives_as_it_is(value):
    tokenizer = made("{{ thing | tojson }}")
    apply_template_settings(tokenizer, {"thing": value})
    other = made("{{ thing | tojson }}")
    assert rendered(tokenizer) == rendered(other, thing=value)


def test_each_of_several_templates_gets_the_settings_that_it_reads():
    tokenizer = made({"default": "{{ one }}", "tool_use": "{{ two }}{{ one }}"})
    apply_template_settings(tokenizer, {"one": 1, "two": 2})
    assert rendered(tokenizer, chat_template="default") == "1"
    assert rendered(tokenizer, chat_template="tool_use") == "21"
    assert "two" not in tokenizer.chat_template["default"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"enable_thinkin": False}, "enable_thinking"),
        ({"messages": []}, "set for each conversation"),
        ({"add_generation_prompt": True}, "set for each conversation"),
        ({"eos_token": "x"}, "set for each conversation"),
        ({"enable_thinking": object()}, "cannot hold"),
        ({"enable_thinking": float("nan")}, "cannot hold"),
    ],
)
def test_what_the_template_does_not_read_or_cannot_hold_is_refused(settings, says):
    with pytest.raises(RecipeError) as caught:
        apply_template_settings(made(source("qwen3")), settings)
    assert says in str(caught.value)
    assert caught.value.where.startswith("model.template_settings.")


def test_a_tokenizer_without_a_template_has_nothing_to_set():
    with pytest.raises(RecipeError, match="no chat template"):
        apply_template_settings(made(None), {"enable_thinking": True})
    assert apply_template_settings(made(None), {}) == []


def test_variables_are_found_in_templates_with_marks():
    assert "mode" in template_variables("{% generation %}{{ mode }}{% endgeneration %}")
