"""Tests of security that a machine may lack the tools for: skipped with the reason, and never in CI."""

from __future__ import annotations

import os

import pytest

REQUIRE = "LUTHIER_REQUIRE_SANDBOX"


def refuse_required_skip(item: pytest.Item, report: pytest.TestReport) -> None:
    """A skip of a test marked `security` fails where CI or LUTHIER_REQUIRE_SANDBOX asks for all of them."""
    if report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("security") and required():
        report.outcome = "failed"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"{item.nodeid} guards against untrusted code and must not be skipped here: {reason}"


def required() -> bool:
    return any(os.environ.get(name, "").lower() in {"1", "true", "yes"} for name in (REQUIRE, "CI"))
