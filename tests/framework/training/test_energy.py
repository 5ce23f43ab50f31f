"""Joules are what the counters of the packages say, over a turn of a counter too, and nothing where there are none."""

from __future__ import annotations

from luthier.training.energy import Meter


def zone(folder, name, energy, most=1_000_000_000):
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "energy_uj").write_text(f"{energy}\n")
    (folder / name / "max_energy_range_uj").write_text(f"{most}\n")


def test_packages_are_added_and_their_parts_are_not_counted_twice(tmp_path):
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        zone(tmp_path, name, 5_000_000)
    meter = Meter(tmp_path)
    assert meter.spent() == 0
    zone(tmp_path, "intel-rapl:0", 7_500_000)
    zone(tmp_path, "intel-rapl:1", 6_000_000)
    zone(tmp_path, "intel-rapl:0:0", 7_000_000)
    assert meter.spent() == 3.5
    assert meter.spent() == 0


def test_a_counter_that_began_again_goes_on(tmp_path):
    zone(tmp_path, "intel-rapl:0", 9_000_000, most=10_000_000)
    meter = Meter(tmp_path)
    zone(tmp_path, "intel-rapl:0", 1_000_000, most=10_000_000)
    assert meter.spent() == 2.0


def test_where_nothing_can_be_read_nothing_is_said(tmp_path):
    assert Meter(tmp_path).spent() is None
    zone(tmp_path, "intel-rapl:0", 1)
    meter = Meter(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert meter.spent() is None
    assert meter.spent() is None
