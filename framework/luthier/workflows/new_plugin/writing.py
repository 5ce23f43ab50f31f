"""Write a new plugin: its files from the templates, with the names put in.

Templates are files of the package as they will be, but for `$package`, `$answer` and a few more: `string.Template` is
enough, where Jinja's braces would have to be escaped in Python, YAML and GitHub's workflows alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template

from luthier.disk.writing import write_text
from luthier.version import __version__
from luthier.workflows.new_plugin.kinds import Kind
from luthier.workflows.new_plugin.names import Names

TEMPLATES = Path(__file__).parent / "templates"
OF_THE_API = ("ReportSection", "RunRecord", "Verb")
"""What hooks name in their annotations, beside `DictConfig`."""
NO_HOOKS = '"""Imported by every command, so it imports no torch; the option files are in `recipes` beside it."""\n'


def write(names: Names, kinds: Sequence[Kind], folder: Path) -> list[Path]:
    """Write the files of the package into a new folder, and give their paths."""
    written = []
    for place, text in files(names, kinds):
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text)
        written.append(file)
    return written


def files(names: Names, kinds: Sequence[Kind]) -> Iterator[tuple[str, str]]:
    """(path, content) of each file."""
    package = f"src/{names.package}"
    values = _values(names, kinds)
    for template in sorted(path for path in (TEMPLATES / "package").rglob("*.template")):
        place = template.relative_to(TEMPLATES / "package").as_posix().removesuffix(".template")
        yield place.replace("GITIGNORE", ".gitignore").replace("GITHUB", ".github"), _filled(template, values)
    yield f"{package}/__init__.py", _hooks(names, kinds, values)
    yield f"{package}/py.typed", ""
    if any(kind.question for kind in kinds):
        yield f"{package}/recipes/__init__.py", ""
    for kind in kinds:
        of_kind = TEMPLATES / "kinds" / kind.name
        places = {
            "part.py": f"{package}/{kind.name}.py",
            "option.yaml": f"{package}/recipes/{kind.question}/{names.answer}.yaml",
            "test.py": f"tests/test_{kind.name}.py",
        }
        for name, place in places.items():
            if (template := of_kind / f"{name}.template").is_file():
                yield place, _filled(template, values)


def _values(names: Names, kinds: Sequence[Kind]) -> dict[str, str]:
    major, minor = (int(number) for number in __version__.split(".")[:2])
    return {
        "name": names.distribution,
        "package": names.package,
        "answer": names.answer,
        "verb": f"{names.answer.replace('_', '-')}-scores",
        "bound": f">={major}.{minor},<{major}.{minor + 1}" if major == 0 else f">={major}.{minor},<{major + 1}",
        "kinds": ", ".join(kind.name.replace("_", " ") for kind in kinds),
        "uses": "\n".join(dict.fromkeys(_use(kind, names) for kind in kinds)),
        "parts": "\n".join(_row(kind, names) for kind in kinds),
    }


def _use(kind: Kind, names: Names) -> str:
    """The command that uses the part of this kind."""
    if kind.name == "verb":
        return f"luthier {names.answer.replace('_', '-')}-scores runs/RUN"
    return " ".join(filter(None, ("luthier", kind.asked_by, kind.use.replace("ANSWER", names.answer))))


def _row(kind: Kind, names: Names) -> str:
    where = f"`{kind.question}={names.answer}`" if kind.question else "a hook"
    has_code = (TEMPLATES / "kinds" / kind.name / "part.py.template").is_file()
    file = f"{kind.name}.py" if has_code else f"recipes/{kind.question}/{names.answer}.yaml"
    return f"| {kind.name.replace('_', ' ')}: {kind.does} | {where} | `src/{names.package}/{file}` |"


def _hooks(names: Names, kinds: Sequence[Kind], values: dict[str, str]) -> str:
    """The module of the plugin, with the hooks of those kinds that are no answers to a question."""
    templates = [TEMPLATES / "kinds" / kind.name / "hooks.py.template" for kind in kinds]
    hooks = [_filled(template, values).strip() for template in templates if template.is_file()]
    if not hooks:
        return NO_HOOKS
    used = [name for name in OF_THE_API if any(name in hook for hook in hooks)]
    imports = [f"    from luthier.api import {', '.join(used)}"] if used else []
    imports += ["    from omegaconf import DictConfig"] if any("DictConfig" in hook for hook in hooks) else []
    head = [
        '"""Hooks only; every command imports them, so nothing here imports torch."""',
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Iterable",
        "from typing import TYPE_CHECKING",
        "",
        "from luthier.api import hookimpl",
        "",
        "if TYPE_CHECKING:",
        *imports,
    ]
    return "\n".join(head) + "\n\n\n" + "\n\n\n".join(hooks) + "\n"


def _filled(template: Path, values: dict[str, str]) -> str:
    return Template(template.read_text(encoding="utf-8")).substitute(values)
