"""From a command line to a checked configuration: compose, say what is wrong in our own words, check names and trust.

Hydra composes; here its errors become sentences with the nearest names, also behind `+` and `++`, before anything is
loaded. The result is a plain, resolved copy: what was checked is what will be built.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException, UnsupportedInterpolationType

from luthier import signatures, trust
from luthier.catalog import Catalog
from luthier.errors import LuthierError, RecipeError, Refused
from luthier.nearest import nearest
from luthier.plugins import CORE_RECIPES, Plugins

ROOT_FILE = "config"
PARTS = ("model", "adaptation", "method", "data", "prompt", "optimizer", "trainer", "tracking", "evaluation", "batch")


@dataclass(frozen=True)
class Composer:
    """All that composing needs to know: the installed plugins, their answers, what the user vouched for."""

    plugins: Plugins
    catalog: Catalog
    vouched: tuple[str, ...] = ()
    config_dir: str | None = None

    def trusted(self) -> frozenset[str]:
        return trust.trusted_targets(self.catalog, self.plugins, self.vouched)

    def compose(self, overrides: list[str]) -> Composition:
        """Compose, check and resolve; RecipeError (2), Refused (6) or PluginError (7) where that cannot be."""
        raw = self._compose_raw(overrides)
        trust.refuse_hydra_code(raw.hydra)
        choices = dict(raw.hydra.runtime.choices)
        with _plain(raw):
            del raw["hydra"]
        return self.check(raw, choices, overrides)

    def check(self, raw: DictConfig, choices: dict[str, str], overrides: list[str]) -> Composition:
        """Refuse untrusted code and unknown or mistyped settings, then drop what a recipe says to an answer it lost."""
        resolved = _resolve(raw)
        trust.refuse_untrusted(resolved, self.trusted())
        dropped = _drop_stale(resolved, self._recipe(choices), choices)
        complaints = [str(error) for error in _complaints(resolved, self._root_keys())]
        if complaints:
            raise RecipeError("\n".join(complaints))
        config = OmegaConf.create(resolved)
        reasons = [sentence for _, sentences in self.plugins.ask("luthier_check", config=config) for sentence in sentences]
        if reasons:
            raise RecipeError("\n".join(reasons))
        answer = self.catalog.answers.get(("recipe", str(choices.get("recipe"))))
        given = answer.text if answer else ""
        return Composition(config, choices, list(overrides), dropped, given, answer.headline if answer else "")

    def _compose_raw(self, overrides: list[str]) -> DictConfig:
        from hydra import compose, initialize_config_module
        from hydra.core.global_hydra import GlobalHydra
        from hydra.errors import HydraException

        prepare_hydra(self.catalog)
        GlobalHydra.instance().clear()
        try:
            with initialize_config_module(CORE_RECIPES.removeprefix("pkg://"), version_base="1.3"):
                return compose(ROOT_FILE, overrides=[*overrides, *self._config_dir()], return_hydra_config=True)
        except (HydraException, OmegaConfBaseException) as error:
            raise self._in_our_words(error, overrides) from error

    def _config_dir(self) -> list[str]:
        return [f"hydra.searchpath=[file://{Path(self.config_dir).resolve()}]"] if self.config_dir else []

    def _in_our_words(self, error: Exception, overrides: list[str]) -> LuthierError:
        text = "\n".join(filter(None, (str(error), str(error.__cause__ or ""))))
        if found := re.search(r"Could not find '([^']+)'|Could not load '([^']+)'|In '[^']*': Could not find '([^']+)'", text):
            question, _, name = next(filter(None, found.groups())).rpartition("/")
            return self._no_such_answer(question, name)
        if found := re.search(r"Could not override '([^']+)'.*No match in the defaults list", text, re.DOTALL):
            question = found.group(1)
            return RecipeError(f"There is no question {question!r}.", hint=nearest(question, self.catalog.questions(), "There are"))
        if found := re.search(r"Could not (?:override|append to|delete from) '?([\w./@]+)'?|Key '([^']+)' (?:is )?not in", text):
            return self._no_such_key(next(filter(None, found.groups())), overrides)
        return RecipeError(" ".join(text.split()) or type(error).__name__, hint="See `luthier --help`.")

    def _no_such_answer(self, question: str, name: str) -> RecipeError:
        names = self.catalog.names(question)
        if not names:
            return RecipeError(f"There is no question {question!r}.", hint=nearest(question, self.catalog.questions(), "There are"))
        return RecipeError(f"There is no answer {name!r} to {question}.", where=question, hint=nearest(name, names, "There are"))

    def _no_such_key(self, key: str, overrides: list[str]) -> RecipeError:
        """Compare with the keys of the same composition without its value overrides."""
        questions = self.catalog.questions()
        groups = [item for item in overrides if item.lstrip("+~").partition("=")[0].partition("@")[0] in questions]
        try:
            keys = list(_keys(OmegaConf.to_container(self._compose_raw(groups), resolve=False)))
        except (LuthierError, RecursionError):
            keys = []
        known = [path for path in keys if not path.startswith("hydra.")]
        return RecipeError(f"There is no setting {key!r}.", where=key, hint=nearest(key, [*known, *questions], "There are"))

    def _recipe(self, choices: dict[str, str]) -> dict[str, Any]:
        """The recipe's own file, as it stands; empty without one."""
        answer = self.catalog.answers.get(("recipe", str(choices.get("recipe"))))
        return dict(OmegaConf.to_container(OmegaConf.load(answer.file), resolve=False)) if answer else {}  # type: ignore[arg-type]

    def _root_keys(self) -> set[str]:
        root = OmegaConf.load(self.catalog.answers[(".", ROOT_FILE)].file)
        return {*(str(key) for key in root if key not in {"defaults", "hydra"}), *PARTS}


