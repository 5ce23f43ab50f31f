"""Small distributions of strangers, made where they are needed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.framework.cli.conftest import Ended, here, luthier, session_cache, write
from tests.sources import forget_sources

__all__ = ["Ended", "here", "luthier", "session_cache", "write"]

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"


@pytest.fixture
def distribution(tmp_path_factory, monkeypatch) -> Callable[..., Path]:
    """Install a distribution: a module that is its plugin, and option files by path."""
    site = tmp_path_factory.mktemp("site")
    monkeypatch.syspath_prepend(str(site))
    made: list[str] = []

    def install(
        name: str,
        code: str = "",
        *,
        plugin: str = "",
        version: str = "1.0",
        answers: dict[str, str] | None = None,
        folder: str = "recipes",
        entry: str = "",
        requires: str = "",
    ) -> Path:
        module = name.replace("-", "_")
        made.append(module)
        package = site / module
        (package / folder).mkdir(parents=True)
        (package / folder / "__init__.py").touch()
        (package / "__init__.py").write_text(f"import luthier\n{code}\n", encoding="utf-8")
        for answer, text in (answers or {}).items():
            file = package / folder / f"{answer}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        info = site / f"{module}-{version}.dist-info"
        info.mkdir()
        needs = f"Requires-Dist: {requires}\n" if requires else ""
        (info / "METADATA").write_text(METADATA.format(name=name, version=version) + needs)
        (info / "entry_points.txt").write_text(f"[luthier]\n{plugin or module} = {entry or module}\n")
        return site

    forget_sources()
    yield install
    for module in list(sys.modules):
        if module.partition(".")[0] in made:
            del sys.modules[module]
