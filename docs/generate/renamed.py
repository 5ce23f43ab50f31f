"""Fill the table of renamed things into CHANGELOG.md from plugins/renamed.json: `python docs/generate/renamed.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from luthier.plugins.renamed import UNTIL, table

PAGE = Path(__file__).parents[2] / "CHANGELOG.md"
PLACE = re.compile(r"(?<=<!-- renamed -->\n).*?(?=<!-- end renamed -->)", re.DOTALL)


def filled(page: str) -> str:
    """The page with the tables as renamed.json has them now."""
    return PLACE.sub(lambda _: "\n".join(_lines()) + "\n", page)


def _lines() -> Iterator[str]:
    names = {old: new if "." in new else f"luthier.api.{new}" for old, new in table()["names"].items()}
    yield from ("", f"All old names go on working until {UNTIL}, each with a warning that says the new one.", "")
    yield from _keys("setting", "settings")
    yield from _keys("entry of a mapping, and value of `score`", "entries")
    yield from _table("answer", table()["answers"].items())
    yield from _table("`_target_` of an option file", table()["targets"].items())
    yield from _table("name that a plugin imports", names.items())
    yield from ("These names have no equal; an import of one says what is there instead:", "")
    yield from ("| name that a plugin imported | instead |", "| --- | --- |")
    yield from (f"| `{old}` | {reason} |" for old, reason in sorted(table()["gone"].items()))
    yield ""
    modules = ", ".join(f"`{name}`" for name in table()["modules"])
    yield "Names that are in no table are imported from `luthier.api` under their old name, instead of from"
    yield f"{modules}."


def _keys(what: str, kind: str) -> Iterator[str]:
    yield from (f"| {what} | now | of |", "| --- | --- | --- |")
    for target, names in sorted(table()[kind].items()):
        yield from (f"| `{old}` | `{new}` | `{target}` |" for old, new in sorted(names.items()))
    yield ""


def _table(what: str, pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield from (f"| {what} | now |", "| --- | --- |")
    yield from (f"| `{old}` | `{new}` |" for old, new in sorted(pairs))
    yield ""


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
