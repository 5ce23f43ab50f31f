"""What every part of a recipe keeps to, whatever its kind; the suites of the kinds inherit it.

class TestMine(PartContract):
    answer = "prompt/layout=mine"
    words = ("prompt=retrieval",)
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import OmegaConf

from luthier.config.catalog import CatalogAnswer
from luthier.config.compose import Composition
from luthier.config.importing import named
from luthier.config.instantiate import instantiate
from luthier.config.option_file import Option
from luthier.config.settings import REQUIRED, Signature
from luthier.config.signatures import signature
from luthier.contracts.training import has_state
from luthier.errors import RecipeError
from luthier.testing.twin import composer, twin
from luthier.workflows.cached_runs.key import key
from luthier.workflows.run import Run


class PartContract:
    """Tests of one answer to a question.

    `answer` is `question=name`, as on the command line. `words` are what else a recipe with it needs, such as a
    setting without a default; `plugins` names modules beside the installed plugins, as `luthier -p` takes them. A
    suite of a kind says what stands `around` its answers in a recipe, and at which `place` the answer is put where it
    has a name of its own there, as a metric has. An answer to the `question` may stand among the words. Where there
    is no answer, as of a part that a fixture makes, the tests of this class are left out.
    """

    answer: ClassVar[str] = ""
    words: ClassVar[tuple[str, ...]] = ()
    plugins: ClassVar[tuple[str, ...]] = ()
    around: ClassVar[tuple[str, ...]] = ()
    place: ClassVar[str] = ""
    question: ClassVar[str] = ""

    def __init_subclass__(cls, **more: Any) -> None:
        """Take the answer from the words where it stands there, and leave out what needs one where there is none."""
        super().__init_subclass__(**more)
        if not cls.answer and cls.question:
            cls.answer = next((word for word in cls.words if word.partition("=")[0] == cls.question), "")
        for name in [name for name in vars(PartContract) if name.startswith("test_")]:
            if not cls.answer:
                setattr(cls, name, None)
            elif getattr(cls, name) is None:
                setattr(cls, name, vars(PartContract)[name])

    @classmethod
    def recipe(cls) -> tuple[str, ...]:
        """The words of a recipe with the part, those of `debug=tiny` aside."""
        question, _, name = cls.answer.partition("=")
        chosen = f"+{question}@{cls.place}={name}" if cls.place else cls.answer
        return (*cls.around, *({chosen} - {*cls.words}), *cls.words)

    @classmethod
    def node(cls) -> str:
        """Where the part stands in a recipe."""
        return cls.place or cls.answer.partition("=")[0].replace("/", ".")

    @classmethod
    def composed(cls, *words: str) -> Composition:
        """The recipe with the part, and further words."""
        return composer(*cls.plugins).compose(["debug=tiny", *cls.recipe(), *words])

    @classmethod
    def built(cls, *words: str) -> Any:
        """The part, made of the recipe with these further words."""
        composition = cls.composed(*words)
        return instantiate(OmegaConf.select(composition.config, cls.node()), trust=composition.trust)

    @classmethod
    def run(cls, folder: Path, *words: str) -> Run:
        """The tiny twin of the recipe with the part, not carried out yet."""
        return twin(folder, *cls.recipe(), *words, plugins=cls.plugins)

    @classmethod
    def option(cls) -> Option:
        """The option file."""
        return Option.read(cls.found(), composer(*cls.plugins).catalog)

    @classmethod
    def found(cls) -> CatalogAnswer:
        """The answer in the catalog."""
        question, _, name = cls.answer.partition("=")
        catalog = composer(*cls.plugins).catalog
        catalog.refuse_claimed(question, name)
        assert (question, name) in catalog.answers, f"No option file gives {cls.answer}; is its plugin installed?"
        return catalog.answers[question, name]

    @classmethod
    def target(cls) -> Callable[..., Any]:
        """The class or function that the option file names."""
        target: Callable[..., Any] = named(cls.option().target)
        return target

    def test_its_option_file_says_every_setting_and_no_other(self) -> None:
        known, said = signature(self.option().target), _said(self.option())
        assert set(known.settings) - said == set(), "missing in the option file"
        assert known.open or said - set(known.told) - set(known.parts) == set(), "no parameter of its signature"

    def test_its_option_file_has_the_defaults_of_its_signature(self) -> None:
        """A second option file of one class may differ: the one of which most agrees is the class's own."""
        mine = _different(self.option())
        shared = composer(*self.plugins).catalog
        others = [Option.read(one, shared) for one in shared if one.is_part and self.option().target in one.targets]
        assert not mine or any(_different(one) == [] for one in others), mine

    def test_it_says_what_it_is(self) -> None:
        assert self.found().headline, f"{self.found().file} does not begin with a comment that says what it is"
        assert signature(self.option().target).doc, f"{self.option().target} has no docstring"

    def test_a_recipe_with_it_composes(self) -> None:
        node: Any = OmegaConf.select(self.composed().config, self.node())
        assert node["_target_"] == self.option().target

    def test_another_setting_is_another_run(self) -> None:
        """The key by which finished runs are found again changes with each setting of the part."""
        known = signature(self.option().target)
        before = key(self.composed())
        node = OmegaConf.select(self.composed().config, self.node())
        for name, values in _changed(node, known).items():
            others = filter(None, (self._with(f"{self.node()}.{name}={value}") for value in values))
            another = next(others, None)
            assert another is not None, f"{name}: nothing but {node[name]!r} is accepted, of {values}, too"
            assert key(another) != before, name

    def _with(self, word: str) -> Composition | None:
        """The recipe with another value; None where a check refuses it."""
        try:
            return self.composed(word)
        except RecipeError:
            return None

    def test_the_module_of_its_plugin_brings_no_torch(self) -> None:
        owner = self.found().owner
        module = next((one.module for one in composer(*self.plugins).plugins.known if one.name == owner), "luthier.api")
        assert brought(module.partition(":")[0]) == [], "every command imports it, so it takes seconds from each"

    def test_what_it_has_become_can_be_given_back(self) -> None:
        """Where it has a state: that of a part that was just built is taken by another one."""
        part = self.made()
        if has_state(part):
            again = self.made()
            again.load_state_dict(part.state_dict())
            assert repr(again.state_dict()) == repr(part.state_dict())

    def made(self) -> Any:
        """A part as the tests use it; a kind whose parts are handed others builds it otherwise."""
        return self.built()


