"""The plugins of a process: load each, report those that fail, refuse name clashes, locate their recipe folders."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pluggy

from luthier.errors import LuthierError, PluginError, RecipeError
from luthier.plugins import hookspecs
from luthier.plugins.blame import blamed, place_of, told
from luthier.plugins.calls import call_hook
from luthier.plugins.faults import archive_fault, entry_point_fault, hook_fault
from luthier.plugins.installed import CORE, EntryPoint, installed
from luthier.plugins.recipe_folder import beside, folder_at
from luthier.plugins.returned import as_shown
from luthier.plugins.tracing import trace_hooks

CORE_RECIPES = "pkg://luthier_recipes"


_LOADED: dict[Path, None] = {}


def loaded_recipe_folders() -> list[Path]:
    """The recipe folders of all plugins that were loaded in this process, luthier's own aside, in that order."""
    return list(_LOADED)


ONLY_TELLS = {"luthier_report", "luthier_report_sections"}  # hooks whose failure costs a line, not the run
SLOW = 1.0


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point (or `-p` module), and what became of it: `problem` is empty for one that works."""

    name: str
    module: str
    distribution: str = ""
    version: str = ""
    problem: str = ""
    off: bool = False
    seconds: float = 0.0
    heavy: bool = False  # it imported torch, which commands that only look do without

    def __str__(self) -> str:
        return f"{self.name} ({' '.join(filter(None, (self.distribution, self.version))) or self.module})"


class Plugins:
    """The plugins of this process.

    `only` (also `LUTHIER_PLUGINS=a,b`) names the entry points that may load, `extra` further modules (`-p module`),
    `without` the names that must not even be imported (`-p no:NAME`). What a plugin prints goes to stderr.
    `trace` is told of each call of a hook: whose it is, in which order, and how long it took.
    """

    def __init__(
        self,
        *,
        only: Iterable[str] | None = None,
        extra: Iterable[str] = (),
        without: Iterable[str] = (),
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self._manager = pluggy.PluginManager("luthier")
        self._manager.add_hookspecs(hookspecs)
        self._trace = trace
        self._without = set(without)
        self._only = None if only is None else set(only)
        self._folders = {"luthier": (CORE_RECIPES, folder_at(CORE_RECIPES))}
        self.known: list[Plugin] = []
        for plugin in [*map(_plugin, installed()), *_named(extra)]:
            self.known.append(self._load(plugin))
        self._refuse_unknown_names()

    @classmethod
    def from_flags(
        cls, flags: Iterable[str], environ: Mapping[str, str] = os.environ, trace: Callable[[str], None] | None = None
    ) -> Plugins:
        """Read `-p` flags and `LUTHIER_PLUGINS`; an empty variable means no plugins at all."""
        flags = list(flags)
        allowed = environ.get("LUTHIER_PLUGINS")
        return cls(
            only=None if allowed is None else [name.strip() for name in allowed.split(",") if name.strip()],
            extra=[flag for flag in flags if not flag.startswith("no:")],
            without=[flag.removeprefix("no:") for flag in flags if flag.startswith("no:")],
            trace=trace,
        )

    @property
    def broken(self) -> list[Plugin]:
        return [plugin for plugin in self.known if plugin.problem]

    def ask(
        self, hook: str, *, failed: Callable[[PluginError], None] | None = None, **given: Any
    ) -> Iterator[tuple[str, Any]]:
        """Each plugin's name and result of a hook; raises PluginError (exit 7) where one fails.

        With `failed` it is told of the failure instead, and the other plugins are asked. Where the hook only reports
        lines, the failure is reported as one.
        """
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            name = implementation.plugin_name
            try:
                answer = call_hook(implementation, hook, given)
            except PluginError as error:
                failure = PluginError(
                    f"Plugin {self.describe(name)} failed in {hook}: {error.message}",
                    hint=f"Switch it off with -p no:{name}.",
                )
                if failed is not None:
                    failed(failure)
                    continue
                if hook not in ONLY_TELLS:
                    raise failure from error.__cause__
                answer = [f"warning: {failure}"]
            if answer is not None:
                yield name, answer

    def run(self, run: Any) -> float | None:
        """Call `luthier_run`, wrappers included; an error that comes out of a plugin's own code names it (exit 7)."""
        try:
            score = self._manager.hook.luthier_run(run=run)
        except LuthierError:
            raise
        except Exception as error:
            if (failure := self._misused(error) or blamed(error)) is None:
                raise
            raise failure from error
        if score is None or isinstance(score, Real):
            return None if score is None else float(score)
        raise self._no_score(score)

    def _misused(self, error: Exception) -> PluginError | None:
        """The error of a wrapper that does not yield once, which pluggy tells by its file and line."""
        if not isinstance(error, RuntimeError) or not str(error).startswith("wrap_controller"):
            return None
        wrappers = [one for one in self._around_runs() if one.wrapper or one.hookwrapper]
        codes = [inspect.unwrap(one.function).__code__ for one in wrappers]
        at = [f"{code.co_filename}:{code.co_firstlineno} " in str(error) for code in codes]
        named = [one for one, is_told in zip(wrappers, at, strict=True) if is_told] or wrappers
        did = "yielded again" if "second yield" in str(error) else "did not yield"
        return PluginError(f"{self._places(named)} must yield once, where the run is carried out, and {did}.")

    def _no_score(self, score: Any) -> PluginError:
        """The error for something else as the score of a run; names the plugins that may have given it."""
        expected = "the score of the run, a number or None"
        return PluginError(
            f"{self._places(self._around_runs())} must return {expected}, and returned {as_shown(score)}."
        )

    def _around_runs(self) -> list[Any]:
        """The implementations of `luthier_run`, the core's only where there is no other."""
        implementations = self._manager.hook.luthier_run.get_hookimpls()
        return [one for one in implementations if one.plugin_name != CORE] or implementations

    def _places(self, implementations: Iterable[Any]) -> str:
        return " or ".join(f"{self.describe(one.plugin_name)}: {place_of(one.function)}" for one in implementations)

    def register(self, module: object, name: str) -> None:
        """Add a plugin that is at hand, such as the core's own last word on `luthier_run`."""
        self._manager.register(module, name)
        if self._trace is not None:
            trace_hooks(self._manager, name, self.describe, self._trace)

    def hooks_of(self, name: str) -> list[str]:
        """The hooks that a plugin implements."""
        plugin = self._manager.get_plugin(name)
        callers = self._manager.get_hookcallers(plugin) if plugin is not None else None
        return sorted(caller.name for caller in callers or ())

    def recipe_folders(self) -> dict[str, tuple[str, Path]]:
        """Owner -> (Hydra search path, folder), the core first."""
        return dict(self._folders)

    def describe(self, name: str) -> str:
        """A plugin with its distribution and version."""
        return next((str(plugin) for plugin in self.known if plugin.name == name), name)

    def _load(self, plugin: Plugin) -> Plugin:
        if plugin.name in self._without or (
            plugin.distribution and self._only is not None and plugin.name not in self._only
        ):
            return replace(plugin, off=True)
        self._refuse_twin(plugin)
        if plugin.problem:
            return plugin
        began, light = time.perf_counter(), "torch" not in sys.modules
        try:
            with redirect_stdout(sys.stderr):
                module = importlib.import_module(plugin.module)
            if fault := archive_fault(module) or hook_fault(module):
                raise PluginError(fault)
            self.register(module, plugin.name)
            self._manager.check_pending()
            self._folders.update(own := self._own_folder(plugin.name))
            _LOADED.update(dict.fromkeys(folder for _, folder in own.values()))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may raise anything, SystemExit too
            if self._manager.has_plugin(plugin.name):
                self._manager.unregister(name=plugin.name)
            if not plugin.distribution:
                raise _cannot_use(plugin, error) from error
            return replace(plugin, problem=told(error))
        heavy = light and "torch" in sys.modules
        return replace(plugin, seconds=time.perf_counter() - began, heavy=heavy)

    def _refuse_twin(self, plugin: Plugin) -> None:
        twin = next((other for other in self.known if other.name == plugin.name and not other.off), None)
        if twin is not None:
            raise PluginError(
                f"Two plugins call themselves {plugin.name!r}: {_whose(twin)} and {_whose(plugin)}.",
                hint="Uninstall one of them.",
            )

    def _own_folder(self, name: str) -> dict[str, tuple[str, Path]]:
        implementations = self._manager.hook.luthier_recipes.get_hookimpls()
        own = next((each for each in implementations if each.plugin_name == name), None)
        place = (
            call_hook(own, "luthier_recipes", {})
            if own is not None
            else beside(cast("ModuleType", self._manager.get_plugin(name)))
        )
        return {name: (place, folder_at(place))} if place else {}

    def _refuse_unknown_names(self) -> None:
        names = {plugin.name for plugin in self.known}
        for name in sorted((self._without | (self._only or set())) - names):
            from luthier.errors.suggestions import nearest

            raise RecipeError(f"There is no plugin {name!r}.", where=name, hint=nearest(name, names, "Installed are"))


def _whose(plugin: Plugin) -> str:
    return f"{plugin.module} of {' '.join(filter(None, (plugin.distribution, plugin.version))) or '-p'}"


def _cannot_use(plugin: Plugin, error: BaseException) -> LuthierError:
    """A module that was named with `-p` and is not there (2), or does not load (7)."""
    where = f"-p {plugin.module}"
    if isinstance(error, ModuleNotFoundError) and error.name == plugin.module.partition(".")[0]:
        hint = f"-p takes a module that Python can import here; {os.getcwd()} is searched too. Hydra's is --package."
        return RecipeError(f"There is no module {plugin.module!r}.", where=where, hint=hint)
    return PluginError(f"The module {plugin.module!r} does not load as a plugin: {told(error)}.", where=where)


def _plugin(entry: EntryPoint) -> Plugin:
    return Plugin(entry.name, entry.value, *entry.owner, entry_point_fault(entry))


def _named(modules: Iterable[str]) -> list[Plugin]:
    if modules and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last: a file of this folder must not stand in for a library
    return [Plugin(name=module, module=module) for module in modules]
