"""Find plugins one by one, skip and name the broken, refuse clashes, and know where their recipe folders are."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pluggy

from luthier import hookspecs
from luthier.errors import LuthierError, PluginError, RecipeError

CORE_RECIPES = "pkg://luthier_recipes"


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point (or `-p` module), and what became of it: `problem` is empty for one that works."""

    name: str
    module: str
    distribution: str = ""
    version: str = ""
    problem: str = ""
    off: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({' '.join(filter(None, (self.distribution, self.version))) or self.module})"


class Plugins:
    """The plugins of this process.

    `only` (also `LUTHIER_PLUGINS=a,b`) names the entry points that may load, `extra` further modules (`-p module`),
    `without` the names that must not even be imported (`-p no:NAME`).
    """

    def __init__(
        self, *, only: Iterable[str] | None = None, extra: Iterable[str] = (), without: Iterable[str] = ()
    ) -> None:
        self._manager = pluggy.PluginManager("luthier")
        self._manager.add_hookspecs(hookspecs)
        self._without = set(without)
        self._only = None if only is None else set(only)
        self.known: list[Plugin] = [self._load(plugin) for plugin in [*_installed(), *_named(extra)]]
        self._refuse_unknown_names()

    @classmethod
    def from_flags(cls, flags: Iterable[str], environ: Mapping[str, str] = os.environ) -> Plugins:
        """Read `-p` flags and `LUTHIER_PLUGINS`; an empty variable means no plugins at all."""
        flags = list(flags)
        allowed = environ.get("LUTHIER_PLUGINS")
        return cls(
            only=None if allowed is None else [name.strip() for name in allowed.split(",") if name.strip()],
            extra=[flag for flag in flags if not flag.startswith("no:")],
            without=[flag.removeprefix("no:") for flag in flags if flag.startswith("no:")],
        )

    @property
    def broken(self) -> list[Plugin]:
        return [plugin for plugin in self.known if plugin.problem]

    def ask(self, hook: str, **given: Any) -> Iterator[tuple[str, Any]]:
        """Each plugin's own answer to a hook, with its name; a plugin that fails is named (exit 7)."""
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            name = implementation.plugin_name
            arguments = {key: given[key] for key in implementation.argnames}
            try:
                answer = implementation.function(**arguments)
                answer = answer if answer is None or isinstance(answer, str) else list(answer)
            except Exception as error:
                raise PluginError(
                    f"Plugin {self._describe(name)} failed in {hook}: {type(error).__name__}: {error}.",
                    hint=f"Switch it off with -p no:{name}.",
                ) from error
            if answer is not None:
                yield name, answer

    def run(self, run: Any) -> float | None:
        """Call `luthier_run`, wrappers included."""
        score: float | None = self._manager.hook.luthier_run(run=run)
        return score

    def register(self, module: object, name: str) -> None:
        """Add a plugin that is at hand, such as the core's own last word on `luthier_run`."""
        self._manager.register(module, name)

    def hooks_of(self, name: str) -> list[str]:
        """The hooks that a plugin implements."""
        plugin = self._manager.get_plugin(name)
        callers = self._manager.get_hookcallers(plugin) if plugin is not None else None
        return sorted(caller.name for caller in callers or ())

    def recipe_folders(self) -> dict[str, tuple[str, Path]]:
        """Owner -> (Hydra search path, folder), the core first."""
        places = [("luthier", CORE_RECIPES), *self.ask("luthier_recipes")]
        return {owner: (place, _folder(owner, place)) for owner, place in places}

    def _describe(self, name: str) -> str:
        return next((str(plugin) for plugin in self.known if plugin.name == name), name)

    def _load(self, plugin: Plugin) -> Plugin:
        if plugin.name in self._without or (
            plugin.distribution and self._only is not None and plugin.name not in self._only
        ):
            return _with(plugin, off=True)
        twin = next((other for other in getattr(self, "known", ()) if other.name == plugin.name), None)
        if twin or self._manager.has_plugin(plugin.name):
            raise PluginError(
                f"Two plugins call themselves {plugin.name!r}: {plugin.module} of {plugin.distribution or '-p'} and "
                f"{self._manager.get_plugin(plugin.name)}.",
                hint="Uninstall one of them.",
            )
        try:
            self._manager.register(importlib.import_module(plugin.module), plugin.name)
            self._manager.check_pending()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may raise anything, SystemExit too
            if self._manager.has_plugin(plugin.name):
                self._manager.unregister(name=plugin.name)
            problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
            if not plugin.distribution:
                raise _cannot_use(plugin, error, problem) from error
            return _with(plugin, problem=problem)
        return plugin

    def _refuse_unknown_names(self) -> None:
        names = {plugin.name for plugin in self.known}
        for name in sorted((self._without | (self._only or set())) - names):
            from luthier.nearest import nearest

            raise RecipeError(f"There is no plugin {name!r}.", where=name, hint=nearest(name, names, "Installed are"))


def _cannot_use(plugin: Plugin, error: BaseException, problem: str) -> LuthierError:
    """A module that was named with `-p` and is not there (2), or does not load (7)."""
    if isinstance(error, ModuleNotFoundError) and error.name == plugin.module.partition(".")[0]:
        hint = f"-p takes a module that Python can import here; {os.getcwd()} is searched too."
        return RecipeError(f"There is no module {plugin.module!r}.", where=f"-p {plugin.module}", hint=hint)
    return PluginError(
        f"The module {plugin.module!r} does not load as a plugin: {problem}.", where=f"-p {plugin.module}"
    )


def _installed() -> list[Plugin]:
    found = metadata.entry_points(group="luthier")
    return [
        Plugin(entry.name, entry.value, entry.dist.name if entry.dist else "", entry.dist.version if entry.dist else "")
        for entry in sorted(found, key=lambda entry: (entry.name, entry.value))
    ]


def _named(modules: Iterable[str]) -> list[Plugin]:
    if modules and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last: a file of this folder must not stand in for a library
    return [Plugin(name=module, module=module) for module in modules]


def _with(plugin: Plugin, *, problem: str = "", off: bool = False) -> Plugin:
    return Plugin(plugin.name, plugin.module, plugin.distribution, plugin.version, problem, off)


def _folder(owner: str, place: str) -> Path:
    package = place.removeprefix("pkg://")
    try:
        module = importlib.import_module(package)
        return Path(next(iter(module.__path__)))
    except (ImportError, AttributeError, StopIteration) as error:
        raise PluginError(
            f"Plugin {owner} names {place!r} as its recipe folder, but that is not a package: {error}.",
            hint="Put an __init__.py into the folder and include it in the distribution.",
        ) from error
