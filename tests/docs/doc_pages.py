"""The pages of the documentation, and the code that stands in them.

Fences of `bash` and `console` are commands, a fence with `title="…"` is a file, and a fence of `python` without one is
run; `py` marks a signature, which is not. A comment in front of a fence says what is special about it:
`<!-- exit 3 -->`, `<!-- not run: the reason -->`, or `<!-- shortened: key=value … -->`, which is added to its commands
when they are run here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_OPEN = re.compile(r"^(?P<indent> *)```(?P<language>[\w-]*)(?P<rest>.*)$")
_REMARK = re.compile(r"<!--\s*(.*?)\s*-->", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fence:
    """A block of code in a page: its language, the file that it is, what the remark before it says, and its text."""

    page: Path
    line: int
    language: str
    title: str
    remark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def why_not_run(self) -> str:
        return self.remark.removeprefix("not run:").strip() if self.remark.startswith("not run:") else ""

    @property
    def shortened(self) -> list[str]:
        return self.remark.removeprefix("shortened:").split() if self.remark.startswith("shortened:") else []

    @property
    def exit_code(self) -> int:
        found = re.fullmatch(r"exit (\d+)", self.remark)
        return int(found[1]) if found else 0

    def commands(self) -> list[Command]:
        """The commands of a `bash` or `console` fence; of the latter, with the output that the page shows."""
        if self.language not in {"bash", "console"}:
            return []
        prompt = "$ " if self.language == "console" else ""
        found: list[Command] = []
        for line in self.text.replace("\\\n", " ").splitlines():
            said = line.removeprefix(prompt).partition(" # ")[0].strip()
            if not line.startswith(prompt):
                found[-1].shown.append(line)
            elif said and not said.startswith("#"):
                found.append(Command(said))
        return found


@dataclass(slots=True)
class Command:
    """One command and the lines of output that the page shows for it."""

    text: str
    shown: list[str] = field(default_factory=list)

    def missing_from(self, output: str) -> list[str]:
        """Shown lines that the output lacks; white space does not count, and `…` stands for anything."""
        there = " ".join(output.split())
        return [line for line in self.shown if not re.search(_as_pattern(line), there)]


def _as_pattern(line: str) -> str:
    return ".*".join(re.escape(" ".join(part.split())) for part in line.split("…"))


def pages() -> list[Path]:
    """The README, the other papers at the top, and all of docs/."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
    return [*top, *sorted(DOCS.rglob("*.md"))]


def fences(page: Path) -> list[Fence]:
    """All fences of a page in order."""
    found, lines, remark = [], page.read_text(encoding="utf-8").splitlines(), ""
    numbered = iter(enumerate(lines, 1))
    for number, line in numbered:
        opened = _OPEN.match(line)
        if not opened:
            said = _REMARK.fullmatch(line.strip())
            remark = said[1] if said else remark if not line.strip() else ""
            continue
        indent = len(opened["indent"])
        text = []
        for _, inner in numbered:
            if inner.strip() == "```":
                break
            text.append(inner[indent:])
        title = re.search(r'title="([^"]+)"', opened["rest"])
        found.append(Fence(page, number, opened["language"], title[1] if title else "", remark, "\n".join(text) + "\n"))
        remark = ""
    return found
