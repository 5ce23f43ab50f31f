from campfire.devices.careful import Careful
from campfire.diary import Diary

from luthier.testing.twin import twin


def test_a_run_has_its_diary(tmp_path):
    twin(
        tmp_path / "run", "tracking=diary", "trainer/strategy=careful", "stages=[fit]", "trainer.max_steps=2"
    ).carry_out()
    assert len((tmp_path / "run" / "diary.txt").read_text().splitlines()) >= 2


def test_settings_are_kept():
    assert Careful(device="cpu").device == "cpu"
    assert Diary(file="x").file == "x"
