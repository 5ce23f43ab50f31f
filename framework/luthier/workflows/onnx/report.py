"""The words on an export to ONNX: its page, and its figures in the record and the report of the run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from luthier.contracts.report_section import ReportSection
from luthier.disk.writing import write_text
from luthier.errors import DataError
from luthier.records.folder import RunFolder
from luthier.reporting.card import card
from luthier.reporting.page import page
from luthier.reporting.record import RunRecord
from luthier.workflows.artifact_saving import add_card
from luthier.workflows.onnx.export import FILE, OnnxFacts


def describe_onnx(artifact: Path, target: Path, facts: OnnxFacts) -> None:
    """Write a page into an export, and its figures into the record, the report and the card of its run.

    Where the artifact lies here without its run, or the run cannot be written any more, that stays as it is.
    """
    section = _section(target.name, facts)
    lines = [f"# {target.name}", "", *section.paragraphs, ""]
    lines += [f"| {' | '.join(row)} |" for row in (section.columns, ["---"] * 3, *section.rows)]
    write_text(target / "README.md", "\n".join(lines) + "\n")
    run = RunFolder(artifact.parent)
    try:
        record = RunRecord.load(run.record)
    except DataError:
        return
    record.sections = [*(one for one in record.sections if one.title != section.title), section]
    with suppress(OSError):
        record.save(run.record)
        write_text(run.report, page(record))
        write_text(run.card, card(record))
        add_card(artifact, card(record))


def _section(name: str, facts: OnnxFacts) -> ReportSection:
    (before, after), (size, written) = facts.milliseconds, facts.bytes
    kind = "with matrices in 8 bits" if facts.int8 else "in float32"
    return ReportSection(
        title=f"Export {name}",
        paragraphs=[
            f"{FILE}, {kind}, for onnxruntime on the CPU: int64 input_ids and attention_mask [batch, tokens], of any "
            f"size; logits of {', '.join(facts.labels)}.",
            f"Of {facts.texts:,} texts ({facts.source}) all labels are those of the network, and scores differ by "
            f"{facts.largest:.2g} at most; {facts.bound:g} was allowed.",
        ],
        columns=["", "torch", "onnxruntime"],
        rows=[
            ["a text at a time, median", f"{before:.1f} ms", f"{after:.1f} ms"],
            ["size of the weights", f"{size / 1e6:.1f} MB", f"{written / 1e6:.1f} MB"],
        ],
    )
