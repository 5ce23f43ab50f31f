"""One comparison of a classifier and a chat model that is asked for the label."""

from __future__ import annotations

import json
from pathlib import Path

from tests.command import luthier

TINY = ("debug=tiny", "data=jsonl", "data.file=letters.jsonl", "evaluation/task=labels", "data.splits.test=0.5")


def letters(place: Path) -> Path:
    rows = ({"text": f"{'A crack' if number % 2 else 'A case'} of {number}.", "label": ["shop", "repair"][number % 2]}
            for number in range(30))  # fmt: skip
    (place / "letters.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return place


def test_a_classifier_and_a_chat_model_stand_in_one_table_and_both_are_timed(tmp_path: Path) -> None:
    done = luthier(
        "compare", "recipe=zero_shot,classify", *TINY, "--json", cwd=letters(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert set(record["scores"]["accuracy"]["scores"]) == {"zero_shot", "classify"}
    costs = {one["name"]: one["inference"] for one in record["contenders"]}
    assert costs["classify"]["seconds"] > 0
    assert costs["classify"]["answer_tokens"] == 0
    assert costs["zero_shot"]["answer_tokens"] > 0
    assert not [line for line in record["warnings"] if "timed" in line]


def test_what_only_a_text_generator_is_measured_on_need_not_be_the_same(tmp_path: Path) -> None:
    words = ("compare", *TINY, "evaluation.general_examples=4,8", "--json")
    refused = luthier(*words, "recipe=zero_shot", cwd=letters(tmp_path))
    assert refused.returncode == 2
    assert "general_examples is 4 in the first and 8 in the other" in refused.stderr
