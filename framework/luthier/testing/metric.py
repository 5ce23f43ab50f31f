"""What every metric keeps to; inherit it, and say the answer.

class TestMine(MetricContract):
    answer = "evaluation/metric=mine"
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from luthier.evaluation.metrics.metric import Attempt, Metric
from luthier.testing.part import PartContract

ANSWERS = ("Spruce.", "It is spruce.", "Maple, I think.", "", "spruce spruce maple")


class MetricContract(PartContract):
    """Scores `attempts`; give others where the metric reads columns of the example."""

    around: ClassVar[tuple[str, ...]] = ("evaluation/task=generation", "evaluation.task.max_new_tokens=4")
    place: ClassVar[str] = "evaluation.task.metrics.part"

    def attempts(self) -> Sequence[Attempt]:
        """Answers with their references; the reference of the first is the answer itself."""
        return [Attempt("Which wood is the top of?", answer, "Spruce.") for answer in ANSWERS]

    def test_each_attempt_has_its_own_statistics(self) -> None:
        """[attempts, s], float64, and those of an attempt do not depend on the others."""
        attempts, metric = self.attempts(), self._metric()
        together = np.asarray(metric.statistics(attempts))
        assert together.dtype == np.float64
        assert together.ndim == 2
        assert len(together) == len(attempts)
        alone = [np.asarray(metric.statistics([attempt])) for attempt in attempts]
        np.testing.assert_allclose(together, np.concatenate(alone), equal_nan=True)

    def test_sums_are_reduced_along_the_last_axis(self) -> None:
        """One value for all, and one for each of many resamples."""
        statistics, metric = np.asarray(self._metric().statistics(self.attempts())), self._metric()
        whole = np.asarray(metric.reduce(statistics.sum(0)))
        assert whole.shape == ()
        assert np.isfinite(whole)
        many = np.asarray(metric.reduce(np.stack([statistics.sum(0), statistics[:1].sum(0)])))
        assert many.shape == (2,)
        np.testing.assert_allclose(many[0], whole)

    def test_it_says_which_way_is_better(self) -> None:
        assert self._metric().better in {"higher", "lower"}

    def test_the_report_has_its_score(self, tmp_path: Path) -> None:
        run = self.run(tmp_path / "run", "stages=[baseline]")
        run.carry_out()
        assert run.before is not None
        assert "part" in run.before.measurements

    def _metric(self) -> Metric:
        built: Metric = self.built()
        return built
