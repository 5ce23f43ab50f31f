"""The words on an export: its model card, and the figure of its proof in the record of the run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.disk.writing import write_text
from luthier.errors import DataError
from luthier.records.folder import RunFolder
from luthier.reporting.card import card
from luthier.reporting.page import page
from luthier.reporting.record import RunRecord
from luthier.workflows.artifact_saving import add_card
from luthier.workflows.recording import proof_facts

if TYPE_CHECKING:
    from luthier.contracts.proof import Proof


def describe(artifact: Path, target: Path, proof: Proof) -> None:
    """Write a card into an export, and what was proved of it into the record, the report and the cards of its run.

    Nothing where the artifact lies here without its run; a run that cannot be written any more stays as it is.
    """
    run = RunFolder(artifact.parent)
    try:
        record = RunRecord.load(run.record)
    except DataError:
        return
    found = proof_facts("Export", proof)
    write_text(
        target / "README.md", card(replace(record, artifact="", artifact_kind="weights", proofs=[found]), exported=True)
    )
    named = replace(found, what=f"Export {target.name}")
    record.proofs = [*(each for each in record.proofs if each.what != named.what), named]
    with suppress(OSError):
        record.save(run.record)
        write_text(run.report, page(record))
        write_text(run.card, card(record))
        add_card(artifact, card(record))
