"""What every section of a report keeps to; inherit it, and say the plugin.

class TestMine(ReportSectionContract):
    plugin = "mine"
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from luthier.contracts.report_section import ReportSection
from luthier.reporting.record import RunRecord
from luthier.testing.part import brought
from luthier.testing.twin import composer, twin
from luthier.workflows.run import Run


class ReportSectionContract:
    """`plugin` is the module with the hook `luthier_report_sections`; `words` make a run whose report has one."""

    plugin: ClassVar[str]
    words: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def run(cls, folder: Path) -> Run:
        """The tiny twin, carried out."""
        module = cls.plugin.partition(":")[0]
        installed = any(one.module.partition(":")[0] == module for one in composer().plugins.known)
        run = twin(folder, *cls.words, plugins=() if installed else (module,))
        run.carry_out()
        return run

    def test_its_module_brings_no_torch(self) -> None:
        """Every command imports it."""
        assert brought(self.plugin.partition(":")[0]) == []

    def test_the_record_the_report_and_the_card_have_it(self, tmp_path: Path) -> None:
        run = self.run(tmp_path / "run")
        sections: list[ReportSection] = RunRecord.load(run.folder.record).sections
        assert sections
        for section in sections:
            assert section.title
            assert section.title in run.folder.report.read_text(encoding="utf-8")
            assert section.title in run.folder.card.read_text(encoding="utf-8")
