"""The config loader through which Hydra reads every recipe, here or in a sweep, with the checks that guard it.

Hydra composes more than once (ahead of a run, for the run, for each job of a sweep), and before luthier's own code sees
the result it has set up logging, callbacks, launcher and sweeper from it. So what concerns Hydra's own section is
checked where all of these come by: in the loader.
"""

from __future__ import annotations

import re
from copy import copy, deepcopy
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.utils import create_config_search_path
from hydra.core.object_type import ObjectType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from luthier.config import bounds, command_line, replaced, trust
from luthier.config.catalog import USER, Catalog, CatalogAnswer
from luthier.config.names import refuse_bad_name
from luthier.config.renamed_settings import rename_in
from luthier.config.renamed_words import current_words
from luthier.config.signatures import signature
from luthier.config.type_hints import Part
from luthier.errors import Refused
from luthier.plugins.registry import CORE_RECIPES
from luthier.plugins.renamed import current_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hydra._internal.config_repository import IConfigRepository
    from hydra._internal.defaults_list import DefaultsList
    from hydra.core.config_search_path import ConfigSearchPath
    from hydra.core.default_element import ResultDefault
    from hydra.plugins.config_source import ConfigResult, ConfigSource

    from luthier.config.settings import Signature


class GuardedConfigLoader(ConfigLoaderImpl):
    """Hydra's loader over the recipe folders of a catalog; Refused (exit 6) where a recipe reaches for code."""

    def __init__(self, catalog: Catalog, trusted: Callable[[], frozenset[str]] = frozenset) -> None:
        self.trusted = trusted
        super().__init__(_search_path(catalog))
        self._composed: DictConfig | None = None
        self._looked_at: tuple[list[str], DictConfig] | None = None
        self.renamed: list[str] = []
        """A sentence for each old name in what was composed last."""
        self.repository = self._guarded = _GuardedRepository(self.config_search_path, catalog)
        OmegaConf.clear_resolver("oc.env")  # a recipe must not read secrets

    def hand_over(self, composed: DictConfig) -> None:
        """Give Hydra this configuration when it asks for the next one, so that a run is composed once."""
        self._composed = composed

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        if self._composed is not None:
            composed, self._composed = self._composed, None
            return composed
        for override in overrides:
            if override.lstrip("+~").partition("=")[0].strip() == "hydra.searchpath":
                raise Refused(
                    "hydra.searchpath would take recipes from anywhere.", where=override, hint="Use --config-dir DIR."
                )
        self._guarded.read_overrides(overrides)
        overrides, notes = self.current(config_name, overrides)
        words = [_extensible(override) for override in overrides]
        while True:
            try:
                config = super().load_configuration(config_name, words, run_mode, from_shell, validate_sweep_overrides)
                break
            except Exception as error:  # Hydra raises ConfigCompositionException and others
                words = self._with_new_key(config_name, words, error)
        plain, renamed = rename_in(config)
        self.renamed = [*notes, *renamed]
        trust.refuse_hydra_code(config.hydra)
        trust.refuse_secrets(plain)
        bounds.refuse_growing({key: value for key, value in plain.items() if key != "hydra"})
        if "name" in plain:
            refuse_bad_name(str(config.name), where="name")
        return config

    def current(self, config_name: str | None, overrides: Sequence[str]) -> tuple[list[str], list[str]]:
        """The overrides under the names of now, and a sentence for each old one."""
        catalog = self._guarded.catalog

        def composed(plain: Sequence[str]) -> Any:
            first = command_line.first_jobs(command_line.read(_answers(list(plain)), catalog))[0]
            try:
                return OmegaConf.to_container(self.without_checks(config_name, first), resolve=False)
            except Exception:  # the composition of all words tells it
                return {}

        return current_words(command_line.read(overrides, catalog), composed)

    def _with_new_key(self, config_name: str | None, words: list[str], error: Exception) -> list[str]:
        """The overrides with `++` before the one that Hydra refused; raises unless the signature of its part takes it.

        Hydra knows the settings that an option file lists; a part's signature knows the others.
        """
        refused = _REFUSED.search(f"{error}\n{error.__cause__ or ''}")
        key = refused[1] if refused else ""
        index = next((place for place, word in enumerate(words) if word.startswith(f"{key}=")), None)
        if not key or index is None:
            raise error
        before = self.without_checks(config_name, [*words[:index], *_answers(words[index:])])
        around, _, name = key.rpartition(".")
        node = OmegaConf.select(before, around) if around else None
        if around and (node is None or "_target_" not in node):  # an entry of a mapping
            around, _, name = around.rpartition(".")
            node = OmegaConf.select(before, around) if around else None
        target = node.get("_target_") if isinstance(node, DictConfig) else None
        if target not in self.trusted() or not _takes(signature(str(target)), name, key == f"{around}.{name}"):
            raise error
        return [*words[:index], f"++{words[index]}", *words[index + 1 :]]

    def without_checks(self, config_name: str | None, words: list[str]) -> DictConfig:
        """What Hydra composes of the words, for a message or a signature; the last one is kept for the next call."""
        if self._looked_at is None or self._looked_at[0] != words:
            self._looked_at = words, super().load_configuration(config_name, words, RunMode.RUN)
            rename_in(self._looked_at[1])
        return self._looked_at[1]

    def compute_defaults_list(self, config_name: str | None, overrides: list[str], run_mode: RunMode) -> DefaultsList:
        self._guarded.read_overrides(overrides)
        return super().compute_defaults_list(config_name, overrides, run_mode)

    def _load_single_config(self, default: ResultDefault, repo: IConfigRepository) -> ConfigResult:
        loaded = super()._load_single_config(default, repo)
        if loaded.provider == USER and isinstance(loaded.config, DictConfig):
            trust.refuse_hydra_settings(loaded.config, where=str(default.config_path))
        return loaded