@dataclass(frozen=True)
class Composition:
    """A checked configuration with the answers that were chosen and what was left out of the recipe."""

    config: DictConfig
    choices: dict[str, str]
    overrides: list[str]
    dropped: list[str] = field(default_factory=list)
    given: str = ""
    purpose: str = ""

    @property
    def hash(self) -> str:
        """sha256 of all settings but the run's name and whether it resumes: equal recipes have equal hashes."""
        said = {key: value for key, value in OmegaConf.to_container(self.config).items() if key not in {"name", "resume"}}  # type: ignore[union-attr]
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()

    @property
    def recipe(self) -> str:
        chosen = self.choices.get("recipe")
        return chosen if chosen and chosen != "null" else "luthier"


def prepare_hydra(catalog: Catalog) -> None:
    """Put the recipe folders on Hydra's search path and switch `oc.env` off: a recipe must not read secrets."""
    from hydra.core.config_search_path import ConfigSearchPath
    from hydra.core.plugins import Plugins as HydraPlugins
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class LuthierSearchPath(SearchPathPlugin):
        def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
            for place, owner in catalog.search_path.items():
                if place != CORE_RECIPES:
                    search_path.append(provider=owner, path=place)

    plugins = HydraPlugins.instance()
    registered = plugins.class_name_to_class
    if (old := registered.pop(f"{__name__}.LuthierSearchPath", None)) is not None:
        plugins.plugin_type_to_subclass_list[SearchPathPlugin].remove(old)
    LuthierSearchPath.__qualname__ = "LuthierSearchPath"
    plugins.register(LuthierSearchPath)
    OmegaConf.clear_resolver("oc.env")


@contextmanager
def _plain(config: DictConfig) -> Iterator[None]:
    OmegaConf.set_readonly(config, False)
    OmegaConf.set_struct(config, False)
    yield


def _resolve(config: DictConfig) -> dict[str, Any]:
    try:
        return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]
    except UnsupportedInterpolationType as error:
        if "oc.env" in str(error):
            raise Refused(
                "The recipe reads an environment variable.",
                where=str(getattr(error, "full_key", "") or ""),
                hint="Secrets come from the environment where they are used, never through a recipe.",
            ) from error
        raise RecipeError(" ".join(str(error).split())) from error
    except (InterpolationKeyError, OmegaConfBaseException) as error:
        raise RecipeError(" ".join(str(error).split())) from error


def _drop_stale(config: dict[str, Any], recipe: dict[str, Any], choices: dict[str, str]) -> list[str]:
    """Remove what the recipe says to an answer that was replaced and that the new answer does not know."""
    meant = {}
    for entry in recipe.get("defaults", []):
        if isinstance(entry, dict):
            for key, name in entry.items():
                meant[str(key).replace("override ", "").strip().lstrip("/")] = str(name)
    dropped = []
    for question, name in meant.items():
        node, said = config.get(question), recipe.get(question)
        if choices.get(question) == name or not isinstance(node, dict) or not isinstance(said, dict):
            continue
        known = signatures.signature(node["_target_"]).settings if "_target_" in node else {}
        for key in [key for key in said if key in node and key not in known]:
            del node[key]
            dropped.append(f"{question}.{key}: the recipe says it to {question}={name}, but {choices[question]} was chosen.")
    return dropped


def _complaints(config: dict[str, Any], root_keys: set[str]) -> Iterator[LuthierError]:
    for key in config:
        if key not in root_keys:
            yield RecipeError(f"There is no setting {key!r}.", where=key, hint=nearest(key, [*root_keys, *_keys(config)], "There are"))
    for path, node in _nodes(config, ""):
        if "_target_" in node:
            yield from signatures.signature(node["_target_"]).check(node, at=path)


def _nodes(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if path:
            yield path, node
        for key, value in node.items():
            yield from _nodes(value, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _nodes(value, f"{path}[{index}]")


def _keys(node: Any, path: str = "") -> Iterator[str]:
    for key, value in node.items() if isinstance(node, dict) else ():
        here = f"{path}.{key}".lstrip(".")
        if not here.split(".")[-1].startswith("_"):
            yield here
        yield from _keys(value, here)
