"""A pipeline of two steps in an empty working folder."""

from __future__ import annotations

import pytest

from tests.framework.cli.conftest import here, luthier, session_cache, write  # noqa: F401

TWO = """\
# Teach, and teach again from there.   luthier pipeline=two
steps:
  read:
    - recipe=demo
    - optimizer.lr=1e-3
  answer:
    - recipe=demo
    - adaptation=lora
    - model=run
    - model.path=${steps.read}
    - data.limit=500
"""


@pytest.fixture
def two(write):  # noqa: F811
    return write("recipes/pipeline/two.yaml", TWO)
