from typing import ClassVar

from patience.learning.tempers import Remembering

from luthier.testing.method import MethodContract


class TestPatient(MethodContract):
    words: ClassVar = ("method=patient", "data=tiny")


def test_a_temper_goes_on_from_its_state():
    used, fresh = Remembering(), Remembering()
    used.saw(4.0)
    used.saw(2.0)
    fresh.load_state_dict(used.state_dict())
    assert fresh.factor() == used.factor() == 0.75
