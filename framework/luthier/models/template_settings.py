"""Settings of a chat template, written into it as defaults, so that whatever renders it later renders the same."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jinja2 import meta
from jinja2.exceptions import TemplateSyntaxError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from luthier.errors import RecipeError
from luthier.errors.suggestions import nearest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WHERE = "model.template_settings"
_GIVEN = {"messages", "tools", "documents", "add_generation_prompt", "raise_exception", "strftime_now"}
"""Variables of a template that transformers sets for each conversation."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def apply_template_settings(tokenizer: PreTrainedTokenizerBase, settings: Mapping[str, Any]) -> list[str]:
    """Write the settings into the tokenizer's chat template, or into each of several; gives a sentence for each.

    RecipeError for a setting that no template reads, for a variable that transformers sets itself, for a value that a
    template cannot hold, and where there is no template.
    """
    if not settings:
        return []
    before: Any = tokenizer.chat_template
    if before is None:
        raise RecipeError(
            "The tokenizer has no chat template to set anything in.",
            where=WHERE,
            hint="Choose one with model.chat_template, or leave model.template_settings out.",
        )
    templates: dict[str, str] = before if isinstance(before, dict) else {"": before}
    known = {name: template_variables(source) for name, source in templates.items()}
    given = _GIVEN | set(tokenizer.special_tokens_map)
    for name in settings:
        _check_name(str(name), set().union(*known.values()) - given, given)
    made = {
        key: with_settings(source, {name: value for name, value in settings.items() if name in known[key]})
        for key, source in templates.items()
    }
    tokenizer.chat_template = made if isinstance(before, dict) else made[""]
    return [f"The chat template has {name}={value!r}." for name, value in settings.items()]


def with_settings(template: str, settings: Mapping[str, Any]) -> str:
    """The template behind a line that gives each variable its value, unless it is set when the template is rendered."""
    lines = (
        f"{{%- if {name} is not defined -%}}{{%- set {name} = {_literal(value, name)} -%}}{{%- endif -%}}"
        for name, value in settings.items()
    )
    return "".join(lines) + template


def template_variables(template: str) -> set[str]:
    """The variables that a template reads; empty for one that does not compile, which is refused when it is used."""
    environment = ImmutableSandboxedEnvironment(extensions=[_Generation, loopcontrols])
    try:
        return set(meta.find_undeclared_variables(environment.parse(template)))
    except (TemplateSyntaxError, RecursionError):
        return set()


class _Generation(Extension):
    """`{% generation %}` as a block that changes nothing."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja's own extensions write it

    def parse(self, parser: Parser) -> Any:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _check_name(name: str, known: set[str], given: set[str]) -> None:
    if name in given:
        raise RecipeError(
            f"{name!r} is set for each conversation by transformers, so it is no setting of the template.",
            where=f"{WHERE}.{name}",
            hint="Leave it out.",
        )
    if name not in known or not _NAME.fullmatch(name):
        raise RecipeError(
            f"The chat template reads no setting {name!r}.",
            where=f"{WHERE}.{name}",
            hint=nearest(name, known, "It reads") if known else "It reads none; leave model.template_settings out.",
        )


def _literal(value: Any, name: str) -> str:
    """A value as Jinja writes it; RecipeError for one that is neither text, a number, true, false, null nor of these.

    JSON's strings are Jinja's, as long as characters beyond ASCII are not escaped.
    """
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (int, float)) and math.isfinite(value):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(str(key), name)}: {_literal(one, name)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_literal(one, name) for one in value) + "]"
    raise RecipeError(
        f"{name} is {value!r}, which a chat template cannot hold.",
        where=f"{WHERE}.{name}",
        hint="Use text, a number, true, false, null, or a list or mapping of these.",
    )
