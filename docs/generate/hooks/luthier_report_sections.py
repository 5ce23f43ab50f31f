from luthier.api import ReportSection, hookimpl


@hookimpl
def luthier_report_sections(record):
    if record.training.seconds:
        price = f"{record.training.seconds / 3600 * 2.5:.2f}"
        yield ReportSection(title="Cost", columns=["device", "price"], rows=[[record.training.device, price]])
