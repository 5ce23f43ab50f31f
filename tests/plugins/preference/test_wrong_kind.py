"""An objective of another kind is refused as a wrong recipe; what its own code raises is its fault."""

from __future__ import annotations

import pytest

from luthier.api import RecipeError
from luthier_preference.reference_point import uses_reference_point
from luthier_preference.reference_use import uses_reference


@pytest.mark.parametrize("uses", [uses_reference, uses_reference_point])
def test_an_objective_that_reads_what_is_not_there_is_of_another_kind_and_told_with_its_line(uses):
    def of_tokens(tokens):
        return tokens.ratio_of_tokens

    with pytest.raises(RecipeError, match=r"of_tokens is not an objective for .*test_wrong_kind\.py:15\)"):
        uses(of_tokens)


@pytest.mark.parametrize("uses", [uses_reference, uses_reference_point])
def test_what_cannot_be_called_is_of_another_kind(uses):
    with pytest.raises(RecipeError, match="is not an objective for"):
        uses(object())


@pytest.mark.parametrize("uses", [uses_reference, uses_reference_point])
def test_an_error_inside_of_an_objective_is_raised_as_it_is(uses):
    def broken(given):
        return len(5)

    with pytest.raises(TypeError):
        uses(broken)
