"""A section of the report that a plugin gives."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class ReportSection:
    """A section of the report and of the model card: a title, paragraphs and a table, all of them plain text.

    - *Given*: the hook `luthier_report_sections` is given the `RunRecord` of the run, whole but for these sections.
    - *Returns*: any number of sections, in the order in which they stand. Text is escaped: it stays text.
    - *Called*: once, when a run has ended, before its record, report and card are written.
    - *Ranks*: the first alone.
    - *Raises*: what it raises, or gives of another type, is a warning in the report; the run has its result.
    - *Resume*: a resumed run calls it at its own end; the record is that of the whole run.
    - *Nested*: a hook has no questions. What is to be set belongs to a part, whose settings `record.resolved` has.
    """

    title: str
    """The heading."""
    paragraphs: list[str] = field(default_factory=list)
    """What stands below it."""
    columns: list[str] = field(default_factory=list)
    """The heads of the columns of its table; none: no table."""
    rows: list[list[str]] = field(default_factory=list)
    """The rows of its table, a text for each column."""
