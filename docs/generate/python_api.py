"""Write docs/reference/python/ and tests/architecture/api.txt from the source: `python docs/generate/python_api.py`.

`framework/luthier/api/__init__.pyi` lists the names and their modules; griffe reads signatures, fields and docstrings
without importing them. A name belongs to the first section that names its module, or a package around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from python_sections import SECTIONS, Section, section_of
from python_source import (
    ROOT,
    default_of,
    doc,
    field_doc,
    homes,
    is_field,
    kind_of,
    names,
    public,
    signature,
    suites,
    type_of,
    undocumented,
)

from luthier import api

FOLDER = ROOT / "docs" / "reference" / "python"
FROZEN = ROOT / "tests" / "architecture" / "api.txt"
MARK = "\n<!-- Written by docs/generate/python_api.py; change the docstrings and signatures that it reads. -->\n"


def pages() -> dict[str, str]:
    """All pages by their names below docs/reference/python."""
    entries: dict[str, list[tuple[str, Any]]] = {section.file: [] for section in SECTIONS}
    for name, definition in names().items():
        section = section_of(homes()[name])
        assert section is not None, f"no section of docs/generate/python_sections.py names {homes()[name]}"
        assert definition is not None, f"{homes()[name]} does not define {name} by a plain statement"
        entries[section.file].append((name, definition))
    entries["testing.md"] += suites().items()
    found = {section.file: _page(section, sorted(entries[section.file], key=_order)) for section in SECTIONS}
    return {"index.md": _index(entries)} | found


def _order(entry: tuple[str, Any]) -> tuple[bool, str]:
    """Classes first, then the rest; each by name."""
    return (not entry[1].is_class, entry[0].lower())


def _index(entries: dict[str, list[tuple[str, Any]]]) -> str:
    major, minor = api.VERSION
    lines = [
        "# The Python interface",
        "",
        "A plugin, a script or a notebook imports from `luthier.api`, and its tests from `luthier.testing`; any other "
        "module of luthier may change without notice. `luthier.load`, `luthier.hookimpl` and `luthier.__version__` are "
        "the same objects under shorter names.",
        "",
        '```python title="my_notebook.py"',
        "from luthier.api import Batch, LanguageModelMethod, RecipeError",
        "```",
        "",
        "Each name is imported when it is first used, so `import luthier.api` is cheap.",
        "",
        "## The version of the API",
        "",
        f"`luthier.api.VERSION` is `({major}, {minor})`: major and minor number. The minor number is raised when "
        "names, parameters or fields are added; the major one when something changes or is removed, after a release in "
        "which the old name still works and warns. A test compares every name and signature with "
        "`tests/architecture/api.txt`. Names of version 0.1 that were renamed are accepted until luthier 0.3; the "
        "changelog lists them.",
        "",
        "## All names",
        "",
    ]
    for section in SECTIONS:
        lines += [f"**[{section.title}]({section.file})**", ""]
        lines += [f"- [`{name}`]({section.file}#{_anchor(name)}): {_first(entry)}" for name, entry in
                  sorted(entries[section.file], key=_order)] + [""]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n" + MARK


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w-]", "", heading.lower())


def _first(entry: Any) -> str:
    """The first sentence of a docstring."""
    text = " ".join(takewhile(str.strip, doc(entry).splitlines()))
    return re.split(r"(?<=[.?])\s", text)[0].rstrip(":")


def _page(section: Section, entries: list[tuple[str, Any]]) -> str:
    lines = [f"# {section.title}", "", section.intro, ""]
    for name, entry in entries:
        lines += [f"## `{name}`", "", _kind(entry), "", *entry_of(name, entry)]
    return "\n".join(lines).rstrip() + "\n" + MARK


def _kind(entry: Any) -> str:
    """What it is, and where it is defined."""
    return f"*{kind_of(entry)}* of `{entry.parent.path}`{_bases(entry)}"


def _bases(entry: Any) -> str:
    shown = [str(base) for base in getattr(entry, "bases", ()) if str(base) not in {"ABC", "Protocol"}]
    return f"; inherits {', '.join(f'`{base}`' for base in shown)}" if shown else ""


def entry_of(name: str, entry: Any) -> Iterator[str]:
    """The signature, the docstring, the fields and the members of a name, in Markdown."""
    if not name.startswith("luthier."):
        name = entry.name
    yield from ("```py", signature(name.rpartition(".")[2], entry), "```", "", doc(entry), "")
    if not entry.is_class:
        return
    members = public(entry)
    fields = {key: one for key, one in members.items() if is_field(one)}
    if fields:
        yield from ("| field | type | default | what it is |", "| --- | --- | --- | --- |")
        yield from (_row(key, one, entry) for key, one in fields.items())
        yield ""
    tests = [key for key in members if key.startswith("test_")]
    for key, one in members.items():
        if key in fields or key in tests:
            continue
        origin = "" if one.parent is entry else f" (of `{one.parent.name}`)"
        yield from (f"### `{entry.name}.{key}`{origin}", "")
        yield from ("```py", signature(key, one), "```", "", doc(one, entry), "")
    if tests:
        yield from ("Its tests:", "", *(f"- `{test}`" for test in tests), "")


def _row(name: str, field: Any, owner: Any) -> str:
    cells = (f"`{name}`", _code(type_of(field, owner)), _code(default_of(field)), field_doc(field, owner))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def frozen() -> str:
    """Every name, member and signature of the API, a line each, as the test of the API compares them."""
    lines = []
    for name, entry in {**names(), **suites()}.items():
        lines.append(_flat(name, entry))
        for key, member in public(entry).items() if entry.is_class else ():
            if is_field(member):
                lines.append(f"{name}.{key}: {type_of(member, entry)}".removesuffix(": "))
            else:
                lines.append(_flat(f"{name}.{key}", member))
    major, minor = api.VERSION
    head = [
        f"# Every name and signature of luthier.api {major}.{minor} and luthier.testing.",
        "# Whoever changes this file raises VERSION in framework/luthier/api/__init__.py: the minor number for what is",
        "# new, the major one for what changed or is gone. `python docs/generate/python_api.py` writes it.",
    ]
    return "\n".join([*head, *sorted(lines)]) + "\n"


def _flat(name: str, entry: Any) -> str:
    """A signature on one line; of a constant its name alone, as the value is no part of the contract."""
    if entry.is_attribute and "property" not in entry.labels:
        return f"{name} = {entry.value}" if kind_of(entry) == "type" else f"{name}: {entry.annotation or 'constant'}"
    flat = " ".join(signature(name, entry).split()).replace("( ", "(").replace(", )", ")")
    marks, kind, rest = re.match(r"((?:@\w+ )*)((?:def|class) )?(.+)", flat).groups()  # type: ignore[union-attr]
    return " ".join(filter(None, [rest, f" # {marks}{kind or ''}".rstrip() if marks or kind == "class " else ""]))


def write_pages(folder: Path, pages: Mapping[str, str]) -> None:
    """Write pages by their names, and remove others that the folder holds."""
    for file in folder.glob("*.md"):
        if file.name not in pages:
            file.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    written = pages()
    write_pages(FOLDER, written)
    FROZEN.write_text(frozen(), encoding="utf-8")
    print(f"{len(names())} names in {len(written)} pages of {FOLDER}, and {FROZEN}")
    print("\n".join(f"without a docstring: {name}" for name in undocumented()))


if __name__ == "__main__":
    main()