class _GuardedRepository(ConfigRepository):
    """Hydra's files by name: each name is looked at first, and so is each file of a folder that is the user's own.

    Of the questions of a recipe and of `debug`, those that `replaced` answers do not ask are left out; those that the
    `preset` of `debug` answers have its answer at every place that they are asked for.
    """

    def __init__(self, search_path: ConfigSearchPath, catalog: Catalog) -> None:
        super().__init__(search_path)
        self.catalog = catalog
        self.chosen: dict[str, str] = {}
        self.replaced: dict[str, str] = {}
        self.preset: dict[str, str] = {}
        self._only: ConfigSource | None = None
        self._files: dict[str, ConfigResult | None] = {}
        """What was read, by name: an error, an old name or a run's name has the same files composed once more."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _GuardedRepository:
        """The copy that Hydra makes for each composition; it replaces the list of sources and changes nothing else."""
        return copy(self)

    def read_overrides(self, overrides: list[str]) -> None:
        """Take from the overrides which answers of the recipes they replace."""
        words = command_line.read(overrides)
        self.preset = replaced.preset(words, self.catalog)
        self.chosen = replaced.replaced_answers(words, self.catalog)
        self.replaced = self.preset | self.chosen

    def _find_object_source(self, config_path: str, object_type: ObjectType | None) -> ConfigSource | None:
        if config_path:
            refuse_bad_name(config_path)
        return self._only or super()._find_object_source(current_answer(config_path), object_type)

    def load_config(self, config_path: str) -> ConfigResult | None:
        config_path = current_answer(config_path)
        if config_path not in self._files:
            self._files[config_path] = self._read(config_path)
        loaded = deepcopy(self._files[config_path])
        if loaded is not None and loaded.defaults_list and config_path.startswith(("recipe/", "debug/")):
            entries = replaced.without_lost_questions(loaded.defaults_list, self.replaced, self.catalog)
            if config_path.startswith("debug/"):
                entries = replaced.without_questions_below(entries, self.chosen, self.preset)
            loaded.defaults_list = replaced.everywhere(entries, self.preset)
        return loaded

    def _read(self, config_path: str) -> ConfigResult | None:
        question, _, name = config_path.rpartition("/")
        name = name.removesuffix(".yaml")
        self.catalog.refuse_claimed(question, name)
        answer = self.catalog.answers.get((question, name))
        if answer is None or name == answer.file.stem:
            return self._of_answer(config_path, answer)
        self._only = self._source_of(answer)  # the qualified name of an answer that several give
        try:
            return self._of_answer(f"{question}/{answer.file.stem}", answer)
        finally:
            self._only = None

    def _of_answer(self, config_path: str, answer: CatalogAnswer | None) -> ConfigResult | None:
        """What an option file says; the fault of its file where that cannot be composed."""
        source = self._find_object_source(config_path, ObjectType.CONFIG)
        if source is not None and source.provider == USER:
            bounds.refuse_unbounded_file(Path(source.path, source._normalize_file_name(config_path)))
        if source is not None and answer is not None:
            _ = answer.text  # or the error that says whose file it is
        try:
            loaded = super().load_config(config_path)
        except yaml.YAMLError as error:
            if answer is None or answer.owner == USER:
                raise
            raise answer.not_yaml(error) from error
        except (OmegaConfBaseException, ValueError) as error:  # of an interpolation, or of the defaults list
            if answer is None:
                raise
            raise answer.fault(f"cannot be composed: {_without_place(error)}") from error
        if answer is not None and loaded is not None:
            _refuse_no_part(answer, loaded)
        return loaded

    def _source_of(self, answer: CatalogAnswer) -> ConfigSource:
        return next(source for source in self.sources if f"{source.scheme()}://{source.path}" == answer.place)


def _refuse_no_part(answer: CatalogAnswer, loaded: ConfigResult) -> None:
    if not isinstance(loaded.config, DictConfig):
        raise answer.fault("is a list or a single value, and must be a mapping of settings")
    if answer.is_part and (package := loaded.header.get("package")):
        raise answer.fault(
            f"says @package {package}, and an answer stands where its question is asked: leave that comment out"
        )
    of_hydra = answer.question.partition("/")[0] == "hydra"
    if answer.is_part and not of_hydra and not loaded.defaults_list and "_target_" not in loaded.config:
        raise answer.fault("has no _target_, the dotted name of the class or function that it builds")
    if answer.is_part and not of_hydra and answer.owner != USER:
        refuse_keys(answer, OmegaConf.to_container(loaded.config, resolve=False))


def _without_place(error: Exception) -> str:
    """The first line of an error of Hydra or OmegaConf, with the setting in place of theirs."""
    said, key = str(error).splitlines()[0].rstrip("."), getattr(error, "full_key", None)
    return f"{key}: {said}" if key else said


def refuse_keys(answer: CatalogAnswer, said: Any) -> None:
    """The fault of a plugin's option file that a recipe with it would be refused for what the user did not write."""
    if "_target_" in said:
        answer.refuse_target(said["_target_"])
    for key in said:
        if str(key).startswith("_") and str(key).endswith("_") and key not in trust.ALLOWED_KEYS:
            raise answer.fault(f"has the key {key!r}, and may have {' and '.join(sorted(trust.ALLOWED_KEYS))}")


