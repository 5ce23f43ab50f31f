"""A node of a recipe becomes the part that it names."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from luthier.config.instantiate import instantiate
from luthier.errors import PluginError, RecipeError


class Chair:
    def __init__(self, *parts, **settings):
        self.parts, self.settings = parts, settings


class Refusing:
    def __init__(self):
        raise RecipeError("No.")


HERE = f"{__name__}.Chair"


def test_parts_come_first_and_settings_by_name():
    chair = instantiate({"_target_": HERE, "legs": 4}, "seat", "back")
    assert (chair.parts, chair.settings) == (("seat", "back"), {"legs": 4})


def test_nested_nodes_are_built_first_wherever_they_stand():
    chair = instantiate(
        {"_target_": HERE, "one": {"_target_": HERE}, "several": [{"a": {"_target_": HERE, "legs": 3}}]}
    )
    assert isinstance(chair.settings["one"], Chair)
    assert chair.settings["several"][0]["a"].settings == {"legs": 3}


def test_settings_arrive_as_plain_values():
    node = OmegaConf.create({"_target_": HERE, "sizes": [1, 2], "names": {"a": 1}})
    settings = instantiate(node).settings
    assert type(settings["sizes"]) is list
    assert type(settings["names"]) is dict


def test_text_that_looks_like_an_interpolation_stays_text():
    from luthier.config.stored import escaped

    node = OmegaConf.create(escaped({"_target_": HERE, "said": "It costs ${price}.", "all": ["${oc.env:HOME}"]}))
    assert instantiate(node).settings == {"said": "It costs ${price}.", "all": ["${oc.env:HOME}"]}


def test_a_partial_waits_for_what_is_missing():
    make = instantiate({"_target_": HERE, "_partial_": True, "legs": 4}, "seat")
    assert make("back").parts == ("seat", "back")


def test_errors_of_the_part_are_raised_as_they_are():
    with pytest.raises(RecipeError, match=r"No\."):
        instantiate({"_target_": HERE, "of": {"_target_": f"{__name__}.Refusing"}})


def test_a_name_that_a_module_does_not_have_is_named():
    with pytest.raises(PluginError, match="Nothing"):
        instantiate({"_target_": f"{__name__}.Nothing"})


def test_a_part_without_what_its_contract_requires_is_refused_by_name():
    from luthier.api import NamedWeightsAdaptation

    class Unmergeable(NamedWeightsAdaptation):
        def __call__(self, network):
            return network

    with pytest.raises(TypeError, match=r"Unmergeable.*merge"):
        Unmergeable()
