"""What a stranger's part receives: members of an Enum keys and trust, and what is said of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from omegaconf import OmegaConf

from luthier.config.importing import named
from luthier.config.instantiate import instantiate
from luthier.config.signatures import signature
from luthier.contracts.trust import Trust
from luthier.errors import PluginError, RecipeError
from tests.architecture.sources import ROOT

SOURCE = ROOT / "tests" / "third_party" / "carpentry" / "src"


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    monkeypatch.syspath_prepend(str(SOURCE))


@pytest.fixture
def explained(luthier, write):
    """What `explain` and `schema` say of a part."""

    def explain(name: str) -> dict[str, dict[str, Any]]:
        write("recipes/tracking/it.yaml", f"# It.\n_target_: carpentry.{name}\n")
        end = luthier("explain", "tracking=it")
        assert end.code == 0, end.err
        record = luthier("explain", "tracking=it", "--json").record
        assert luthier("schema", "--json").code == 0
        return {one["path"].removeprefix("tracking."): one for one in record["settings"]}

    return explain


def composed(name: str, said: dict[str, Any]) -> Any:
    """The node of a part that was checked above the torch line."""
    for error in signature(f"carpentry.{name}").check(said, at="it"):
        raise error
    return OmegaConf.create({"it": {"_target_": f"carpentry.{name}", **said}}).it


def built(name: str, *parts: Any, **said: Any) -> Any:
    return instantiate(composed(name, said), *parts)


def grain(member: str) -> Any:
    return named("timber.Grain")[member]


def refusal(name: str, **said: Any) -> str:
    with pytest.raises(RecipeError) as error:
        built(name, **said)
    return str(error.value)


@pytest.mark.parametrize(
    "name",
    ["Board", "HandedOn", "Partial", "ByNew", "Checked", "Aliased", "CheckedAbove", "Single", "ByPositionHandedOn",
     "Listed", "Made"],
)  # fmt: skip
def test_an_enum_arrives_as_its_member_wherever_it_is_written(name):
    assert built(f"reached.{name}", grain="COARSE").grain is grain("COARSE")
    assert built(f"reached.{name}", grain="coarse grain").grain is grain("COARSE")
    assert "it.grain is 'rough', but must be one of FINE, COARSE" in refusal(f"reached.{name}", grain="rough")


@pytest.mark.parametrize("name", ["HandedOn", "CheckedAbove", "ByPositionHandedOn", "Single"])
def test_a_recipe_that_is_not_composed_is_checked_when_it_is_built(name):
    """As the recipe of a run is, which comes from a disk."""
    with pytest.raises(RecipeError, match="but must be one of FINE, COARSE"):
        instantiate({"_target_": f"carpentry.reached.{name}", "grain": "rough"})


def test_a_decorator_may_take_what_no_member_is():
    assert built("reached.Undone", grain="COARSE").grain is grain("COARSE")
    assert built("reached.Undone", grain="rough").grain == "rough"


def test_a_members_class_is_that_of_the_module_that_writes_it():
    assert built("shadow.Shadowing", grain="COARSE").grain is grain("COARSE")
    assert built("shadow.ShadowingData", grain="COARSE").grain is grain("COARSE")
    assert built("shadow.ShadowingData", own="NONE").own is named("carpentry.shadow.Grain").NONE


def test_a_model_that_converts_by_value_takes_a_members_name_too():
    assert built("odd.Model", figure="COARSE").grain is grain("COARSE")
    assert "Input should be" in refusal("odd.Model", figure="rough")


KEYS: list[tuple[str, dict[Any, Any], dict[Any, Any]]] = [
    ("numbers", {1: "a", "2": "b"}, {1: "a", 2: "b"}), ("shares", {0.5: 1, "1.5": 2, 2: 3}, {0.5: 1, 1.5: 2, 2: 3}),
    ("names", {1: 2, "a": 3}, {"1": 2, "a": 3}), ("flags", {True: 1, "false": 2}, {True: 1, False: 2}),
    ("anything", {1: 2}, {1: 2}), ("bare", {1: 2, "a": 3}, {1: 2, "a": 3}), ("pairs", {"1,2": 3}, {"1,2": 3}),
    ("words", {"a": 1}, {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize("owner", ["keyed.Keyed", "keyed.KeyedAbove"])
def test_keys_arrive_as_their_type_says(owner):
    for name, said, received in KEYS:
        made = getattr(built(owner, **{name: said}), name)
        assert made == received
        assert list(map(type, made)) == list(map(type, received)), name
    fine, coarse = grain("FINE"), grain("COARSE")
    assert built(owner, grains={"FINE": 1, "coarse grain": 2}).grains == {fine: 1, coarse: 2}
    assert list(built(owner, grades={"2": 1, "LOW": 2}).grades) == list(named("timber.vocabulary.Grade"))[::-1]
    assert built(owner, counts={"FINE": 2}).counts == {fine: 2}
    assert built(owner, nested={"a": {"FINE": ["COARSE"]}}).nested == {"a": {fine: [coarse]}}


@pytest.mark.parametrize("owner", ["keyed.Keyed", "keyed.KeyedAbove"])
@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"grains": {"rough": 1}}, "it.grains has the key 'rough', but each key must be one of FINE, COARSE"),
        ({"grades": {"5": 1}}, "it.grades has the key '5', but each key must be one of LOW, HIGH"),
        ({"numbers": {"x": "a"}}, "it.numbers has the key 'x', but each key must be a whole number."),
        ({"words": {"c": 1}}, "it.words has the key 'c', but each key must be one of a, b."),
        ({"nested": {"a": {"FIN": []}}}, "it.nested.a has the key 'FIN'"),
        ({"nested": {"a": {"FINE": ["x"]}}}, "it.nested.a.FINE[0] is 'x'"),
    ],
)
def test_a_key_that_is_none_is_refused(owner, said, words):
    assert words in refusal(owner, **said)
    with pytest.raises(RecipeError, match=r"has the key|is 'x'"):
        instantiate({"_target_": f"carpentry.{owner}", **said})


@pytest.mark.parametrize("name", ["Trusting", "HandedOn", "Deeper", "ByNew", "Undone"])
def test_trust_is_handed_to_a_constructor_that_hands_its_parts_on(name):
    vouched = Trust(frozenset({"it"}))
    made = instantiate(composed(f"trusting.{name}", {"rank": 5}), trust=vouched)
    assert (made.trust, made.rank) == (vouched, 5)
    assert instantiate(composed("trusting.Other", {"rank": 5}), "part", trust=vouched).trust == ("part",)


@pytest.mark.parametrize("name", ["Subclassed", "FromMeta", "InPlace", "Wrapped", "Counted", "Described"])
def test_a_constructor_is_known_whatever_makes_it(name):
    assert built(f"odd.{name}", rank=5).rank == 5
    assert refusal(f"odd.{name}", rnak=5) == "There is no setting 'it.rnak'. Did you mean it.rank?"
    assert "it.rank is [5], but must be a whole number" in refusal(f"odd.{name}", rank=[5])


def test_a_metaclass_that_only_keeps_its_classes_is_read():
    assert signature("carpentry.odd.Counted").certain
    assert not signature("carpentry.odd.FromMeta").certain
    assert not signature("carpentry.odd.InPlace").certain


def test_a_wrapper_may_take_what_the_wrapped_function_does_not():
    assert built("odd.Wrapped", old=3).rank == 3
    assert built("odd.wrapped", old=3) == [3]
    assert refusal("odd.wrapped", odl=3).startswith("There is no setting 'it.odl'.")


def test_what_is_missing_behind_what_hands_settings_on_is_named():
    node = OmegaConf.create({"it": {"_target_": "carpentry.reached.ByPositionHandedOn"}}).it
    with pytest.raises(RecipeError, match=r"it\.grain must be given"):
        instantiate(node)


def test_the_hint_for_a_name_that_was_handed_on_has_those_that_the_source_knows():
    with pytest.raises(RecipeError) as error:
        instantiate(OmegaConf.create({"it": {"_target_": "carpentry.reached.HandedOn", "gran": 1}}).it)
    assert error.value.hint == "Did you mean it.grain or it.grains?"


def test_a_number_is_the_member_whose_value_is_that_number():
    rate = named("carpentry.odd.Rate")
    assert built("odd.Rated", rate=1).rate is rate.LOW
    assert "it.rate is true" in refusal("odd.Rated", rate=True)


def test_the_standard_librarys_classes_are_the_parts_own():
    said = {"day": "2020-01-01", "span": 3, "price": 1.5, "share": "1/2", "raw": "x", "kind": "int"}
    made = built("odd.Standard", **said)
    assert {name: getattr(made, name) for name in said} == said
    status = named("http.HTTPStatus")
    assert built("odd.Standard", status="NOT_FOUND").status is status.NOT_FOUND
    assert "it.status is 4, but must be one of" in refusal("odd.Standard", status=4)


def test_what_only_the_part_knows_is_shown_as_it_is_annotated(explained):
    shown = explained("odd.Standard")
    assert shown["day"]["type"] == "datetime.date"
    assert shown["span"]["type"] == "Optional[datetime.timedelta]"


def test_a_default_that_no_recipe_can_write_is_shown_as_its_source(explained):
    shown = {name: one["default"] for name, one in explained("odd.Defaults").items()}
    assert shown == {
        "raw": "b''", "rest": "...", "sets": {"a": [1, 2]}, "pairs": "{(1, 2): 3}", "most": ".inf",
        "few": "[.nan, 1.0]", "number": "1j", "members": {"FINE": ["COARSE"]}, "positive": 1, "only": "b'x'",
    }  # fmt: skip


def test_a_schema_holds_nothing_but_json(luthier, write):
    file = "# It.\n_target_: carpentry.odd.Defaults\nraw: 2020-01-01\npositive: .inf\nmost: 1e-4\n"
    write("recipes/tracking/it.yaml", file)
    schema = luthier("schema", "--json").out
    found = json.loads(schema, parse_constant=lambda text: pytest.fail(text))["definitions"]["tracking=it"]
    defaults = {name: one.get("default") for name, one in found["properties"].items()}
    assert (defaults["raw"], defaults["positive"], defaults["most"]) == ("2020-01-01", None, 0.0001)
    assert "Infinity" not in luthier("explain", "tracking=it", "--json").out


def test_a_schema_knows_keys(luthier, write):
    from jsonschema import Draft7Validator

    write("recipes/tracking/it.yaml", "# It.\n_target_: carpentry.keyed.Keyed\n")
    validator = Draft7Validator(luthier("schema", "--json").record)

    def allows(**said: Any) -> bool:
        return validator.is_valid({"defaults": [{"override /tracking": "it"}], "tracking": said})

    assert allows(grains={"FINE": 1.0, "coarse grain": 2}, numbers={"3": "a"}, grades={"LOW": 1, "2": 3})
    assert not allows(grains={"rough": 1.0})
    assert not allows(numbers={"x": "a"})


def test_a_literal_is_said_as_a_recipe_writes_it():
    words = {name: one.words for name, one in signature("carpentry.odd.Written").settings.items()}
    assert words == {
        "one": "one of null, x", "two": "one of true, false, auto", "three": "one of '1', 'null'"
    }  # fmt: skip
    assert refusal("odd.Written", two=None) == "it.two is null, but must be one of true, false, auto."


def test_a_class_may_be_named_like_its_base():
    part = built("again.Kept", grain="COARSE", rank=3)
    assert (part.grain, part.rank) == (grain("COARSE"), 3)
    assert "There is no setting 'it.rnak'. Did you mean it.rank?" in refusal("again.Kept", rnak=3)
    assert built("again.Outer.Kept", depth=2, rank=3).depth == 2


def test_a_default_is_what_its_name_was_where_the_class_was_defined():
    assert signature("carpentry.again.Outer.Kept").settings["height"].default == 13
    assert built("again.Outer.Kept").height == 13


def test_each_further_setting_has_the_type_that_is_written_for_all_of_them():
    assert built("again.Further", a="FINE").grains == {"a": grain("FINE")}
    assert "it.a is 'rough', but must be one of FINE, COARSE" in refusal("again.Further", a="rough")


@pytest.mark.parametrize("said", [{}, {"indent": 3}])
def test_an_error_inside_a_part_is_not_blamed_on_its_settings(said):
    with pytest.raises(PluginError, match=r"helper.*, in .*again\.py:\d+\)"):
        built("again.Faulty", **said)


def test_how_a_key_was_written_is_not_guessed():
    assert built("keyed.Keyed", names={3: 1}).names == {"3": 1}
    for key in (1.1, True):
        assert "each key must be text" in refusal("keyed.Keyed", names={key: 1})


def test_an_entry_of_a_mapping_needs_no_sign_in_front(luthier, write):
    write("recipes/tracking/it.yaml", "# It.\n_target_: carpentry.keyed.Keyed\n")
    words = ["--trust", "carpentry.keyed.Keyed", "--cfg", "job", "--json", "tracking=it"]
    end = luthier(*words, "tracking.numbers.3=x", "tracking.numbers.4=y")
    assert end.code == 0, end.err
    assert {str(key): value for key, value in end.record["tracking"]["numbers"].items()} == {"3": "x", "4": "y"}
    assert "There is no setting 'tracking.nubmers.3'" in luthier(*words, "tracking.nubmers.3=x").err
