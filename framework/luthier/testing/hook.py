"""What every module of hooks keeps to; inherit it, and say the module.

class TestMine(HookContract):
    plugin = "mine"
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import pytest

from luthier.cli.main import main
from luthier.plugins import hookspecs
from luthier.plugins.registry import Plugins
from luthier.testing.part import brought
from luthier.testing.twin import composer


def alone(module: str) -> Plugins:
    """A plugin, and no other."""
    return Plugins(only=[], extra=[module])


def ended(module: str, *words: str) -> int:
    """The exit code of a command line with the plugin, in this process."""
    installed = any(one.module.partition(":")[0] == module for one in composer().plugins.known)
    with pytest.raises(SystemExit) as end:
        main([*(() if installed else ("-p", module)), *words])
    return int(end.value.code or 0)


class HookContract:
    """`plugin` is the module that the entry point names; `words` make a recipe that its `luthier_check` accepts."""

    plugin: ClassVar[str]
    words: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def module(cls) -> str:
        """The module, without what an entry point may say of an object in it."""
        return cls.plugin.partition(":")[0]

    def test_it_loads_without_a_problem(self) -> None:
        assert [one.problem for one in alone(self.module()).known if not one.off] == [""]

    def test_its_module_brings_no_torch(self) -> None:
        """Every command imports it."""
        assert brought(self.module()) == []

    def test_each_hook_has_a_marker_and_takes_what_it_is_given(self) -> None:
        for name, function in inspect.getmembers(import_module(self.module()), inspect.isfunction):
            if name.startswith("luthier_"):
                assert hasattr(hookspecs, name), f"there is no hook {name}"
                assert hasattr(function, "luthier_impl"), f"{name} is not marked with hookimpl"
                given = inspect.signature(getattr(hookspecs, name)).parameters
                assert set(inspect.signature(function).parameters) <= set(given), name

    def test_a_run_goes_through_with_it(self, tmp_path: Path) -> None:
        assert ended(self.module(), "debug=tiny", *self.words, f"hydra.run.dir={tmp_path / 'run'}") == 0
        assert (tmp_path / "run" / "record.json").is_file()
