"""Chat templates that mark what the assistant says with `{% generation %}`, so that a mask can be read off them."""

from __future__ import annotations

from importlib.resources import files

from luthier.errors import RecipeError
from luthier.fetch.paths import local_path

_files: dict[str, str] = {}


def file_of(source: str) -> str:
    """The .jinja file that a template, with its settings before it, was read from; empty for a model's own."""
    return next((name for text, name in _files.items() if text and source.endswith(text)), "")


def template(name: str) -> str:
    """The text of a template: one of this package's (`chatml`, `plain`), or a .jinja file; RecipeError if neither."""
    shipped = {file.name.removesuffix(".jinja"): file for file in files(__package__).iterdir()}
    if name in shipped and name.isidentifier():
        return shipped[name].read_text(encoding="utf-8")
    if name.endswith(".jinja") and local_path(name).is_file():
        text = local_path(name).read_text(encoding="utf-8")
        _files[text] = name
        return text
    names = ", ".join(sorted(key for key, file in shipped.items() if file.name.endswith(".jinja")))
    raise RecipeError(
        f"There is no chat template {name!r}.",
        where="model.chat_template",
        hint=f"Name one that luthier ships ({names}) or a file that ends in .jinja.",
    )
