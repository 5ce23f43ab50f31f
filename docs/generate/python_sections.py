"""The pages of the Python reference: which module's names stand on which page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A page of the reference: its file, its title, what stands above the names, and the modules it is about."""

    file: str
    title: str
    intro: str
    modules: tuple[str, ...]


SECTIONS = [
    Section(
        "hooks.md",
        "Hooks, verbs and errors",
        "What a plugin's own module needs: the marker of its [hooks](../hooks.md), what the hooks are handed, and the "
        "errors to raise. [Exit codes](../exit-codes.md) says what each error comes to on the command line.",
        ("api", "version", "plugins", "cli", "config", "contracts.verbs", "contracts.trust", "errors"),
    ),
    Section(
        "data.md",
        "Examples, sources and formats",
        "From where examples come, what a record becomes, and which split it belongs to.",
        ("data", "contracts.examples"),
    ),
    Section(
        "encoding.md",
        "Encoding, rows and batches",
        "How an example becomes token sequences with weights, and how rows are packed into batches.",
        ("contracts.batch", "data.collate", "data.encoding", "data.overlong", "data.shared_prefixes",
         "models.attention"),
    ),
    Section(
        "models.md",
        "Models",
        "Where networks come from, how they are loaded safely, and what can be read off a network.",
        ("models", "contracts.model", "contracts.heads", "contracts.text_embedding", "contracts.proof"),
    ),
    Section(
        "adaptations.md",
        "Adaptations",
        "Which weights may move, and how what moved is saved.",
        ("contracts.adaptation", "contracts.proof", "models.adaptation"),
    ),
    Section(
        "methods.md",
        "Methods, losses and optimizers",
        "A method encodes an example and gives the loss of a batch as a sum and a weight.",
        ("training", "contracts.training", "contracts.distillation", "models.chunked_losses"),
    ),
    Section(
        "preferences.md",
        "Preference objectives",
        "What `method=dpo`, `method=kto` and their relatives hand to an objective.",
        ("contracts.preferences",),
    ),
    Section(
        "rewards.md",
        "Rewards and policy gradients",
        "What a reward is called with, and what advantages and policy losses are given.",
        ("contracts.rewards", "contracts.policy_gradients", "contracts.rollout", "inference.reward_scores",
         "inference.reward_objective"),
    ),
    Section(
        "generation.md",
        "Generation, log-probabilities and embeddings",
        "Answers, log-probabilities and vectors of a network, and search by words.",
        ("contracts.sampling", "inference", "models.encoders"),
    ),
    Section(
        "evaluation.md",
        "Prompts and evaluation",
        "How an example becomes a prompt, what is evaluated, and how it is measured.",
        (
            "contracts.prompt", "data.selection", "contracts.search",
            "contracts.predictor", "contracts.conversation", "contracts.scores", "data.prompts",
            "evaluation",
        ),
    ),
    Section(
        "runs.md",
        "Runs, artifacts and trackers",
        "A run and its folder, what it leaves, and how figures are written.",
        (
            "workflows", "records", "reporting", "contracts.active_run", "contracts.report_section",
            "training.guarded_logger", "training.tracking", "training.metrics_log", "disk.redaction",
        ),
    ),
    Section(
        "packages.md",
        "Packages, caches and endpoints",
        "What is fetched or built once and kept, and which packages a part needs.",
        ("fetch",),
    ),
    Section(
        "testing.md",
        "Suites for your tests",
        "`luthier.testing` is imported from your tests: suites to inherit, and what they are made of. It needs pytest.",
        ("testing",),
    ),
]  # fmt: skip


def section_of(home: str) -> Section | None:
    """The section of a module, by the longest beginning that one of them names."""
    words = home.removeprefix("luthier.").split(".")
    beginnings = (".".join(words[:end]) for end in range(len(words), 0, -1))
    return next((one for beginning in beginnings for one in SECTIONS if beginning in one.modules), None)
