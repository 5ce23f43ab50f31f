"""A package with a part of each kind, as `luthier new-plugin` writes it, built and unpacked as pip does."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from luthier.workflows.new_plugin.kinds import KINDS
from luthier.workflows.new_plugin.names import Names
from luthier.workflows.new_plugin.writing import write
from tests.framework.cli.conftest import Ended, here, luthier, session_cache

__all__ = ["Ended", "here", "luthier", "session_cache"]


@pytest.fixture(scope="session")
def generated(tmp_path_factory) -> Path:
    """The folder of the package `acme`."""
    folder = tmp_path_factory.mktemp("generated") / "acme"
    write(Names.of("acme"), KINDS, folder)
    return folder


@pytest.fixture(scope="session")
def unpacked(generated, tmp_path_factory) -> Path:
    """A folder of installed packages with `acme` in it; tests copy it before they break it."""
    dist, site = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist)]
    subprocess.run(command, cwd=generated, check=True, capture_output=True)
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    return site
