"""A few lines of a recipe can ask for gigabytes; they are refused in bounded time and memory."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from luthier.errors import RecipeError
from luthier.models.random import Random

HEAD = "# @package _global_\n# Hostile.\n"


def aliases(levels: int, fan: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * fan)}]" for n in range(1, levels)]
    return "\n".join(lines)


def merges(levels: int) -> str:
    lines = ["a0: &a0 {x0: 1, y0: 2}"]
    lines += [f"a{n}: &a{n} {{p{n}: *a{n - 1}, q{n}: *a{n - 1}, <<: *a{n - 1}}}" for n in range(1, levels)]
    return "\n".join(lines)


def doubling(levels: int) -> str:
    return "\n".join(["b0: xxxxxxxxxxxxxxxx", *(f"b{n}: '${{b{n - 1}}}${{b{n - 1}}}'" for n in range(1, levels))])


def nodes(levels: int) -> str:
    lines = ["b0: {x: 1, y: 2}"]
    return "\n".join([*lines, *(f"b{n}: {{l: '${{b{n - 1}}}', r: '${{b{n - 1}}}'}}" for n in range(1, levels))])


def relative(levels: int) -> str:
    inner = [f"b{n}: '${{.b{n - 1}}}${{.b{n - 1}}}${{.b{n - 1}}}'" for n in range(1, levels)]
    return "deep:\n  b0: xxxxxxxx\n  " + "\n  ".join(inner)


def selected(levels: int) -> str:
    one = "${oc.select:c%d}"
    return "\n".join(["c0: xxxxxxxxxxxxxxxx", *(f"c{n}: '{one % (n - 1) * 4}'" for n in range(1, levels))])


BOMBS = {
    "aliases of aliases": aliases(9, 9),
    "merge keys of aliases": merges(40),
    "an alias inside itself": "a: &a [*a]",
    "lists in lists": "a: " + "[" * 3000 + "]" * 3000,
    "mappings in mappings": "a: " + "{b: " * 500 + "1" + "}" * 500,
    "a file of a megabyte": "a: " + "x" * 1_000_000,
    "a hundred thousand values": "a: [" + "1," * 60_000 + "1]",
    "doubling text": doubling(40),
    "doubling mappings": nodes(40),
    "tripling from beside": relative(30),
    "doubling through a resolver": selected(30),
    "an interpolation inside another": "a: b\nb: '${${a}}'",
    "a chain without end": "\n".join(f"c{n}: '${{c{n + 1}}}'" for n in range(500)),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_would_unfold_to_gigabytes_is_refused_at_once(bomb, luthier, write):
    write("recipes/recipe/bomb.yaml", f"{HEAD}{BOMBS[bomb]}\n")
    luthier("--version")
    tracemalloc.start()
    began = time.process_time()
    end = luthier("recipe=bomb", "--json")
    seconds, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert end.code == 6, end.err
    assert seconds < 5, "with memory tracing on, which makes it several times slower"
    assert peak < 200_000_000


def test_a_reference_that_leads_back_to_itself_is_named(luthier, write):
    write("recipes/recipe/loop.yaml", f"{HEAD}score: ${{name}}\nname: ${{score}}\n")
    end = luthier("recipe=loop", "--json")
    assert end.code == 2
    assert "leads back to itself" in end.error["message"]


def test_two_values_for_one_key_are_named_with_their_line(luthier, write):
    file = write("recipes/recipe/twice.yaml", f"{HEAD}seed: 1\nseed: 2\n")
    end = luthier("recipe=twice", "--json")
    assert end.code == 2
    assert "seed" in end.error["message"]
    assert end.error["where"].startswith(f"{file}:4") or end.error["where"].startswith("recipes/recipe/twice.yaml:4")


def test_a_recipe_that_is_no_yaml_is_named_with_line_and_column(luthier, write):
    write("recipes/recipe/broken.yaml", f"{HEAD}seed: [1, 2\nname: x\n")
    end = luthier("recipe=broken", "--json")
    assert end.code == 2
    assert "broken.yaml:4:" in end.error["where"]


def test_a_recipe_in_another_encoding_is_named(luthier, write):
    write("recipes/recipe/latin.yaml", HEAD).write_bytes(HEAD.encode() + b"name: caf\xe9\n")
    end = luthier("recipe=latin", "--json")
    assert end.code == 2
    assert "UTF-8" in end.error["message"]


def test_a_recipe_that_is_a_device_is_refused(luthier, write, here):
    write("recipes/recipe/good.yaml", f"{HEAD}seed: 1\n")
    (here / "recipes/recipe/endless.yaml").symlink_to("/dev/zero")
    assert luthier("recipe=endless").code in {2, 6}
    assert luthier("recipes").code == 0


def test_ordinary_references_stay_allowed(luthier, write):
    write("recipes/recipe/mine.yaml", f"{HEAD}seed: 7\nname: mine-${{seed}}\nmodel: {{seed: '${{seed}}'}}\n")
    end = luthier("recipe=mine", "--cfg", "job", "--json")
    assert end.code == 0, end.err
    assert end.record["name"] == "mine-7"
    assert end.record["model"]["seed"] == 7


def test_an_escaped_reference_stays_text(luthier, write):
    write("recipes/recipe/mine.yaml", HEAD + "score: '\\${seed}'\n")
    end = luthier("recipe=mine", "--cfg", "job", "--json")
    assert end.code == 0, end.err
    assert end.record["score"] == "${seed}"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("model.config.num_hidden_layers", 1_000_000), ("model.config.num_hidden_layers", 10**15),
        ("model.config.hidden_size", 10**9), ("model.config.max_position_embeddings", 10**18),
        ("model.vocabulary", 10**11), ("model.vocabulary", 0), ("model.config.num_hidden_layers", -3),
    ],
)  # fmt: skip
def test_sizes_beyond_any_network_are_refused_by_a_sentence_that_names_them(setting, value):
    at = time.monotonic()
    words = {"vocabulary": 300, "config": {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}}
    *inner, last = setting.split(".")[1:]
    (words["config"] if inner else words)[last] = value
    with pytest.raises(RecipeError) as caught:
        _ = Random(**words).config
    assert last in caught.value.message or caught.value.message.startswith("model.config states")
    assert time.monotonic() - at < 30
