"""`luthier compare … until=decided` from end to end: killed twice, one contender of three failing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.command import luthier as command
from tests.framework.diverging_recipe import DIVERGING

TINY = ("debug=tiny", "data=demo", "data.limit=200", "data.splits.test=0.4")
WORDS = ("compare", "recipe=zero_shot,few_shot,diverging", *TINY, "until=decided", "margin=0.3")
ALONE = {"OMP_NUM_THREADS": "1"}


def killed_at(place, pattern):
    """Start the race and kill it, and nothing but it, as soon as a file is there; the times of what was measured."""
    words = [sys.executable, "-m", "luthier", *WORDS]
    racing = subprocess.Popen(
        words, cwd=place, env={**os.environ, **ALONE}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    began = time.monotonic()
    while not list(place.glob(pattern)):
        assert racing.poll() is None
        assert time.monotonic() - began < 120
        time.sleep(0.1)
    racing.send_signal(signal.SIGKILL)
    racing.wait()
    return {path: path.stat().st_mtime_ns for path in place.glob("runs/*/race/*.json")}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    place = tmp_path_factory.mktemp("raced")
    (place / "recipes" / "recipe").mkdir(parents=True)
    (place / "recipes" / "recipe" / "diverging.yaml").write_text(DIVERGING)
    first = killed_at(place, "runs/zero_shot-*/race/*.json")
    second = killed_at(place, "runs/few_shot-*/record.json")
    assert first.items() <= second.items()
    return place, second, command(*WORDS, "--json", cwd=place, **ALONE)


def test_a_killed_race_goes_on_without_what_was_measured(ended):
    place, measured, _ = ended
    assert measured
    assert all(path.stat().st_mtime_ns == at for path, at in measured.items())
    assert len(list(place.glob("runs/*"))) == 3


def test_one_that_fails_is_left_out_and_the_others_are_decided_between(ended):
    assert ended[2].returncode == 4, ended[2].stderr
    record = json.loads(ended[2].stdout)
    by_name = {one["name"]: one for one in record["contenders"]}
    assert "code 4" in by_name["diverging"]["failed"]
    assert record["end"] in ("decided", "not distinguishable")
    assert {record["best"], *record["worse"], *record["not_distinguishable"]} == {"zero_shot", "few_shot"}
    assert {by_name[name]["measured"] for name in ("zero_shot", "few_shot")} <= {32, 64}
    other = by_name[({"zero_shot", "few_shot"} - {record["best"]}).pop()]
    assert other["low"] <= other["change"] <= other["high"] <= 0.3


def test_the_values_that_were_raced_by_are_those_of_the_run(ended):
    place = ended[0]
    (file,) = place.glob("runs/zero_shot-*/race/test-0-32.json")
    kept = json.loads(file.read_text())
    run = str(file.parent.parent.relative_to(place))
    again = json.loads(command("evaluate", run, "--part", "0:32", "--json", cwd=place, **ALONE).stdout)
    assert kept["values"] == again["values"]
    assert len(kept["values"]) == 32
    assert kept["value"] == pytest.approx(sum(kept["values"]) / 32)


def test_the_report_opens_offline_and_leads_to_the_runs(ended):
    place = ended[0]
    report = place / json.loads(ended[2].stdout)["report"]
    page = report.read_text()
    assert "script" not in page
    assert "http" not in re.sub(r"http-equiv", "", page)
    links = re.findall(r'class="run" href="([^"]+)"', page)
    assert len(links) == 2
    assert all((report.parent / link).exists() for link in links)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("margin=0.1",), "does not say until=decided"),
        (("until=decided",), "needs a margin"),
        (("until=decided", "margin=0"), "not between 0 and 1"),
        (("until=decided", "margin=nan"), "not between 0 and 1"),
        (("until=tomorrow", "margin=0.1"), "does not say until=decided"),
        (("until=decided", "margin=0.1", "score=loss"), "loss does not say so. Race by score=accuracy"),
        (("until=decided", "margin=0.1", "score=macro_f1"), "macro_f1 does not say so"),
    ],
)
def test_a_race_that_cannot_be_is_refused_before_anything_runs(words, wanted, luthier, here):
    ended = luthier("compare", *TINY, "recipe=zero_shot,few_shot", *words)
    assert ended.code == 2
    assert wanted in ended.err
    assert not (here / "runs").exists()
