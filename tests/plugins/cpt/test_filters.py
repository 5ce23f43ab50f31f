"""Each filter on text whose fate is known."""

from __future__ import annotations

import pytest

from luthier.data.records import Tally
from luthier.data.sources.filtered import Filtered
from luthier.errors import DataError, RecipeError
from luthier.testing.source import SourceContract
from luthier_cpt.filters.decontaminate import Decontaminate
from luthier_cpt.filters.language import Language
from luthier_cpt.filters.near_duplicates import NearDuplicates
from luthier_cpt.filters.personal import MaskPersonal
from luthier_cpt.filters.quality import Quality
from tests.plugins.cpt.tiny_corpus import Texts, documents

LONG = [" ".join(f"{name}{number}" for number in range(200)) for name in ("spruce", "maple")]


def kept(filtering, texts, **more):
    tally = Tally()
    examples = [{"text": text, "split": "train", "where": f"f:{at}", **more} for at, text in enumerate(texts, 1)]
    return [example["text"] for example in filtering(examples, tally)], dict(+tally.counts)


def test_the_first_of_near_duplicates_stays():
    edited = LONG[0].replace("spruce7 ", "poplar ")  # 5 of 196 runs of five words: 191 / 201 are shared
    rewritten = " ".join(word if at % 3 else "other" for at, word in enumerate(LONG[0].split()))
    assert kept(NearDuplicates(), [*LONG, edited, rewritten]) == ([*LONG, rewritten], {"dropped": 1})


def test_a_near_duplicate_on_the_other_side_of_a_split_is_counted():
    tally = Tally()
    both = [{"text": LONG[0], "split": "test"}, {"text": LONG[0] + " end", "split": "train"}]
    assert [example["split"] for example in NearDuplicates()(both, tally)] == ["test"]
    assert tally.counts == {"dropped": 1, "overlap": 1}


def test_near_duplicates_of_conversations_are_found_too():
    def said(answer: str) -> dict[str, object]:
        turns = [{"role": "user", "content": LONG[0]}, {"role": "assistant", "content": answer}]
        return {"messages": turns, "split": "train"}

    tally = Tally()
    assert len(list(NearDuplicates()([said("yes"), said("no")], tally))) == 1


def test_training_text_that_shares_a_run_of_words_with_an_evaluation_set_is_left_out():
    words = [f"w{number}" for number in range(30)]
    filtering = Decontaminate(against={"exam": Texts([" ".join(words), "too short"])}, words=13)
    shares_13 = "before " + " ".join(words[5:18]).upper() + " after"
    shares_12 = "before " + " ".join(words[5:17]) + " after"
    assert kept(filtering, [shares_13, shares_12]) == (
        [shares_12],
        {"evaluation texts": 2, "too short to look for": 1, "dropped": 1, "dropped for exam": 1},
    )
    assert kept(filtering, [shares_13], split="test")[0] == [shares_13]  # held out, it is not trained on


def test_decontamination_without_a_set_is_refused():
    with pytest.raises(RecipeError, match="needs evaluation sets"):
        Decontaminate()


def test_text_of_other_languages_is_left_out():
    texts = [
        "The soundpost stands under the bridge and carries the sound to the back of the instrument.",
        "Der Stimmstock steht unter dem Steg und überträgt den Klang auf den Boden des Instruments.",
        "L'âme se trouve sous le chevalet et transmet le son au fond de l'instrument.",
    ]
    assert kept(Language(), texts) == (texts[:1], {"dropped de": 1, "dropped fr": 1})
    assert kept(Language(languages=["de", "fr"]), texts) == (texts[1:], {"dropped en": 1})
    assert kept(Language(confidence=1.1), texts[:1]) == ([], {"dropped as uncertain": 1})


def test_an_unknown_language_is_refused_with_the_nearest():
    with pytest.raises(RecipeError, match="no language 'english'"):
        kept(Language(languages=["english"]), ["Well."])


