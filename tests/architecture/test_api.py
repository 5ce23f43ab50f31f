"""A change of the API is seen in review: every name and signature stands in api.txt."""

from __future__ import annotations

from tests.scripts import script

python_api = script("python_api")


def test_names_and_signatures_are_those_of_the_frozen_list():
    written, now = python_api.FROZEN.read_text(encoding="utf-8").splitlines(), python_api.frozen().splitlines()
    gone, new = [line for line in written if line not in now], [line for line in now if line not in written]
    assert written == now, (
        f"The API is not that of {python_api.FROZEN.name}: {len(gone)} lines changed or are gone {gone}, "
        f"{len(new)} are new {new}. Raise VERSION in framework/luthier/api/__init__.py, the minor number for what is "
        "new and the major one for what changed or is gone, then run `python docs/generate/python_api.py`."
    )
