"""The packages that the kinds of documents need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from luthier.api import Needs, RecipeError, is_installed, local_path, refuse_absent

_HTML: Needs = {"bs4": "luthier[retrieval]", "markdownify": "luthier[retrieval]"}
NEEDS: Mapping[str, Needs] = {".html": _HTML, ".htm": _HTML, ".pdf": {"pypdf": "luthier[retrieval]"}}
"""The packages that a file needs, by its ending."""


def needed(file: Path) -> None:
    """RecipeError where the kind of a file needs a package that is not installed."""
    refuse_absent(NEEDS.get(file.suffix.lower(), {}), f"The document {file.name}", where="prompt.documents")


def unreadable(path: str) -> str:
    """The sentence of the error that reading a file, or the files below a folder, would raise; empty if none."""
    lacking = {ending for ending, needs in NEEDS.items() if not all(map(is_installed, needs))}
    root = local_path(path)
    for file in sorted(root.rglob("*")) if lacking and root.is_dir() else [root]:
        hidden = file != root and any(part.startswith(".") for part in file.relative_to(root).parts)
        if file.suffix.lower() in lacking and not hidden:
            try:
                needed(file)
            except RecipeError as error:
                return str(error)
    return ""
