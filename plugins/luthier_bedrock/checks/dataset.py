"""A whole file, and a validation file beside it, against the limits of a job."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.api import DataError
from luthier_bedrock.checks.conversation_rules import buckets_of, conversation_faults, media_of
from luthier_bedrock.checks.other_rules import rft_faults, text_faults
from luthier_bedrock.checks.table import Base, JobLimits, limits_of, source_of, table
from luthier_bedrock.files.log import InvocationLog, conversation_of_record
from luthier_bedrock.files.reading import lines_of_file

NAME = re.compile(r"[A-Za-z0-9_\-.]+\.jsonl")


@dataclass(frozen=True)
class Fault:
    """File:line, or the file, and the reason."""

    where: str
    reason: str


@dataclass
class Verdict:
    """What a check found: faults keep a job from running, notes are worth knowing."""

    base: Base
    job: str
    limits: JobLimits
    records: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    media: dict[str, str] = field(default_factory=dict)
    buckets: dict[str, str] = field(default_factory=dict)
    tools: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values, for scripts."""
        return {
            "go": not self.faults,
            "base": self.base.name,
            "model": self.base.model,
            "job": self.job,
            "records": dict(self.records),
            "bad": sum(self.bad.values()),
            "faults": [{"where": one.where, "reason": one.reason} for one in self.faults],
            "notes": self.notes,
            "limits_read": str(table()["read"]),
        }


def check_files(file: str, validation: str | None, base: Base, job: str) -> Verdict:
    """Hold a file against the limits; each bad line is named with each of its reasons."""
    verdict = Verdict(base, job, limits_of(base, job))
    for one in filter(None, (file, validation)):
        _check_file(one, verdict)
    _check_whole(file, validation, verdict)
    return verdict


def _check_file(file: str, verdict: Verdict) -> None:
    if not NAME.fullmatch(Path(file).name):
        reason = "the name of the file must end in .jsonl and have letters, digits, _, -, / and . alone"
        verdict.faults.append(Fault(file, f"{reason} ({source_of('nova_data')})"))
    if _has_mark(Path(file)):
        reason = "the file begins with a byte order mark, at which the vendor's validator ends"
        verdict.faults.append(Fault(f"{file}:1", f"{reason} ({source_of('nova_validator')})"))
    verdict.records[file] = 0
    for where, line in lines_of_file(file):
        verdict.records[file] += 1
        if isinstance(line, DataError):
            reasons, where = [line.message.rstrip(".")], line.where or where
        else:
            reasons = _reasons(line, where, verdict)
        verdict.bad[file] += bool(reasons)
        verdict.faults += [Fault(where, reason) for reason in reasons]


def _has_mark(file: Path) -> bool:
    """Whether a file begins with a byte order mark."""
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return stream.read(3) == b"\xef\xbb\xbf"


def _reasons(line: Mapping[str, Any], where: str, verdict: Verdict) -> list[str]:
    if verdict.job == "rft":
        return rft_faults(line)
    if verdict.job == "cpt":
        return text_faults(line, verdict.base)
    row = line
    if verdict.job == "distillation" and InvocationLog().recognises(line):
        try:
            row = {"schemaVersion": "bedrock-conversation-2024", **conversation_of_record(line)}
        except DataError as fault:
            return [fault.message.rstrip(".")]
    if reasons := conversation_faults(row, verdict.base, verdict.job):
        return reasons
    if "toolConfig" in row and not verdict.tools:
        verdict.tools = where
    for kind in media_of(row):
        verdict.media.setdefault(kind, where)
    for bucket in buckets_of(row):
        verdict.buckets.setdefault(bucket, where)
    return []


def _check_whole(file: str, validation: str | None, verdict: Verdict) -> None:
    """What no single line shows: how many there are, and media of several kinds or from several places."""
    limits, base, published = verdict.limits, verdict.base, f"({source_of(verdict.limits.source)})"
    count, everything = verdict.records[file], sum(verdict.records.values())
    if not count:
        verdict.faults.append(Fault(file, "the file has no record"))
    elif limits.least is not None and count < limits.least:
        verdict.faults.append(Fault(file, f"{count:,} records are fewer than {limits.least:,} {published}"))
    if limits.most is not None and everything > limits.most:
        with_validation = ", those for validation among them," if validation else ""
        verdict.faults.append(
            Fault(file, f"{everything:,} records{with_validation} are more than {limits.most:,} {published}")
        )
    if limits.advised is not None and count < limits.advised:
        verdict.notes.append(
            f"{count:,} records are fewer than the {limits.advised:,} that are recommended {published}"
        )
    if validation and not base.validation:
        verdict.faults.append(
            Fault(validation, f"{base.name} takes no file for validation ({source_of('nova_2_data')})")
        )
    if {"image", "video"} <= verdict.media.keys():
        where = f"{verdict.media['image']} and {verdict.media['video']}"
        verdict.faults.append(Fault(where, f"a dataset has images or videos, not both ({source_of('nova_data')})"))
    if len(verdict.buckets) > 1:
        verdict.faults.append(Fault(list(verdict.buckets.values())[1], "media lie in the buckets "
                                    f"{', '.join(verdict.buckets)}; all must be in the dataset's "
                                    f"({source_of('nova_data')})"))  # fmt: skip
    if verdict.tools and base.name == "nova-2-lite":
        verdict.notes.append(f"tools ({verdict.tools}) might make the job fail ({source_of('nova_2_data')})")
    if limits.only_recipe:
        verdict.notes.append(f"Bedrock itself does not pre-train {base.name} ({source_of('customization')}); "
                             "the file is for the Nova recipe on SageMaker")  # fmt: skip
    verdict.notes.append(f"not checked, as no source has it: {table()['not_found'][verdict.job]}")
