"""What `luthier new-plugin` writes can be built, installed where nothing else is, and passes its own tests there."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from luthier.workflows.new_plugin.kinds import KINDS
from tests.packaging.conftest import fresh, install

QUICK = ("reader", "metric", "reward", "verb")
"""Kinds whose suites train nothing or little; the others are exhaustive, as the same suites run for our own parts."""
SECONDS = 30.0  # of computing, importing torch included; 16 to 24 for an adaptation, whose two ranks import it again


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fresh(tmp_path_factory.mktemp("author"), wheel)


ALONE = ("method", "adaptation", "source")
"""Kinds of which a package has no other."""


def in_environment(folder: Path, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environ |= {"LUTHIER_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    words = [str(folder / "venv" / "bin" / command[0]), *command[1:]]
    return subprocess.run(words, cwd=cwd, env=environ, capture_output=True, text=True, timeout=1200, check=False)


def generated(folder: Path, name: str, *kinds: str) -> Path:
    """The folder of a new package, its wheel installed."""
    words = [word for kind in kinds for word in ("--kind", kind)]
    done = in_environment(folder, "luthier", "new-plugin", name, *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"]
    subprocess.run(build, cwd=folder / name, check=True, capture_output=True)
    install(folder, next((folder / name / "dist").glob("*.whl")))
    return folder / name


def assert_passes(folder: Path, package: Path, *files: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = in_environment(folder, "python", "-m", "pytest", "-p", "no:cacheprovider", *files, cwd=package)
    assert done.returncode == 0, done.stdout
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < SECONDS * max(len(files), 1)


def test_a_package_of_all_kinds_is_installed_and_passes(environment: Path) -> None:
    package = generated(environment, "acme-all", *(kind.name for kind in KINDS))
    done = in_environment(environment, "luthier", "plugin-check", "acme-all", "--no-twins", "--json", cwd=environment)
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    assert "skipped" not in report["counts"]
    assert_passes(environment, package, *(f"tests/test_{kind}.py" for kind in QUICK))


@pytest.mark.exhaustive
def test_a_package_of_all_kinds_passes_all_its_tests(environment: Path) -> None:
    package = generated(environment, "acme-every", *(kind.name for kind in KINDS))
    assert_passes(
        environment, package, *sorted(str(file.relative_to(package)) for file in package.glob("tests/test_*.py"))
    )


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", ALONE)
def test_a_package_of_one_kind_passes_its_tests(kind: str, environment: Path) -> None:
    assert_passes(environment, generated(environment, f"acme-{kind}", kind))
