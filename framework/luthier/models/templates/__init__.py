"""Chat templates that mark what the assistant says with `{% generation %}`, so that a mask can be read off them."""

from __future__ import annotations

from importlib.resources import files

from luthier.errors import RecipeError
from luthier.fetch.paths import local_path


def template(name: str) -> str:
    """The text of a template: one of this package's (`chatml`, `plain`), or a .jinja file; RecipeError if neither."""
    shipped = {file.name.removesuffix(".jinja"): file for file in files(__package__).iterdir()}
    if name in shipped and name.isidentifier():
        return shipped[name].read_text(encoding="utf-8")
    if name.endswith(".jinja") and local_path(name).is_file():
        return local_path(name).read_text(encoding="utf-8")
    names = ", ".join(sorted(key for key, file in shipped.items() if file.name.endswith(".jinja")))
    raise RecipeError(
        f"There is no chat template {name!r}.",
        where="model.chat_template",
        hint=f"Name one that luthier ships ({names}) or a file that ends in .jinja.",
    )
