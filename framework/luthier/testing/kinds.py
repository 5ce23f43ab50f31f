"""The kinds of parts: what each answers, its contract in `luthier.api`, and its suite."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of part: its `name`, the `question` that its parts answer, or the hook that gives them."""

    name: str
    question: str
    """The question that a part of this kind answers; empty where a hook gives it."""
    contracts: tuple[str, ...]
    """The protocols or base classes in `luthier.api`, of which a part keeps to one."""
    suite: str
    """The suite: its module in `luthier.testing` and its class, as in `method.MethodContract`."""

    @property
    def module(self) -> str:
        """The module of the suite below `luthier.testing`."""
        return self.suite.partition(".")[0]

    @property
    def suite_class(self) -> str:
        """The class of the suite."""
        return self.suite.partition(".")[2]


KINDS = (
    Kind("method", "method", ("Method",), "method.MethodContract"),
    Kind("adaptation", "adaptation", ("Adaptation",), "adaptation.AdaptationContract"),
    Kind("model", "model", ("Model",), "model.ModelContract"),
    Kind("source", "data", ("Source",), "source.SourceContract"),
    Kind("reader", "data/reader", ("Reader",), "reader.ReaderContract"),
    Kind("format", "data/format", ("Format",), "format.FormatContract"),
    Kind("filter", "data/filter", ("Filter",), "filter.FilterContract"),
    Kind("prompt", "prompt", ("Prompt",), "prompt.PromptContract"),
    Kind("selection", "prompt/selection", ("Selection",), "selection.SelectionContract"),
    Kind("search", "prompt/search", ("Search",), "search.SearchContract"),
    Kind("optimizer", "optimizer", ("Optimizer",), "optimizer.OptimizerContract"),
    Kind("schedule", "optimizer/schedule", ("Schedule",), "schedule.ScheduleContract"),
    Kind("trainer", "trainer", ("Trainer",), "trainer.TrainerContract"),
    Kind("strategy", "trainer/strategy", ("Strategy",), "strategy.StrategyContract"),
    Kind("tracker", "tracking", ("Tracker",), "tracker.TrackerContract"),
    Kind("task", "evaluation/task", ("Task",), "task.TaskContract"),
    Kind("metric", "evaluation/metric", ("Metric",), "metric.MetricContract"),
    Kind("reward", "method/reward", ("Reward",), "reward.RewardContract"),
    Kind(
        "objective",
        "method/objective",
        ("PairLoss", "AnswerLoss", "PolicyLoss", "RewardObjective"),
        "objective.ObjectiveContract",
    ),
    Kind("advantage", "method/advantage", ("Advantage",), "advantage.AdvantageContract"),
    Kind("rollout", "method/rollout", ("Rollout",), "rollout.RolloutContract"),
    Kind("signal", "method/signal", ("Signal",), "signal.SignalContract"),
    Kind("report_section", "", ("ReportSection",), "report_section.ReportSectionContract"),
    Kind("verb", "", ("Verb",), "verb.VerbContract"),
    Kind("hook", "", ("hookimpl",), "hook.HookContract"),
)
