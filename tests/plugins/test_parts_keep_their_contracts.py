"""Parts of ours pass the suites of `luthier.testing` that strangers inherit, at least one of each kind.

Every method and every adaptation does in files of its own.
"""

from __future__ import annotations

import pytest

from luthier.testing.advantage import AdvantageContract
from luthier.testing.filter import FilterContract
from luthier.testing.format import FormatContract
from luthier.testing.hook import HookContract
from luthier.testing.kinds import KINDS
from luthier.testing.metric import MetricContract
from luthier.testing.model import ModelContract
from luthier.testing.objective import ObjectiveContract
from luthier.testing.optimizer import OptimizerContract
from luthier.testing.prompt import PromptContract
from luthier.testing.reader import ReaderContract
from luthier.testing.reward import RewardContract
from luthier.testing.rollout import RolloutContract
from luthier.testing.schedule import ScheduleContract
from luthier.testing.search import SearchContract
from luthier.testing.selection import SelectionContract
from luthier.testing.signal import SignalContract
from luthier.testing.source import SourceContract
from luthier.testing.strategy import StrategyContract
from luthier.testing.task import TaskContract
from luthier.testing.tracker import TrackerContract
from luthier.testing.trainer import TrainerContract
from luthier.testing.verb import VerbContract


class TestRouge(MetricContract):
    answer = "evaluation/metric=rouge_l"


class TestAlpaca(FormatContract):
    answer = "data/format=alpaca"
    rows = ({"instruction": "Which wood?", "input": "", "output": "Spruce."},)


class TestText(ReaderContract):
    answer = "data/reader=text"
    content, rows = b"One.\n\nTwo.\n", ({"text": "One."}, {"text": "Two."})


class TestQuality(FilterContract):
    answer = "data/filter=quality"


class TestLinear(ScheduleContract):
    answer = "optimizer/schedule=linear"


class TestRandom(SelectionContract):
    answer = "prompt/selection=random"


class TestGrpo(AdvantageContract):
    answer = "method/advantage=grpo"


@pytest.mark.exhaustive
class TestInstruction(PromptContract):
    answer, words = "prompt=instruction", ("prompt.system=Be short.",)


@pytest.mark.exhaustive
class TestAdamW(OptimizerContract):
    answer = "optimizer=adamw"


@pytest.mark.exhaustive
class TestBm25(SearchContract):
    answer = "prompt/search=bm25"


@pytest.mark.exhaustive
class TestCsv(TrackerContract):
    answer = "tracking=csv"


@pytest.mark.exhaustive
class TestClassification(TaskContract):
    answer = "evaluation/task=classification"


@pytest.mark.exhaustive
class TestTransformers(RolloutContract):
    answer = "method/rollout=transformers"


@pytest.mark.exhaustive
class TestForwardKl(SignalContract):
    answer = "method/signal=forward_kl"


@pytest.mark.exhaustive
class TestIpo(ObjectiveContract):
    answer, method = "method/objective=ipo", "dpo"


@pytest.mark.exhaustive
class TestDdp(StrategyContract):
    answer = "trainer/strategy=ddp"


@pytest.mark.exhaustive
class TestFsdp(StrategyContract):
    answer = "trainer/strategy=fsdp"


@pytest.mark.exhaustive
class TestTensorParallel(StrategyContract):
    answer = "trainer/strategy=tensor_parallel"


@pytest.mark.exhaustive
class TestFsdpTp(StrategyContract):
    answer = "trainer/strategy=fsdp_tp"


@pytest.mark.exhaustive
class TestCpu(TrainerContract):
    answer = "trainer=cpu"


@pytest.mark.exhaustive
class TestTiny(ModelContract):
    answer = "model=tiny"


@pytest.mark.exhaustive
class TestRegex(RewardContract):
    answer, words = "method/reward=regex", ("method.reward.pattern=\\d+",)


@pytest.mark.exhaustive
class TestDemo(SourceContract):
    answer = "data=demo"


@pytest.mark.exhaustive
class TestRewardCheck(VerbContract):
    plugin, verb = "luthier_reward", "reward-check"


@pytest.mark.exhaustive
class TestRewardHooks(HookContract):
    plugin = "luthier_reward"


def test_each_kind_has_a_part_here_or_in_files_of_its_own():
    here = {base.__name__ for one in globals().values() if isinstance(one, type) for base in one.__mro__[1:]}
    elsewhere = {"MethodContract", "AdaptationContract", "ReportSectionContract"}  # the last has no part of ours
    assert {kind.suite_class for kind in KINDS} <= here | elsewhere
