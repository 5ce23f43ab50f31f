"""The Jinja template of a user's turn, in a sandbox that calls no code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, meta
from jinja2.exceptions import SecurityError, TemplateError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from luthier.api import DataError, RecipeError, Refused, check_template, limited_rendering, nearest

EXAMPLES = "examples"
_TRIAL_TEXT = "Hello."


class JinjaTemplate:
    """Renders the template of a user's turn. RecipeError for a name that an example does not have.

    Each new template is rendered once in a separate process with limits on time and memory before it is used here.
    """

    def __init__(self, source: str) -> None:
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        try:
            self.names = meta.find_undeclared_variables(environment.parse(source))
            self._template = environment.from_string(source)
        except TemplateSyntaxError as error:
            raise RecipeError(
                f"The template is not valid Jinja: {error.message}, in its line {error.lineno}.",
                where="prompt.template",
            ) from error
        examples = [{"question": _TRIAL_TEXT, "text": _TRIAL_TEXT, "answer": _TRIAL_TEXT}] * 4
        check_template(
            source, "The template of the prompt", given=[{**dict.fromkeys(self.names, _TRIAL_TEXT), EXAMPLES: examples}]
        )

    @property
    def shows_examples(self) -> bool:
        """Whether the template renders the in-context examples, which are otherwise turns of their own."""
        return EXAMPLES in self.names

    def __call__(self, fields: Mapping[str, Any], *, where: str = "") -> str:
        try:
            with limited_rendering("prompt.template", where=where):
                return self._template.render(fields)
        except UndefinedError as error:
            unknown = sorted(self.names - set(fields))
            hint = nearest(unknown[0], fields, "It has") if unknown else ""
            problem = f"names {unknown[0]!r}, which the example does not have" if unknown else f"fails: {error.message}"
            raise RecipeError(f"prompt.template {problem}.", where=where or "prompt.template", hint=hint) from error
        except SecurityError as error:
            raise Refused(f"The template does what the sandbox forbids: {error}", where="prompt.template") from error
        except (TemplateError, TypeError, ValueError, KeyError, IndexError, RecursionError) as error:
            raise DataError(f"The template cannot be rendered for this example: {error}.", where=where) from error
