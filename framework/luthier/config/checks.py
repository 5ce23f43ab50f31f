"""The errors of a composed recipe: unanswered questions, unknown settings, values of the wrong type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from luthier.config import signatures
from luthier.config.settings import mistyped
from luthier.config.type_hints import misfit
from luthier.errors import RecipeError
from luthier.errors.suggestions import nearest
from luthier.fetch.extras import refuse_absent

PARTS = ("model", "adaptation", "method", "data", "prompt", "optimizer", "trainer", "tracking", "evaluation", "batch")

SCHEMA_VERSION = 1
STAGES = ("search", "baseline", "fit", "evaluate")


def complaints(config: dict[str, Any], root: dict[str, Any]) -> list[RecipeError]:
    """Each with the path of the setting in `where`; `root` is config.yaml.

    Every target in `config` must be trusted by now: its module is looked for.
    """
    errors = [*_of_another_version(config), *_unanswered(config), *_unknown(config, root), *_mistyped(config, root)]
    for path, node in targets_in(config):
        unknown = [error.where for error in errors]
        if not any(path == where or path.startswith(f"{where}.") for where in unknown):
            errors += signatures.signature(node["_target_"]).check(node, at=path)
    return errors


def refuse_absent_packages(config: dict[str, Any], choices: Mapping[str, str]) -> None:
    """RecipeError that says which parts need which packages that are not installed, and how to install them."""
    recipe, errors = choices.get("recipe"), dict[str, RecipeError]()
    for path, node in targets_in(config):
        needed_by = _answer_at(path, choices) + (f" of recipe={recipe}" if recipe and recipe != "None" else "")
        try:
            refuse_absent(signatures.signature(node["_target_"]).needs, needed_by, where=path)
        except RecipeError as error:
            errors.setdefault(error.message, error)  # an answer may be given at several places
    if errors:
        raise next(iter(errors.values())) if len(errors) == 1 else RecipeError("\n".join(map(str, errors.values())))


def _answer_at(path: str, choices: Mapping[str, str]) -> str:
    """The answer at a path of the recipe, such as prompt/search=bm25; the path itself where there is none."""
    for question, answer in choices.items():
        plain, _, package = question.partition("@")
        if (package or plain.replace("/", ".")) == path:
            return f"{plain}={answer}"
    return path


def _of_another_version(config: dict[str, Any]) -> Iterator[RecipeError]:
    if config.get("schema_version") != SCHEMA_VERSION:
        message = (
            f"The recipe is of version {config.get('schema_version')}, and this luthier reads version {SCHEMA_VERSION}."
        )
        yield RecipeError(message, where="schema_version", hint="Install the luthier that it was written for.")


def _unanswered(config: dict[str, Any]) -> Iterator[RecipeError]:
    for part in PARTS:
        if not isinstance(config.get(part), dict) or "_target_" not in config[part]:
            hint = f"Add {part}=… ; `luthier explain {part}` lists the answers."
            yield RecipeError(f"Nothing answers {part!r}.", where=part, hint=hint)


def _unknown(config: dict[str, Any], root: dict[str, Any]) -> Iterator[RecipeError]:
    for key in config:
        if key not in root and key not in PARTS:
            known = [path for path in (*root, *settings_of(config)) if path.partition(".")[0] != key]
            yield RecipeError(f"There is no setting {key!r}.", where=key, hint=nearest(key, known, "There are"))


def _mistyped(config: dict[str, Any], root: dict[str, Any]) -> Iterator[RecipeError]:
    """Top-level values have the type of those in config.yaml, where null allows anything."""
    for key, value in config.items():
        if key in PARTS or key not in root or root[key] is None or isinstance(root[key], dict):
            continue
        expected: Any = list[str] if isinstance(root[key], list) else type(root[key])
        if wrong_value := misfit(value, expected, key):
            yield mistyped(wrong_value)
        elif key == "stages" and (wrong := [stage for stage in value if stage not in STAGES]):
            hint = nearest(wrong[0], STAGES, "There are")
            yield RecipeError(f"There is no stage {wrong[0]!r}.", where=key, hint=hint)


def targets_in(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, mapping) of everything that will be built, outermost first."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield path, node
        for key, value in node.items():
            yield from targets_in(value, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from targets_in(value, f"{path}[{index}]")


def settings_of(node: Any, path: str = "") -> Iterator[str]:
    """The dotted path of every setting."""
    for key, value in node.items() if isinstance(node, dict) else ():
        here = f"{path}.{key}".lstrip(".")
        if not str(key).startswith("_"):
            yield here
        yield from settings_of(value, here)


def at(config: Any, path: str) -> Any:
    """The value at a dotted path; None where there is nothing."""
    for word in path.split("."):
        config = config.get(word) if isinstance(config, Mapping) else None
    return config
