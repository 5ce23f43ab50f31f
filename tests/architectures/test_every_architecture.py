"""Every causal language model of transformers, made tiny and tried: right, or refused by a true sentence."""

from __future__ import annotations

import pytest

from tests.scripts import script

architectures = script("architectures")
WRITTEN = dict(
    line.split(" | ", 1)
    for line in architectures.PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and " | " in line
)


@pytest.mark.exhaustive
@pytest.mark.parametrize("model_type", architectures.model_types())
def test_an_architecture_is_right_or_refused_and_stands_in_the_table(model_type: str) -> None:
    found = architectures.found_of(model_type)
    assert not found.bugs
    name, cells = architectures.line(found).split(" | ", 1)
    assert WRITTEN.get(name) == cells, "run docs/generate/architectures.py"
