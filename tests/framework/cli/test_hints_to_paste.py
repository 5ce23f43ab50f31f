"""The hint of an error works when it is pasted into a shell, and shows values as they were typed."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.config import command_line
from luthier.errors.pasting import setting_to_paste

ROOT = Path(__file__).parents[3]
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12).filter(lambda text: "${" not in text)
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,5}", fullmatch=True).filter(
    lambda key: key.lower() not in {"true", "false", "null", "none", "nan", "inf", "yes", "no", "on", "off"}
)
VALUES = st.recursive(
    TEXT | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)


def plain(value):
    """Hydra's value without its marks of quotes."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return str(value) if hasattr(value, "with_quotes") else value


@given(value=VALUES)
def test_a_setting_means_the_same_when_it_is_pasted(value):
    (word,) = shlex.split(setting_to_paste("data.some.setting", value))
    (read,) = command_line.read([word])
    assert read.key == "data.some.setting"
    assert plain(read.override.value()) == value


def test_a_mapping_that_hydra_cannot_write_is_given_as_it_stands_in_a_file():
    hint = setting_to_paste("data.rename", {"größe": "prompt"})
    assert hint == 'in a recipe file, rename: {"größe": "prompt"} under data'


def sentences():
    """(place, text) of every text in our own code but docstrings; `X` stands for what is filled in."""
    for folder in ("framework", "plugins"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
            parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
            docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
            for node in nodes:
                if isinstance(node, ast.JoinedStr):
                    texts = [part.value if isinstance(part, ast.Constant) else "X" for part in node.values]
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", "".join(map(str, texts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts | docs:
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", node.value


def test_every_sentence_quotes_lists_and_mappings_for_a_shell():
    setting = re.compile(r"(?<= )[+]?[a-z_][\w./@]*=[\[{;\"(]")
    found = [(place, text) for place, text in sentences() if setting.search(text)]
    assert len(list(sentences())) > 5000
    assert not found


@pytest.mark.parametrize("typed", ["1e3", "true", "1.50", "12"])
def test_a_value_that_is_no_text_is_shown_as_it_was_typed_and_works_when_pasted(luthier, typed):
    end = luthier("plan", "debug=tiny", f"name={typed}", "--json")
    assert end.code == 2
    (word,) = [word for word in shlex.split(end.error["hint"].rstrip(".")) if "=" in word]
    (read,) = command_line.read([word])
    assert plain(read.override.value()) == typed
    assert luthier("plan", "debug=tiny", word).code == 0


def test_a_value_with_special_signs_is_shown_quoted(luthier, write):
    write("a;b.jsonl", json.dumps({"prompt": "a", "completion": "b"}) + "\n")
    end = luthier("preview", "debug=tiny", "data=jsonl", "data.file=a;b.jsonl", "--json")
    word = end.error["hint"].removeprefix("Put a value with special signs into quotes: ").removesuffix(".")
    assert shlex.split(word) == ['data.file="a;b.jsonl"']
    assert luthier("preview", "debug=tiny", "data=jsonl", "data/format=auto", *shlex.split(word)).code == 0
