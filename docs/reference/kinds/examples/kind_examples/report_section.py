"""What a training cost, in the report."""

from luthier.api import ReportSection, hookimpl


@hookimpl
def luthier_report_sections(record):
    if record.training.seconds is not None:
        price = f"{record.training.seconds / 3600 * 2.5:.4f} €"
        yield ReportSection(
            title="What it cost",
            paragraphs=["At 2.50 € an hour, without what was measured."],
            columns=["device", "price"],
            rows=[[record.training.device, price]],
        )