def _said(option: Option) -> set[str]:
    return set(option.written) | {path.partition(".")[0] for path in option.nested}


def _different(option: Option) -> list[str]:
    """The settings of which the option file says another value than the signature has as default."""
    known, asked = signature(option.target), {path.partition(".")[0] for path in option.nested}
    return [
        f"{name} is {said.value!r} in {option.answer}, and {known.settings[name].default!r} in {option.target}"
        for name, said in option.written.items()
        if name in known.settings and name not in asked and known.settings[name].default != REQUIRED
        if not _same(said.value, known.settings[name].default)
    ]


def _same(said: Any, default: Any) -> bool:
    """Equal, where YAML reads 1e-8 as text and null stands for an empty collection."""
    if isinstance(default, float) and isinstance(said, str):
        return float(said) == default
    return (said == default and type(said) is type(default)) or (said in ({}, []) and default is None)


def _changed(node: Any, known: Signature) -> dict[str, list[str]]:
    """Other values of the settings whose type says which there are: truth values and numbers."""
    told = {name: node[name] for name in node if name in known.settings}
    truths = {name: [str(not value).lower()] for name, value in told.items() if known.settings[name].type is bool}
    numbers = {
        name: [repr(type(value)(other)) for other in (value + 1, value - 1, value / 2) if other != value]
        for name, value in told.items()
        if known.settings[name].type in (int, float) and value is not None
    }
    return {**truths, **numbers}


@cache
def brought(module: str) -> list[str]:
    """Which of the libraries that take seconds the import of a module brings, in a fresh Python."""
    heavy = ("torch", "transformers", "pytorch_lightning", "datasets", "peft")
    asked = f"import sys; sys.path[:] = {sys.path!r}; import {module}; print(*(set({heavy!r}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=120)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
