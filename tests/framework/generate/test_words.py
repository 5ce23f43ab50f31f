"""Texts are found by their words in every script, also where no blanks stand between them."""

from __future__ import annotations

import unicodedata

import bm25s
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from luthier.inference.bm25 import Bm25
from luthier.inference.words import words_of

TEXTS = {
    "Chinese": ["小提琴的面板是云杉做的。", "大提琴每个月的租金是三十欧元。", "店铺星期六开到一点。"],
    "Japanese": [
        "バイオリンの表板はスプルースでできています。",
        "チェロの家賃は月三十ユーロです。",
        "店は土曜日に一時まで開いています。",
    ],
    "Thai": ["ไม้หน้าของไวโอลินทำจากไม้สปรูซ", "ค่าเช่าเชลโลเดือนละสามสิบยูโร", "ร้านเปิดวันเสาร์ถึงบ่ายโมง"],
    "Khmer": ["ក្តារមុខវីយូឡុងធ្វើពីឈើស្រល់", "ថ្លៃជួលសេឡូសាមសិបអឺរ៉ូក្នុងមួយខែ", "ហាងបើកថ្ងៃសៅរ៍"],
    "Hindi": ["वायलिन का ऊपरी भाग स्प्रूस का बना है।", "चेलो का किराया तीस यूरो महीना है।", "दुकान शनिवार को खुली है।"],
    "English": [
        "The top of a violin is made of spruce.",
        "A cello costs thirty euros a month.",
        "We open on Saturday.",
    ],
}
QUESTIONS = {
    "Chinese": ["云杉", "租金", "星期六几点关门？"],
    "Japanese": ["スプルース", "家賃はいくら", "土曜日"],
    "Thai": ["สปรูซ", "ค่าเช่า", "วันเสาร์เปิดไหม"],
    "Khmer": ["ឈើស្រល់", "ថ្លៃជួល", "ថ្ងៃសៅរ៍"],
    "Hindi": ["स्प्रूस", "किराया", "शनिवार"],
    "English": ["spruce", "cello", "saturday"],
}
LETTERS = {
    "Han": "琴木弓弦云杉音色",
    "Thai": "กขคงจชซญ",
    "Khmer": "កខគងចឆជញ",
    "Hiragana": "あいうえおかき",
    "Lao": "ກຂຄງຈສ",
}


@pytest.mark.parametrize("script", TEXTS)
def test_the_text_with_the_words_of_a_question_is_found_first(script):
    index = Bm25(TEXTS[script], k1=1.5, b=0.75)
    assert [index.ranked(question)[0] for question in QUESTIONS[script]] == [0, 1, 2]
    assert all(index.scores(question).max() > 0 for question in QUESTIONS[script])


@settings(max_examples=100, deadline=None)
@given(data=st.data(), script=st.sampled_from(sorted(LETTERS)))
def test_a_text_without_blanks_is_found_by_any_part_of_it(data, script):
    text = data.draw(st.text(LETTERS[script], min_size=4, max_size=20))
    start = data.draw(st.integers(0, len(text) - 2))
    part = text[start : data.draw(st.integers(start + 2, len(text)))]
    other = "".join(chr(ord("가") + number * 500) for number in range(5))
    index = Bm25([other, text], k1=1.5, b=0.75)
    assert index.ranked(part)[0] == 1
    assert index.scores(part)[1] > 0


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(max_codepoint=0x52F), max_size=40))
def test_scripts_with_blanks_have_the_words_of_the_library(text):
    assume(unicodedata.normalize("NFKC", text) == text)  # forms of compatibility are written out
    assume(not any(unicodedata.category(letter).startswith("M") for letter in text.lower()))  # marks belong to words
    theirs = bm25s.tokenize([text], stopwords=None, return_ids=False, show_progress=False)[0]
    assert words_of([text])[0] == theirs


def test_forms_of_compatibility_and_mixed_scripts():
    assert words_of(["ＡＢＣ iPhone手机 ｺﾝ"]) == [["abc", "iphone", "手", "手机", "机", "コン"]]
    assert words_of(["猫", "", "…"]) == [["猫"], [], []]
