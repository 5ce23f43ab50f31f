import pytest
from terse.scoring import Density

from luthier.testing.reward import RewardContract


class TestDensity(RewardContract):
    @pytest.fixture
    def reward(self):
        return Density(best=2.0)


def test_repetition_costs():
    assert Density()([], ["one two two two", "", "one two"], {}) == [0.5, 0.0, 1.0]