PROSE = "The maker of the violin said that to have a good tone it must be played with care and with patience. "


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (PROSE * 5, ""),
        (PROSE, "too few words"),
        ("a of to be " * 30, "words too short"),
        ("thebeandofto incomprehensibilities " * 30, "words too long"),
        ("the of 1234 5678 9012 3456 " * 20, "too few letters"),
        ("the#1 of#2 and#3 be#4 word word " * 20, "too many symbols"),
        ("\n".join("- " + PROSE + str(number) for number in range(9)), "too many bullets"),
        ("\n".join(f"{PROSE}{number}..." for number in range(9)), "too many ellipses"),
        ("\n".join([PROSE] * 9), "too many repeated lines"),
        ("Varnish purfling bassbar tailpiece scroll spruce " * 10, "too few stop words"),
    ],
)
def test_each_rule_of_quality_leaves_out_what_breaks_it(text, rule):
    assert Quality().broken(text) == rule
    assert kept(Quality(), [text]) == (([], {rule: 1}) if rule else ([text], {}))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to jane.doe+x@mail.example.org.", "Write to [EMAIL]."),
        ("Card 4111 1111 1111 1111, not 4111 1111 1111 1112.", "Card [CARD], not 4111 1111 1111 1112."),
        ("IBAN DE89 3704 0044 0532 0130 00, not DE88370400440532013000.", "IBAN [IBAN], not DE88370400440532013000."),
        ("From 8.8.8.8 and 2001:4860:4860::8888, at 10.0.0.1.", "From [IP] and [IP], at 10.0.0.1."),
        ("Call +49 (0)30 1234567 or 0044 20 7946 0018.", "Call [PHONE] or [PHONE]."),
        ("In 2024, at 12:30:45, p = 0.0012 of 1,234,567.", "In 2024, at 12:30:45, p = 0.0012 of 1,234,567."),
    ],
)
def test_what_tells_who_somebody_is_is_masked_and_what_only_looks_so_is_not(text, masked):
    assert kept(MaskPersonal(), [text])[0] == [masked]


def test_masks_are_counted_and_only_those_asked_for_are_put():
    text = "a@b.org, c@d.org, 8.8.8.8"
    assert kept(MaskPersonal(), [text, "nothing"])[1] == {"masked email": 2, "masked ip": 1, "examples": 1}
    assert kept(MaskPersonal(kinds=["ip"]), [text])[0] == ["a@b.org, c@d.org, [IP]"]


def test_conversations_are_masked_turn_by_turn_and_the_given_one_stays():
    turn = {"role": "user", "content": "I am a@b.org", "weight": 0}
    given = {"messages": [turn], "split": "train"}
    (masked,) = MaskPersonal()([given], Tally())
    assert masked["messages"] == [{"role": "user", "content": "I am [EMAIL]", "weight": 0}]
    assert turn["content"] == "I am a@b.org"


class TestFiltered(SourceContract):
    @pytest.fixture
    def source(self):
        return Filtered(source=Texts(documents(6)), filters={"near": NearDuplicates(), "masked": MaskPersonal()})


def test_counts_say_what_each_filter_did_and_what_is_left():
    source = Filtered(
        source=Texts([*LONG, LONG[0] + " again", "Ja."]),
        filters={
            "near": NearDuplicates(),
            "gopher": Quality(fewest_words=2, stop_words=0, alphabetic=0, longest_mean=99),
        },
    )
    assert len(list(source)) == 2
    assert source.counts == {"examples": 2, "train": 2, "read": 4, "near: dropped": 1, "gopher: too few words": 1}


def test_filters_that_let_nothing_pass_end_the_reading_and_say_what_they_did():
    with pytest.raises(DataError, match="gopher: too few words"):
        list(Filtered(source=Texts(["Ja.", "Nein."]), filters={"gopher": Quality()}))
