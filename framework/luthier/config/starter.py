"""A starter recipe for a data file: settings are filled in from its rows, useful alternatives are comments."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import DataError

if TYPE_CHECKING:
    from luthier.data.formats.detect import Detected

LOOK_AT = 64
MOST_LABELS = 20
CHARACTERS_PER_TOKEN = 3.5  # of English, roughly; only the length of a block is chosen with it
COMMENTS_AT = 48
FILE = "  file: "
LENGTHS = (256, 512, 1024, 2048, 4096)


@dataclass(frozen=True, slots=True)
class Look:
    """What the first rows of a file show: the `data` answer that reads it, the format, the task, how long a row is."""

    file: Path
    answer: str
    format: Detected
    task: str
    why: str
    length: int

    @classmethod
    def at(cls, path: Path) -> Look:
        """DataError where the file is not there, cannot be read, or has rows of no known format."""
        from luthier.data.formats.detect import detect, no_format

        answer, rows = _rows(path)
        detected = detect(rows)
        if not detected.name and not detected.rename:
            raise _at(no_format(rows), path)
        task, why = _task(detected.name or detected.nearest, [_renamed(row, detected.rename) for row in rows])
        longest = max(len(json.dumps(row, ensure_ascii=False)) for row in rows) / CHARACTERS_PER_TOKEN
        length = next((length for length in LENGTHS if length >= longest), LENGTHS[-1])
        return cls(path, answer, detected, task, why, length)


def rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a file; those that cannot be read are passed over."""
    from luthier.data.readers.by_ending import ByEnding, reader_for

    known = reader_for(path)
    reader = known[1] if known and not path.is_dir() else ByEnding()
    return [record.row for file in reader.files(path) for record in reader.records(file, str(file)) if record.row]


def _rows(path: Path) -> tuple[str, list[dict[str, Any]]]:
    from luthier.data.readers.by_ending import ByEnding, reader_for

    known = reader_for(path)
    answer, reader = known if known and not path.is_dir() else ("folder", ByEnding())
    rows: list[dict[str, Any]] = []
    for file in reader.files(path):
        for record in islice(reader.records(file, str(file)), LOOK_AT):
            if record.row is None:
                raise record.fault or DataError("The row cannot be read.", where=record.where)
            rows.append(record.row)
    if not rows:
        raise DataError("There is no row in it.", where=str(path))
    return answer, rows[:LOOK_AT]


def _at(error: DataError, path: Path) -> DataError:
    error.where = error.where or str(path)
    return error


def _renamed(row: dict[str, Any], rename: dict[str, str]) -> dict[str, Any]:
    return {rename.get(key, key): value for key, value in row.items()}


def _task(form: str, rows: list[dict[str, Any]]) -> tuple[str, str]:
    """How to measure what was learned, and why so."""
    if form in {"classification", "rated"}:
        return "classification", "each row has its class"
    if form in {"text", "preference"}:
        return "none", "there is no answer to compare with"
    answers = Counter(answer for row in rows if (answer := _last_answer(row)))
    if answers and len(answers) <= min(MOST_LABELS, len(rows) // 2):
        return "classification", f"the first {len(rows)} rows have {len(answers)} different answers"
    return "generation", "answers are written freely"


def _last_answer(row: dict[str, Any]) -> str:
    """What the row's last turn, or its field of answers, says; empty where that is no text."""
    turns = row.get("messages") or row.get("conversations")
    last = turns[-1] if isinstance(turns, list) and turns and isinstance(turns[-1], dict) else row
    content = next((last[key] for key in ("content", "value", "completion", "output") if key in last), "")
    if isinstance(content, list) and content and isinstance(content[0], dict):
        content = content[0].get("text", "")
    return content if isinstance(content, str) else ""


def slug(path: Path) -> str:
    """A recipe's name from a file's: `My Data.v2.jsonl.gz` -> `my_data`."""
    words = re.sub(r"[^a-z0-9]+", "_", path.name.partition(".")[0].lower()).strip("_")
    return words or "mine"


def recipe(look: Look, name: str, schema: str) -> str:
    """The recipe's text."""
    form = look.format
    rename = [f"  rename: {_text(form.rename)}   # your columns, as the format calls them"] if form.rename else []
    reason = form.reason if form.name else f"once its columns are renamed below; {form.reason}"
    score = {"classification": "accuracy", "generation": "rouge_l"}.get(look.task, "loss")
    prose = (form.name or form.nearest) == "text"
    lines = [
        "# @package _global_",
        f"# Customise SmolLM2-135M-Instruct with {look.file.name}.   luthier recipe={name}",
        f"# yaml-language-server: $schema={schema}",
        "defaults:",
        "  - override /model: smollm2   # or hub (model: {id: organisation/name}), folder, run, …",
        "  - override /adaptation: lora   # or full, to move every weight",
        *(["  - override /method: cpt   # plain text has no answers: each token of it is trained on"] if prose else []),
        f"  - override /data: {look.answer}",
        f"  - override /data/format: {form.name or form.nearest}   # {reason}",
        f"  - override /evaluation/task: {look.task}   # {look.why}",
        "",
        "data:",
        FILE + _text(look.file.as_posix()),
        *rename,
        "  limit: null   # 200, for a first try",
        "adaptation: {rank: 16}   # more for harder tasks",
        "optimizer: {lr: 2.0e-4}   # what LoRA likes; 2.0e-5 with adaptation full",
        "batch:",
        "  size: 8   # blocks of one step, whatever the machine",
        "  micro: 1   # of one forward: more is faster, and needs more memory",
        f"  length: {look.length}   # tokens of a block",
        f"  overlong: {'split' if prose else 'error'}   # or truncate, drop, {'error' if prose else 'split'}: "
        "what happens to a longer example",
        "trainer: {epochs: 2, max_steps: null}   # max_steps: 40, for a first try",
        f"score: {score}",
    ]
    return "\n".join(map(_aligned, lines)) + "\n"


def _text(value: Any) -> str:
    """YAML from which OmegaConf reads this very value: text that looks like an interpolation is none."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(key)}: {_text(one)}" for key, one in value.items()) + "}"
    return _quoted(re.sub(r"(\\*)\$\{", r"\1\1\\${", value))


def _quoted(text: str) -> str:
    """JSON that YAML reads, too: signs that it takes for the end of a line, or refuses, are written by number."""
    return re.sub(
        r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]",
        lambda sign: f"\\u{ord(sign[0]):04x}",
        json.dumps(text, ensure_ascii=False),
    )


def _aligned(line: str) -> str:
    if line.startswith(FILE):  # what looks like a comment belongs to the name
        return line
    line = "".join(sign if sign.isprintable() else " " for sign in line)
    setting, sign, comment = line.partition("   # ")
    return f"{setting:<{COMMENTS_AT}}  # {comment}" if sign and not line.startswith("#") else line
