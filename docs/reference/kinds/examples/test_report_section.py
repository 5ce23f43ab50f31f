from luthier.testing.report_section import ReportSectionContract


class TestCost(ReportSectionContract):
    plugin = "kind_examples.report_section"