def _takes(signature: Signature, name: str, whole: bool) -> bool:
    """Whether the part takes the setting: the whole of it, or a plain value as an entry of the mapping that it is."""
    if whole:
        return signature.takes(name)
    expected = signature.types.get(name)
    kinds = get_args(expected) if get_origin(expected) in (Union, UnionType) else (expected,)  # such as dict | None
    return any(get_origin(kind) is dict and get_args(kind)[-1] is not Part for kind in kinds)


_REFUSED = re.compile(r"Could not override '([\w.]+)'\.\s")


def _answers(words: list[str]) -> list[str]:
    """The overrides that answer questions, so also those that add a part."""
    return [word for word in words if re.match(r"\+{0,2}[\w/@.]*[/@][\w/@.]*=|\+{0,2}\w+=", word)]


def _extensible(override: str) -> str:
    """A mapping may be given new keys without a sign in front; the check of its names comes later."""
    return f"++{override}" if re.match(r"[\w.]+=\{", override) else override


def _search_path(catalog: Catalog) -> ConfigSearchPath:
    path = create_config_search_path(CORE_RECIPES)
    for place, owner in catalog.search_path.items():
        if place != CORE_RECIPES:
            path.append(provider=owner, path=place)
    entries = path.get_path()
    entries[:] = sorted(
        entries, key=lambda entry: entry.provider == "schema"
    )  # Hydra wants its structured configs last
    return path
