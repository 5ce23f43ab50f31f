"""From a command line to a checked configuration: compose, report errors, check names and trust.

Everything here happens before anything is loaded. The result is a plain, resolved copy: what was checked is what will
be built.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from hydra import version
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobRuntime, setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from luthier.config import checks, command_line, messages, trust
from luthier.config.catalog import Catalog, CatalogAnswer
from luthier.config.fingerprint import recipe_hash
from luthier.config.loader import GuardedConfigLoader
from luthier.config.origins import Origins
from luthier.config.settings import MissingSettingError, NoTextError
from luthier.config.signatures import signature
from luthier.config.stale import drop_stale
from luthier.config.stored import escaped
from luthier.contracts.trust import Trust
from luthier.errors import LuthierError, RecipeError
from luthier.plugins.registry import Plugins

ROOT_FILE = "config"
PARTS = checks.PARTS


@dataclass(frozen=True)
class Composition:
    """A checked configuration with the answers that were chosen and what was left out of the recipe.

    `given` is the recipe's file as it stands, `purpose` its first line, `vouched` what `--trust` named, `flags` what
    another composition of the same overrides needs on its command line, `started` when it was made, in seconds since
    1970: before anything was imported or fetched for it.
    """

    config: DictConfig
    """The checked and resolved recipe, read-only."""
    choices: dict[str, str]
    """Question -> answer, as chosen by the recipe and the command line."""
    overrides: list[str]
    """The words of the command line."""
    dropped: list[str] = field(default_factory=list)
    """Notes on renamed settings and on settings that no longer apply, a sentence each."""
    given: str = ""
    purpose: str = ""
    vouched: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    started: float = field(default_factory=time.time)
    precision: str = ""
    """What the run computes in, and why where the machine decided it; empty before it is settled."""
    notes: tuple[str, ...] = ()
    """What a machine makes slow that the recipe asks for, a sentence each."""
    decided: tuple[str, ...] = ()
    """Overrides for another process of the same run: what this one decided for `auto`."""

    @property
    def trust(self) -> Trust:
        """The names given with `--trust`, as parts are handed them."""
        return Trust(frozenset(self.vouched))

    @property
    def recipe(self) -> str:
        """The name of the recipe, `luthier` where the command line names none."""
        chosen = self.choices.get("recipe")
        return chosen if chosen and chosen != "None" else "luthier"

    @property
    def hash(self) -> str:
        """A hash of the resolved recipe, equal for two runs that do the same."""
        return recipe_hash(self.config)


@dataclass(frozen=True)
class Composer:
    """Composes recipes from the answers of the installed plugins, with the code that the user vouched for."""

    plugins: Plugins
    catalog: Catalog
    vouched: tuple[str, ...] = ()

    @cached_property
    def config_loader(self) -> GuardedConfigLoader:
        version.setbase("1.3")
        setup_globals()
        JobRuntime.instance().set("name", "luthier")
        return GuardedConfigLoader(
            self.catalog, lambda: trust.trusted_targets(self.catalog, self.plugins, self.vouched)
        )

    def compose(self, overrides: Sequence[str], *, complete: bool = True) -> Composition:
        """Compose, check and resolve; RecipeError (2), Refused (6) or PluginError (7) where that cannot be.

        With `complete` false, settings that must be given may still be missing.
        """
        self.words(overrides)
        return self._checked(self._load(list(overrides)), overrides, complete=complete)

    def compose_run(
        self, overrides: Sequence[str], run_name: Callable[[Composition], str]
    ) -> tuple[Composition, DictConfig]:
        """Compose for a run: its composition, and the configuration that Hydra sets the same run up from.

        A run that the command line does not name is called what `run_name` gives. Errors as those of `compose`.
        """
        words = self.words(overrides)
        raw, overrides = self._load(list(overrides)), list(overrides)
        composition = self._checked(raw, overrides)
        with read_write(raw), open_dict(raw):
            raw.hydra.mode = RunMode.RUN
            if not {"name", "hydra.run.dir"} & {word.key for word in words}:
                raw.name = run_name(composition)
                overrides.append(f"name={raw.name}")
                raw.hydra.overrides.task = overrides
                composition = self._checked(raw, overrides)  # for interpolations of the name
        return composition, raw

    def words(self, overrides: Sequence[str]) -> list[command_line.Word]:
        """The overrides read, under the names of now; RecipeError for an answer that does not exist."""
        words = command_line.read(self.current(overrides)[0], self.catalog)
        command_line.refuse_unknown_answers(words, self.catalog)
        return words

    def current(self, overrides: Sequence[str]) -> tuple[list[str], list[str]]:
        """The overrides under the names of now, and a sentence for each old one."""
        return self.config_loader.current(ROOT_FILE, overrides)

    def _checked(self, raw: DictConfig, overrides: Sequence[str], *, complete: bool = True) -> Composition:
        _set_run_folder(raw)
        plain = raw.copy()
        with read_write(plain), open_dict(plain):
            del plain["hydra"]
        return self.check(plain, answered(raw.hydra), overrides, complete=complete)

    def check(
        self, raw: DictConfig, choices: dict[str, str], overrides: Sequence[str], *, complete: bool = True
    ) -> Composition:
        """Refuse untrusted code and unknown or mistyped settings, and drop settings of answers that were replaced."""
        resolved, renamed = self._resolve(raw, overrides), self.config_loader.renamed
        trust.refuse_untrusted(resolved, trust.trusted_targets(self.catalog, self.plugins, self.vouched))
        recipe, debug = (self.catalog.answers.get((file, str(choices.get(file)))) for file in ("recipe", "debug"))
        dropped = drop_stale(resolved, _as_written(recipe), choices)
        drop_stale(resolved, _as_written(debug), choices)
        errors = checks.complaints(resolved, self.root)
        errors = [error for error in errors if complete or not isinstance(error, MissingSettingError)]
        if errors:
            raise self._as_one_error(errors, overrides)
        if complete:
            checks.refuse_absent_packages(resolved, choices)
        config = OmegaConf.create(escaped(resolved))
        OmegaConf.set_readonly(config, True)  # also for plugins, who are shown it
        reasons = [
            sentence for _, sentences in self.plugins.ask("luthier_check", config=config) for sentence in sentences
        ]
        if reasons:
            raise RecipeError("\n".join(reasons))
        given, purpose = (recipe.text, recipe.headline) if recipe else ("", "")
        return Composition(config, choices, list(overrides), [*renamed, *dropped], given, purpose, self.vouched)

    def origins(self, overrides: Sequence[str]) -> Origins:
        return Origins(self.config_loader, self.catalog, ROOT_FILE, self.current(overrides)[0])

    @cached_property
    def root(self) -> dict[str, Any]:
        """config.yaml unresolved: the keys that may stand at the top of a recipe."""
        root: Any = OmegaConf.to_container(OmegaConf.load(self.catalog.answers[".", ROOT_FILE].file), resolve=False)
        return {str(key): value for key, value in root.items() if key not in {"defaults", "hydra"}}

    def _load(self, overrides: list[str]) -> DictConfig:
        try:
            return self.config_loader.load_configuration(ROOT_FILE, overrides, RunMode.RUN)
        except Exception as error:  # Hydra raises ValueError, KeyError, … for what stands in a file
            raise messages.as_luthier_error(
                error, self.catalog, lambda: self._keys_without_values(overrides)
            ) from error

    def _keys_without_values(self, overrides: list[str]) -> list[str]:
        """The settings of the same composition without the values that the command line gives."""
        questions = self.catalog.questions()
        answers = [word.text for word in command_line.read(overrides) if word.key in questions]
        try:
            plain: Any = OmegaConf.to_container(self.config_loader.without_checks(ROOT_FILE, answers))
        except Exception:  # the first error is the one to tell
            return []
        known = [path for path in checks.settings_of(plain) if not path.startswith("hydra")]
        trusted = trust.trusted_targets(self.catalog, self.plugins, self.vouched)
        around = {word.key.rpartition(".")[0] for word in command_line.read(overrides) if "." in word.key}
        for path in around - {""}:
            node = checks.at(plain, path)
            if isinstance(node, dict) and node.get("_target_") in trusted:  # also what its file does not say
                known += [f"{path}.{name}" for name in signature(node["_target_"]).settings]
        return known

    def _resolve(self, raw: DictConfig, overrides: Sequence[str]) -> dict[str, Any]:
        """The values; an error with the line of the file or the override that has the interpolation."""
        try:
            return OmegaConf.to_container(raw, resolve=True)  # type: ignore[return-value]
        except OmegaConfBaseException as error:
            told = messages.as_luthier_error(
                error, self.catalog, lambda: list(checks.settings_of(OmegaConf.to_container(raw)))
            )
            origin = self.origins(overrides).find(str(error.full_key or ""))
            told.where = str(origin) if origin else told.where
            raise told from error

    def _as_one_error(self, errors: Sequence[LuthierError], overrides: Sequence[str]) -> RecipeError:
        """All errors as one, each with the line of the file or the override that sets its value."""
        origins = self.origins(overrides)
        for error in errors:
            origin = None if isinstance(error, MissingSettingError) else origins.find(error.where)
            if isinstance(error, NoTextError) and origin and origin.word:
                error.hint = error.as_typed(origin.word)
            error.where = str(origin) if origin else error.where
        if len(errors) == 1:
            return RecipeError(errors[0].message, where=errors[0].where, hint=errors[0].hint)
        return RecipeError("\n".join(map(str, errors)), where="")


def _as_written(answer: CatalogAnswer | None) -> dict[str, Any]:
    """The answer's own file, nothing resolved; empty without one."""
    return dict(OmegaConf.to_container(OmegaConf.load(answer.file), resolve=False)) if answer else {}  # type: ignore[arg-type]


def answered(hydra: Any) -> dict[str, str]:
    """Question -> answer, as Hydra chose them; a question that is left open is not there."""
    return {str(question): str(answer) for question, answer in hydra.runtime.choices.items() if answer is not None}


def _set_run_folder(raw: DictConfig) -> None:
    """Let `${hydra:…}` resolve before the run as it will in the run."""
    with read_write(raw.hydra), open_dict(raw.hydra):
        raw.hydra.runtime.output_dir = os.path.abspath(str(raw.hydra.run.dir))
    HydraConfig.instance().set_config(raw.copy())
