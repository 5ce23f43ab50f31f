"""luthier as pip installs it: its wheel, and an environment that has it and nothing of the checkout."""

from __future__ import annotations

import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.hidden import hide, of_extras

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv of its own with the wheel; the dependencies are those of the tests but for the extras, by a path file."""
    folder = fresh(tmp_path_factory.mktemp("elsewhere"), wheel)
    hide(of_extras(), packages(folder))
    return folder


def fresh(folder: Path, wheel: Path) -> Path:
    """A venv in the folder that has luthier from its wheel, and the dependencies of the tests by a path file."""
    venv.create(folder / "venv", with_pip=False)
    install(folder, wheel)
    # path files in there are not followed, so the checkout is not found
    (packages(folder) / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return folder


def install(folder: Path, wheel: Path) -> None:
    python = folder / "venv" / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)


def packages(folder: Path) -> Path:
    return next((folder / "venv" / "lib").glob("python*/site-packages"))
