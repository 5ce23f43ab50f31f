"""How the page of a report is filled in: everything escaped, its own style inside and allowed by its hash alone."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from luthier.reporting import figures
from luthier.reporting.escaping import visible


def environment(package: str) -> jinja2.Environment:
    """For the templates of a package, with the filters that write figures."""
    filled = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    filled.filters |= {
        "number": figures.format_number, "signed": figures.format_signed, "interval": figures.format_interval,
        "count": figures.format_count, "title": figures.title,
    }  # fmt: skip
    return filled


def style(*sheets: tuple[str, str]) -> dict[str, str]:
    """Style sheets, as (package, name), for the head of a page: their text and what its security policy allows."""
    files = (resources.files(package).joinpath(f"templates/{name}") for package, name in sheets)
    text = "".join(file.read_text("utf-8") for file in files)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return {"style": Markup(text), "style_hash": digest}  # noqa: S704 - our own files


def _shown(value: Any) -> Any:
    """What a template prints: text with its control characters visible, markup and numbers as they are."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
