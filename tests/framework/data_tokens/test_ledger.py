"""The token ledger says whose each token is, what it weighs, and what is wrong."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console as Terminal

from luthier.contracts.batch import Row, TokenSequence
from luthier.data import ledger
from luthier.data.encoding import encode_continuation, encode_text
from luthier.models.templates import template
from luthier.reporting.console import Console
from luthier.reporting.token_ledger.page import page
from luthier.reporting.token_ledger.preview import say
from luthier.reporting.token_ledger.terminal import show
from tests.framework.data_tokens.tiny_tokens import byte_level, chat_row, said

HOSTILE = "Hello \x1b[31m<script>alert(1)</script>\u202e &amp; \x9b2J é😀"


def names(seen: ledger.Ledger) -> set[str]:
    return {finding.name for finding in seen.errors}


def inspected(example, tokenizer, **how) -> ledger.Ledger:
    return ledger.inspect(example, chat_row(example, tokenizer), tokenizer, **how)


def test_each_token_is_its_messages_and_a_system_prompt_of_the_templates_own_is_the_templates(tokenizer):
    seen = inspected(said("Hello", "I am well.", "Why?", "Because."), tokenizer)
    told = {}
    for entry in seen.tokens:
        told.setdefault((entry.message, entry.role), []).append(entry.text)
    assert {owner: "".join(texts) for owner, texts in told.items()} == {
        (None, "template"): "<|im_start|>system\nYou are a helpful AI assistant named Tiny<|im_end|>\n",
        (0, "user"): "<|im_start|>user\nHello<|im_end|>\n",
        (1, "assistant"): "<|im_start|>assistant\nI am well.<|im_end|>\n",
        (2, "user"): "<|im_start|>user\nWhy?<|im_end|>\n",
        (3, "assistant"): "<|im_start|>assistant\nBecause.<|im_end|>\n",
    }
    assert names(seen) == set()


def test_totals_are_by_role(tokenizer):
    example = said("Hello", "well", "Why?", "so")
    example["messages"][1]["weight"] = 0.5
    seen = inspected(example, tokenizer)
    totals = seen.totals()
    assert sum(total["tokens"] for total in totals.values()) == len(seen.tokens)
    assert totals["user"]["trained"] == 0
    trained = [entry for entry in seen.tokens if entry.weight]
    assert totals["assistant"]["trained"] == len(trained)
    assert totals["assistant"]["weight"] == sum(entry.weight for entry in trained)


def test_the_two_answers_of_a_pair_are_told_apart(tokenizer):
    pair = said(
        "Hello", chosen=[{"role": "assistant", "content": "Hi."}], rejected=[{"role": "assistant", "content": "No."}]
    )
    row = Row(tuple(encode_continuation(pair, name, tokenizer) for name in ("chosen", "rejected")))
    seen = ledger.inspect(pair, row, tokenizer)
    for number, answer in enumerate(("Hi.<|im_end|>", "No.<|im_end|>")):
        tokens = [entry for entry in seen.tokens if entry.sequence == number]
        assert "".join(entry.text for entry in tokens if entry.weight) == answer
        assert {entry.role for entry in tokens} == {"template", "user", "assistant"}


def test_text_is_nobodys_message(tokenizer):
    example = {"text": "Hello, how are you?"}
    seen = ledger.inspect(example, Row((encode_text(example, tokenizer),)), tokenizer)
    assert {(entry.message, entry.role) for entry in seen.tokens} == {(None, "text")}
    assert names(seen) == set()


def test_tokens_say_the_whole_text_even_where_they_share_a_character(tokenizer):
    seen = inspected(said("日本 😀é", "ok"), tokenizer)
    assert "日本 😀é" in "".join(entry.text for entry in seen.tokens)
    assert "\ufffd" not in "".join(entry.text for entry in seen.tokens)


def test_no_trainable_token_is_an_error(tokenizer):
    example = said("Hello", "well")
    example["messages"][1]["weight"] = 0
    assert names(inspected(example, tokenizer)) == {"no_trainable_token"}


def test_an_untrained_end_of_turn_is_an_error_and_masking_pad_by_id_is_named():
    for pad, name in (("<|im_end|>", "pad_is_end_of_turn"), ("<|endoftext|>", "untrained_end_of_turn")):
        tokenizer = byte_level(pad_token=pad)
        row = chat_row(said("Hello", "well"), tokenizer)
        (sequence,) = row.sequences
        weights = sequence.weights * (sequence.ids != tokenizer.eos_token_id)
        seen = ledger.inspect(said("Hello", "well"), Row((TokenSequence(sequence.ids, weights),)), tokenizer)
        assert names(seen) == {name}


def test_a_template_whose_marks_leave_out_the_end_of_the_turn_is_an_error():
    source = template("chatml").replace(
        "{{- '<|im_end|>' }}\n{%- endgeneration %}", "{%- endgeneration %}{{- '<|im_end|>' }}"
    )
    assert source != template("chatml")
    assert names(inspected(said("Hello", "well"), byte_level(source))) == {"pad_is_end_of_turn"}


def test_an_answer_that_no_token_ends_is_an_error():
    source = (
        "{% for m in messages %}{{ m['role'] + '\n' + m['content'] + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant\n' }}{% endif %}"
    )
    assert names(inspected(said("Hello", "well"), byte_level(source))) == {"endless_answer"}


def test_two_bos_at_the_start_are_an_error():
    source = "{{ bos_token }}" + template("chatml")
    assert names(inspected(said("Hello", "well"), byte_level(source))) == {"double_bos"}


def test_a_truncated_answer_is_an_error_and_nothing_is_said_of_its_missing_end(tokenizer):
    (sequence,) = chat_row(said("Hello", "well, well"), tokenizer).sequences
    cut = Row((TokenSequence(sequence.ids[:-3], sequence.weights[:-3]),))
    assert names(ledger.inspect(said("Hello", "well, well"), cut, tokenizer, lost=2)) == {"truncated_answer"}


def test_special_text_is_noted(tokenizer):
    seen = inspected(said("Hello <|im_end|>", "well"), tokenizer)
    assert [finding.name for finding in seen.findings if finding.name == "special_text"] == ["special_text"]
    assert names(seen) == set()


def shown(seen: ledger.Ledger, **how) -> str:
    out = io.StringIO()
    show(seen, Terminal(file=out, width=80, **how))
    return out.getvalue()


def test_the_terminal_shows_weights_without_colour_within_80_columns(tokenizer):
    text = shown(inspected(said("Hello " * 60, "well " * 60), tokenizer))
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(r"2\s+assistant\s+1\s+6\d ", text)


@pytest.mark.parametrize("every_token", [False, True])
def test_control_characters_of_the_data_are_shown_and_not_obeyed(tokenizer, every_token):
    out = io.StringIO()
    show(inspected(said(HOSTILE, "well"), tokenizer), Terminal(file=out, width=80), every_token=every_token)
    assert not {"\x1b", "\x9b", "\u202e"} & set(out.getvalue())


def test_no_color_is_honoured_on_a_terminal(tokenizer, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = shown(inspected(said("Hello", "well"), tokenizer), force_terminal=True)
    assert not re.search(r"\x1b\[[0-9;]*(3|4|10)[0-7]m", text)


def test_a_terminal_without_unicode_is_written_to(tokenizer):
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="cp1252")
    show(inspected(said("日本 😀", "well"), tokenizer), Terminal(file=out, width=80))
    out.flush()
    assert b"\\u65e5" in raw.getvalue()


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.links += [value for name, value in attributes if name in {"src", "href"}]

    def handle_data(self, data):
        self.text += data


def test_the_page_needs_nothing_else_and_what_data_says_is_inert(tokenizer):
    seen = inspected(said(HOSTILE, "well", where="<b>f</b>:1"), tokenizer)
    elements = Elements()
    elements.feed(page([seen], title="<i>title</i>"))
    assert not {"script", "b", "i"} & elements.tags
    assert elements.links == []
    assert "<script>alert(1)</script>" in elements.text
    assert not {"\x1b", "\x9b", "\u202e"} & set(elements.text)


def test_a_long_example_does_not_make_a_long_page(tokenizer):
    assert "tokens more" in page([inspected(said("4 " * 5000, "well"), tokenizer)])


def test_scripts_get_json_and_an_error_is_told_by_the_exit_code(tokenizer, capsys, tmp_path):
    fine, silent = said("Hello", "well"), said("Hello", "well")
    silent["messages"][1]["weight"] = 0
    assert say([inspected(fine, tokenizer)], Console(as_json=True)) == 0
    written = json.loads(capsys.readouterr().out)
    assert written[0]["totals"]["assistant"]["trained"] > 0
    assert {"id", "text", "message", "role", "weight"} <= set(written[0]["tokens"][0])
    assert say([inspected(silent, tokenizer)], Console(), html=tmp_path / "ledger.html") == 3
    assert "No token is trained" in capsys.readouterr().out
    assert "No token is trained" in (tmp_path / "ledger.html").read_text(encoding="utf-8")
