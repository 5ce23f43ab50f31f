"""Completion of a command line: verbs, flags, questions, answers, settings and their values, runs, files."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.cli.verbs import BUILT_IN, built_in, of_plugins
from luthier.config import checks, signatures, type_words
from luthier.contracts.verbs import Verb
from luthier.errors import LuthierError
from luthier.workflows.pipelines import addressing

if TYPE_CHECKING:
    from luthier.config.compose import Composer

FLAGS = {
    "--multirun": (), "-m": (), "--run": (), "--resolve": (), "--hydra-help": (), "--help": (), "--version": (),
    "--json": (), "--debug": (), "--trace-hooks": (), "--package": (), "--trust": (), "--config-dir": (), "-p": (),
    "--cfg": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
}  # fmt: skip


def from_environment(composer: Composer, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The candidates for the line that a shell hands over, up to its cursor."""
    line = environ.get("COMP_LINE", "")
    point = int(environ.get("COMP_POINT", "") or len(line))
    return Completer(composer).candidates(line[:point])


@dataclass(frozen=True, slots=True)
class Completer:
    """Candidates as whole words; those that go on end with `=`, `.` or `/`."""

    composer: Composer

    def candidates(self, line: str) -> list[str]:
        words = line.split()[1:]
        word = words.pop() if words and not line[-1:].isspace() else ""
        verb = next((self._verb(first) for first in words[:1]), None)
        completions = self._after(words[-1] if words else "", word, verb)
        if completions is None and word.startswith("-"):
            completions = [*FLAGS, *(_flags(verb) if verb else ())]
        if completions is None:
            completions = self._of_verb(verb, words[1:], word) if verb else self._of_recipe(words, word)
            completions = [*completions, *self._verbs()] if not words else completions
        return sorted({candidate for candidate in completions if candidate.startswith(word)})

    def _after(self, flag: str, word: str, verb: Verb | None) -> Iterable[str] | None:
        """What a flag takes; None where it takes nothing."""
        names = [plugin.name for plugin in self.composer.plugins.known]
        values: dict[str, Callable[[], Iterable[str]]] = {
            "-p": lambda: [f"no:{name}" for name in names],
            "--config-dir": lambda: files(word, only_folders=True),
            "--trust": list,
            "--package": lambda: checks.PARTS,
        }
        if flag in values:
            return values[flag]()
        own = next((action for action in _actions(verb) if flag in action.option_strings), None) if verb else None
        if own is None or own.nargs == 0:
            return FLAGS.get(flag) or None
        return [str(choice) for choice in own.choices] if own.choices is not None else files(word)

    def _verbs(self) -> list[str]:
        return [*BUILT_IN, *of_plugins(self.composer.plugins)]

    def _verb(self, name: str) -> Verb | None:
        return built_in(name) if name in BUILT_IN else of_plugins(self.composer.plugins).get(name)

    def _of_verb(self, verb: Verb, words: list[str], word: str) -> Iterable[str]:
        """What the verb's next argument can be: one of its choices, else what its metavar says."""
        given = [one for one in words if not one.startswith("-")]
        positional = [action for action in _actions(verb) if not action.option_strings]
        action = next(
            (one for index, one in enumerate(positional) if index >= len(given) or one.nargs in ("*", "+")), None
        )
        if action is None:
            return ()
        if action.choices is not None:
            return [str(choice) for choice in action.choices]
        kinds: dict[str, Callable[[], Iterable[str]]] = {
            "key=value": lambda: self._of_recipe(words, word),
            "QUESTION": self.composer.catalog.questions,
            "WHAT": lambda: [
                *self.composer.catalog.questions(),
                "exit-codes",
                "batch",
                *map(str, self.composer.catalog),
            ],
            "RUN": lambda: [*_runs(), *files(word)],
            "FILE": lambda: files(word),
            "FOLDER": lambda: files(word, only_folders=True),
        }
        return kinds.get(str(action.metavar), tuple)()

    def _of_recipe(self, words: list[str], word: str) -> Iterable[str]:
        """Questions, answers and settings as Hydra completes them, and the values that a setting can have."""
        from hydra.plugins.completion_plugin import DefaultCompletionPlugin

        overrides = [one for one in words if "=" in one or one.startswith("~")]
        if addressing.names_pipeline(overrides):
            return self._of_pipeline(overrides, word)
        try:
            hydra = DefaultCompletionPlugin(self.composer.config_loader)._query(
                "config", " ".join([*overrides, word]) + (" " if not word else "")
            )
            own = self._values(overrides, word) if "=" in word else []
        except LuthierError:  # while typing, a line may be wrong
            return []
        return own or [
            one for name in self._qualified(hydra, word) if "._" not in name for one in self._open(name, word)
        ]

    def _qualified(self, completed: list[str], word: str) -> list[str]:
        """Answers that several give under their qualified names, which alone can be chosen."""
        catalog = self.composer.catalog
        if "=" not in word or (question := word.partition("=")[0]) not in catalog.questions():
            return completed
        single = [one for one in completed if (question, one.partition("=")[2]) not in catalog.claimed]
        names = [
            claim.qualified for (asked, _), claims in catalog.claimed.items() if asked == question for claim in claims
        ]
        return [*single, *(f"{question}={name}" for name in names)]

    def _of_pipeline(self, overrides: list[str], word: str) -> Iterable[str]:
        """The steps with the overrides of each, and the overrides of all steps."""
        try:
            steps = addressing.pipeline_of(overrides, self.composer.catalog).steps
        except LuthierError:
            return []
        own = next((step for step in steps if word.startswith(f"{step.name}.")), None)
        if own is None:
            return [*(f"{step.name}." for step in steps), *self._of_recipe([], word)]
        start = f"{own.name}."
        overrides_of_step = own.after({name: name for name in own.needs})
        return [start + name for name in self._of_recipe(overrides_of_step, word.removeprefix(start))]

    def _open(self, name: str, word: str) -> list[str]:
        """A question is answered after `=` and may ask others after `/`; of Hydra, only what is asked for."""
        if name in self.composer.catalog.questions():
            return [f"{name}=", f"{name}/"]
        return [name] if not name.startswith("hydra") or word.startswith("h") else []

    def _values(self, overrides: list[str], word: str) -> list[str]:
        key = word.partition("=")[0]
        path, _, name = key.lstrip("+").rpartition(".")
        node: Any = checks.at(self.composer.compose(overrides, complete=False).config, path) if path else None
        if node is None or "_target_" not in node:
            return []
        setting = signatures.signature(node["_target_"]).settings.get(name)
        return [f"{key}={value}" for value in type_words.choices(setting.type)] if setting else []


def _actions(verb: Verb) -> list[argparse.Action]:
    parser = argparse.ArgumentParser(add_help=False)
    verb.declare(parser)
    return parser._actions


def _flags(verb: Verb) -> list[str]:
    return [option for action in _actions(verb) for option in action.option_strings]


def _runs() -> list[str]:
    """The run folders of this working folder, the newest first."""
    folders = [folder for folder in Path("runs").glob("*") if folder.is_dir()]
    return [str(folder) for folder in sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True)]


def files(word: str, *, only_folders: bool = False) -> list[str]:
    """Paths that begin with the word; folders end with a slash."""
    folder = Path(word) if word.endswith("/") else Path(word).parent
    around = folder.iterdir() if folder.is_dir() else ()
    prefix = "" if word in {"", "."} or "/" not in word else word[: word.rindex("/") + 1]
    return [
        f"{prefix}{path.name}{'/' if path.is_dir() else ''}"
        for path in around
        if (path.is_dir() or not only_folders) and (not path.name.startswith(".") or Path(word).name.startswith("."))
    ]
