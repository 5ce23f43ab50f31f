"""What is installed as a link to its source is checked as what it is, and nothing that is right is called a fault."""

from __future__ import annotations

import json

import pytest

from tests.framework.plugins.conftest import distribution, here, luthier, session_cache, write

__all__ = ["distribution", "here", "luthier", "session_cache", "write"]

CODE = """
from enum import Enum
from shop_tables import WIDTHS
import shop_absent_at_all

class Side(Enum):
    LEFT = "left-hand"
    RIGHT = "right-hand"

class It:
    def __init__(self, *, side: Side = Side.LEFT, other: Side | None = Side.RIGHT, widths: int = 1): ...
    def __call__(self, prompt, answers, example): return [1.0 for _ in answers]
"""
FILE = "\ufeff# It.\n_target_: shop_links.parts.It\nside: left-hand\nother: RIGHT\nwidths: 1\n"


@pytest.fixture
def findings(luthier, distribution):
    site = distribution("shop-links", answers={"method/reward/it": FILE}, requires="luthier>=0.1")
    (site / "shop_links" / "__init__.py").write_text("")
    (site / "shop_links" / "parts.py").write_text(CODE)
    (site / "shop_tables.py").write_text("WIDTHS = [1, 2]\n")
    (site / "shop_links-1.0.dist-info" / "direct_url.json").write_text(json.dumps({"dir_info": {"editable": True}}))
    end = luthier("plugin-check", "shop-links", "--no-twins", "--json")
    assert end.code == 7, end.err
    return [one["message"] for one in end.record["findings"] if one["state"] == "failed"]


def test_only_what_is_wrong_is_a_fault(findings):
    """A member of an Enum by its value, a byte order mark, and a module that lies beside its package are right."""
    assert findings == ["It imports shop_absent_at_all, and no requirement of shop-links names shop-absent-at-all."]
