"""`luthier plugin-check DIST`: check an installed distribution of plugins; exit code 7 where something is wrong."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from luthier.cli.call import Call
from luthier.errors import PluginError

MARKS = {"passed": "ok", "skipped": "skipped", "failed": "FAULT"}


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("distribution", metavar="DIST", help="the name with which pip installed it")
    parser.add_argument("--no-twins", action="store_true", help="read it only; carry out no answer")
    words = "settings that an answer cannot do without, such as data.file=rows.jsonl"
    parser.add_argument("words", nargs="*", metavar="key=value", help=words)


def act(call: Call) -> int:
    from dataclasses import asdict

    from luthier.cli.verbs import BUILT_IN
    from luthier.workflows.plugin_check.check import findings
    from luthier.workflows.plugin_check.subject import Subject

    composer = call.composer()
    subject = Subject.of(call.arguments.distribution, call.plugins, composer.catalog)
    found = []
    for finding in findings(
        subject,
        composer,
        verbs=frozenset(BUILT_IN),
        with_twins=not call.arguments.no_twins,
        words=call.arguments.words,
        say=call.console.say,
    ):
        found.append(finding)
        if not call.console.as_json:
            call.console.data(f"{MARKS[finding.state]:<8} {finding.check:<13} {finding}")
            sys.stdout.flush()  # to a pipe, too: the next may take a minute
    counts = Counter[str](finding.state for finding in found)
    call.console.data(
        _summary(str(subject), counts),
        {
            "distribution": subject.distribution.name,
            "version": subject.distribution.version,
            "ok": not counts["failed"],
            "counts": dict(counts),
            "findings": [asdict(finding) for finding in found],
        },
    )
    return PluginError.code if counts["failed"] else 0


def _summary(name: str, counts: Counter[str]) -> str:
    faults, passed = counts["failed"], counts["passed"]
    told = f"{faults} fault{'s' * (faults != 1)}" if faults else "no fault"
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    return f"\n{name}: {told}, {passed} check{'s' * (passed != 1)} passed{skipped}."
