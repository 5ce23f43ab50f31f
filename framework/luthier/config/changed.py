"""The recipe of a finished run with other answers and settings of some of its parts, said as on a command line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from luthier.config import checks, trust
from luthier.config.messages import as_luthier_error
from luthier.config.stored import escaped
from luthier.errors import LuthierError, RecipeError

if TYPE_CHECKING:
    from luthier.config.command_line import Word
    from luthier.config.compose import Composer

_ANSWER = "changed_answer"
"""The place at which Hydra composes an answer, before it takes that of the run's own."""


def changed(recipe: DictConfig, words: Sequence[str], composer: Composer, parts: Collection[str]) -> DictConfig:
    """The recipe with what the words say of these parts, checked as any recipe.

    An answer (`data=csv`, `evaluation/task=generation`) replaces the run's own, a setting (`data.file=new.csv`) changes
    it. RecipeError for a word that is about another part, that sweeps, or that names what does not exist; Refused for
    code that no installed plugin names.
    """
    read = composer.words(words)
    for word in read:
        if part_of(word) not in parts:
            message = f"{word.text!r} changes {part_of(word)}, which is the run's own."
            raise RecipeError(message, where=word.text, hint=f"What can be changed is {' and '.join(parts)}.")
        if word.sweeps:
            raise RecipeError(f"{word.text!r} has several values.", where=word.text, hint="Say one.")
    composed = DictConfig(escaped(OmegaConf.to_container(recipe, resolve=True)))
    questions = composer.catalog.questions()
    answers = [word for word in read if word.key in questions]
    for word in sorted(answers, key=lambda one: _place(one).count(".")):
        node = {} if word.override.is_delete() else _answer(word, composer)
        OmegaConf.update(composed, _place(word), node, merge=False, force_add=True)
    settings = [word for word in read if word.key not in questions]
    try:
        composer.config_loader._apply_overrides_to_config([word.override for word in settings], composed)
        plain: Any = OmegaConf.to_container(composed, resolve=True)
    except Exception as error:  # of Hydra and OmegaConf, for what the words say
        raise as_luthier_error(error, composer.catalog, lambda: list(checks.settings_of(dict(recipe)))) from error
    trust.refuse_untrusted(plain, trust.trusted_targets(composer.catalog, composer.plugins, composer.vouched))
    _refuse_wrong(plain, parts, composer)
    return DictConfig(escaped(plain))


def part_of(word: Word) -> str:
    """The part that a word is about; for an answer with a place, the part of the place."""
    return _place(word).partition(".")[0]


def _place(word: Word) -> str:
    return word.package or word.path


def _answer(word: Word, composer: Composer) -> Any:
    """The node of an answer, not resolved, as its own defaults compose it."""
    try:
        found = composer.config_loader.without_checks("config", [f"+{word.key}@{_ANSWER}={word.values[0]}"])
    except Exception as error:  # of Hydra, for what the option file says
        raise as_luthier_error(error, composer.catalog, list) from error
    return OmegaConf.to_container(found[_ANSWER], resolve=False)


def _refuse_wrong(plain: dict[str, Any], parts: Collection[str], composer: Composer) -> None:
    """RecipeError with all that is wrong in these parts; others are as the run had them."""
    errors: list[LuthierError] = [
        error for error in checks.complaints(plain, composer.root) if error.where.partition(".")[0] in parts
    ]
    if errors:
        raise errors[0] if len(errors) == 1 else RecipeError("\n".join(map(str, errors)))
    checks.refuse_absent_packages({part: plain[part] for part in parts}, {})
