"""Write docs/reference/kinds/: `python docs/generate/kinds.py`.

A page for each kind of part, made of the docstring and signature of its contract in `luthier.api`, and of the files of
its example below docs/reference/kinds/examples, which tests compose and run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from python_api import entry_of, write_pages
from python_sections import section_of
from python_source import ROOT, homes, names

from luthier.testing.kinds import KINDS, Kind

FOLDER = ROOT / "docs" / "reference" / "kinds"
EXAMPLES = FOLDER / "examples"
PACKAGE = "kind_examples"
MARK = "\n<!-- Written by docs/generate/kinds.py; change the docstrings and the examples that it reads. -->\n"


def pages() -> dict[str, str]:
    """All pages by their names below docs/reference/kinds."""
    return {"index.md": _index(), **{f"{kind.name}.md": _page(kind) for kind in KINDS}}


def title(kind: Kind) -> str:
    return kind.name.replace("_", " ").capitalize()


def option_file(kind: Kind) -> Path | None:
    """The option file of the example; None where a hook gives the part."""
    module = f"{PACKAGE}.{kind.name}."
    files = sorted((EXAMPLES / PACKAGE / "recipes" / kind.question).glob("*.yaml")) if kind.question else []
    return next((file for file in files if module in file.read_text(encoding="utf-8")), None)


def _index() -> str:
    rows = [
        f"| [{title(kind)}]({kind.name}.md) | {f'`{kind.question}`' if kind.question else 'a hook'} "
        f"| {', '.join(f'`{name}`' for name in kind.contracts)} | `luthier.testing.{kind.suite}` |"
        for kind in KINDS
    ]
    return "\n".join([
        "# Kinds of parts",
        "",
        "What a plugin can add, a page for each kind: the contract in `luthier.api`, a worked example, and the suite "
        "that checks it. [Write a plugin](../../how-to/write-a-plugin.md) says how they become a distribution.",
        "",
        "| kind | question | contract | suite |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
        "Positional parameters of a part are other parts, which luthier hands over; keyword-only parameters are "
        "settings, with the same defaults in the option file. A question of a part's own is a line of the `defaults` "
        "of its option file: `finder: first` asks for an answer in the folder of that name below its own question, "
        "`/model@base: tiny` for an answer to a question that there is already. The answer fills the parameter of "
        "that name.",
    ]) + "\n" + MARK  # fmt: skip


def _page(kind: Kind) -> str:
    return "\n".join([f"# {title(kind)}", "", *_contract(kind), *_example(kind), *_suite(kind)]).rstrip() + "\n" + MARK


def _contract(kind: Kind) -> Iterator[str]:
    by_hook = "A [hook](../hooks.md) gives it: a function of the plugin's module, which luthier calls."
    yield f"It answers the question `{kind.question}`." if kind.question else by_hook
    yield ""
    for name in kind.contracts:
        section = section_of(homes()[name])
        assert section is not None
        yield from (f"## `luthier.api.{name}`", "", *entry_of(name, names()[name]))
        yield from (f"[`{name}` in the Python reference](../python/{section.file}#{name.lower()})", "")


def _example(kind: Kind) -> Iterator[str]:
    yield from ("## An example", "")
    modules = [EXAMPLES / PACKAGE / f"{name}.py" for name in (kind.name, f"{kind.name}_lines")]
    for file in [*filter(Path.is_file, modules), *filter(None, [option_file(kind)])]:
        language = "python" if file.suffix == ".py" else "yaml"
        shown = file.relative_to(EXAMPLES)
        yield from (f'```{language} title="{shown}"', file.read_text(encoding="utf-8").rstrip(), "```", "")


def _suite(kind: Kind) -> Iterator[str]:
    test = EXAMPLES / f"test_{kind.name}.py"
    yield from ("## Its suite", "")
    yield "Inherit it in your tests. `plugins` names modules that are not installed: an installed plugin needs none."
    yield from ("", f'```python title="{test.name}"', test.read_text(encoding="utf-8").rstrip(), "```", "")
    yield f"[What it checks](../python/testing.md#luthiertesting{kind.suite.replace('.', '').lower()})"


def main() -> None:
    written = pages()
    write_pages(FOLDER, written)
    print(f"{len(written)} pages in {FOLDER}")


if __name__ == "__main__":
    main()
