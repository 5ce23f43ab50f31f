"""Put measured figures into pages: `python docs/generate/measured.py [NAME RUN]`.

With NAME and RUN, the record of a finished run becomes docs/measured/NAME.json first. A page marks where figures go,
`<!-- measured NAME view -->` … `<!-- end measured -->`; what stands between is written from the record alone. The view
`benchmark` is the table that a script of tests/benchmarks left in docs/measured/benchmarks/NAME.json.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from luthier.reporting import story, terminal
from luthier.reporting.facts import facts
from luthier.reporting.figures import duration, format_interval, format_number, format_signed, title
from luthier.reporting.record import RunRecord

ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "docs" / "measured"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(
    r"(?P<open><!-- measured (?P<name>\w+) (?P<view>\w+) -->\n).*?(?P<close><!-- end measured -->)", re.DOTALL
)

WORDS = {"not distinguishable": "not distinguishable from no change"}


def filled(text: str) -> str:
    """The page with every block written anew from its record."""
    return BLOCK.sub(lambda block: f"{block['open']}{_written(block['name'], block['view'])}\n{block['close']}", text)


def _written(name: str, view: str) -> str:
    if view == "benchmark":
        file = MEASURED / "benchmarks" / f"{name}.json"
        return str(json.loads(file.read_text(encoding="utf-8"))["table"]) if file.is_file() else "*Not measured yet.*"
    if not (MEASURED / f"{name}.json").is_file():
        return f"*Not measured yet; `python docs/generate/measured.py {name} RUN` puts the figures here.*"
    return VIEWS[view](record(name))


def record(name: str) -> RunRecord:
    return RunRecord.load(MEASURED / f"{name}.json")


def before_and_after(run: RunRecord, without: tuple[str, ...] = ("perplexity", "general_perplexity")) -> str:
    """What changed, as a table, and what it took, in a sentence; perplexities say again what losses say."""
    lines = ["| | before | after | change |", "| --- | --- | --- | --- |", *_rows(run, without)]
    known = facts(run)
    said = (
        f"Below each figure stands its {story.percent(run.confidence)} bootstrap interval over "
        f"{run.comparisons[0].after.count:,} held-out examples, none of which was trained on. The whole run took "
        f"{duration(run.seconds or 0)} on {known['Device']}: {known['Optimizer steps']} steps, "
        f"{known['Weights trained']} weights, {known['Speed']}, {known['Peak memory']} of memory. "
        f"Measured with luthier {run.versions['luthier']}, torch {run.versions['torch']}, seed {run.seed}."
    )
    return "\n".join([*lines, "", said])


def with_perplexities(run: RunRecord) -> str:
    """The same, with every score: for runs whose point is what the model predicts."""
    return before_and_after(run, without=())


def _rows(run: RunRecord, without: tuple[str, ...]) -> Iterator[str]:
    for one in run.comparisons:
        if one.name in without or one.before is None or one.after is None or one.change is None:
            continue
        cells = [
            f"{format_number(score.value)}<br><small>{format_interval(score)}</small>"
            for score in (one.before, one.after)
        ]
        change = f"{format_signed(one.change.value)}<br><small>{format_interval(one.change, sign=True)}</small>"
        yield f"| {title(one.name)} | {cells[0]} | {cells[1]} | {change} {WORDS.get(one.verdict, one.verdict)} |"


def as_on_a_terminal(run: RunRecord) -> str:
    """What the command prints at its end."""
    return f"```text\n{terminal.table(run)}\n```"


VIEWS: dict[str, Callable[[RunRecord], str]] = {
    "table": before_and_after, "perplexities": with_perplexities, "terminal": as_on_a_terminal,
}  # fmt: skip


def keep(name: str, run: Path) -> None:
    """Take over the record of a finished run."""
    MEASURED.mkdir(exist_ok=True)
    RunRecord.load(run / "record.json").save(MEASURED / f"{name}.json")


def main() -> None:
    if len(sys.argv) == 3:
        keep(sys.argv[1], Path(sys.argv[2]))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (new := filled(text)) != text:
            page.write_text(new, encoding="utf-8")
            print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
