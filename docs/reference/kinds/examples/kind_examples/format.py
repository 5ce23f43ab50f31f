"""Rows of a riddle and its solution."""

from luthier.api import DataError, Format


class Riddle(Format):
    """A riddle in the column `riddle` and its `solution`."""

    name = "riddle"
    expects = "`riddle` and `solution`"
    keys = (("riddle", "solution"),)  # for rows that misname them: these columns,
    synonyms = {"solution": ("answer", "reply")}  # and other names of theirs

    def __init__(self, *, upper: bool = False) -> None:
        self.upper = upper

    def recognises(self, row):
        return "`riddle` and `solution` stand side by side" if {"riddle", "solution"} <= row.keys() else ""

    def __call__(self, row, counts):
        if not self.recognises(row):
            raise DataError("It is no riddle.")
        solution = row["solution"].upper() if self.upper else row["solution"]
        turns = [{"role": "user", "content": row["riddle"]}, {"role": "assistant", "content": solution}]
        return {"messages": turns}
