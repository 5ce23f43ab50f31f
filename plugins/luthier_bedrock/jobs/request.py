"""The request CreateModelCustomizationJob of a recipe: it is checked against the service's model, and never sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from luthier.api import RecipeError
from luthier_bedrock.checks.service_model import faults, member, shape_of
from luthier_bedrock.checks.table import Base, limits_of, source_of, table
from luthier_bedrock.jobs.carried import LEFT, SERVICE, Carrier, Fate

TYPES = {
    "sft": "FINE_TUNING",
    "rft": "REINFORCEMENT_FINE_TUNING",
    "cpt": "CONTINUED_PRE_TRAINING",
    "distillation": "DISTILLATION",
}
SETTINGS = {"epochCount": "trainer.epochs", "learningRate": "optimizer.lr"}
RFT = {
    **SETTINGS,
    "batchSize": "batch.size",
    "trainingSamplePerPrompt": "method.group",
    "inferenceMaxTokens": "method.rollout.max_new_tokens",
    "maxPromptLength": "batch.length",
}
"""A hyperparameter of reinforcement fine-tuning, and the setting that it is made of."""


@dataclass(frozen=True)
class Places:
    """What no recipe has: names, the role, where data and results lie, and what grades or teaches."""

    name: str
    role: str
    data: str
    results: str
    validation: str | None = None
    grader: str | None = None
    teacher: str | None = None
    logs: bool = False
    use_responses: bool = False


def write_request(
    recipe: Mapping[str, Any], kind: str, base: Base, places: Places
) -> tuple[dict[str, Any], list[Fate]]:
    """The request and what became of each setting; RecipeError where the service has no such job, or refuses it."""
    limits = limits_of(base, kind)
    if limits.only_recipe:
        raise RecipeError(
            f"Bedrock has no continued pre-training of {base.name} ({source_of('customization')}).",
            where="--base",
            hint="The Nova recipe for SageMaker is written with --recipe-only; the request is for titan-text-express.",
        )
    if places.validation and not base.validation:
        raise RecipeError(f"A job of {base.name} takes no data for validation.", where="--validation")
    carrier = Carrier(recipe)
    request: dict[str, Any] = {
        "jobName": places.name,
        "customModelName": places.name,
        "roleArn": places.role,
        "baseModelIdentifier": base.model,
        "customizationType": TYPES[kind],
        "trainingDataConfig": _training_data(kind, places),
        "outputDataConfig": {"s3Uri": places.results},
    }
    if places.validation:
        request["validationDataConfig"] = {"validators": [{"s3Uri": places.validation}]}
    request |= _configured(kind, base, places, carrier)
    carrier.leave(_left(kind))
    shape = shape_of("bedrock", "CreateModelCustomizationJob")
    if refused := faults(shape, request, "request"):
        raise RecipeError(f"The service would refuse the request: {'; '.join(refused)}.", where="bedrock job")
    return request, carrier.fates


def _configured(kind: str, base: Base, places: Places, carrier: Carrier) -> dict[str, Any]:
    if kind == "rft":
        return _reinforced(places, carrier)
    if kind == "distillation":
        teacher: dict[str, Any] = {"teacherModelIdentifier": _needed(places.teacher, "--teacher", "a teacher model")}
        carrier.leave({path: f"no source has a distillation job take {name}" for name, path in SETTINGS.items()})
        return {"customizationConfig": {"distillationConfig": {"teacherModelConfig": teacher}}}
    bounds = table()["parameters"].get(base.name)
    if bounds is None:
        for name, path in SETTINGS.items():
            carrier.leave({path: f"{name} of {base.name}: no source has its range, so the service's default is used"})
        return {}
    values = {name: carrier.carry(path, name, bounds[name]) for name, path in SETTINGS.items()}
    written = {name: _text(value) for name, value in values.items() if value is not None}
    default = bounds["learningRateWarmupSteps"]["default"]
    carrier.leave({"optimizer.schedule.warmup": f"the service counts steps, whose number it does not tell: {default}"})
    return {"hyperParameters": written}


def _reinforced(places: Places, carrier: Carrier) -> dict[str, Any]:
    """Of reinforcement fine-tuning the service's own model has the ranges."""
    job = shape_of("bedrock", "CreateModelCustomizationJob")
    shape = member(job, "customizationConfig", "rftConfig", "hyperParameters")
    parameters = {}
    for name, path in RFT.items():
        metadata = shape.members[name].metadata
        bounds = {new: metadata[old] for old, new in (("min", "least"), ("max", "most")) if old in metadata}
        bounds["whole"] = shape.members[name].type_name == "integer"
        if (value := carrier.carry(path, name, bounds)) is not None:
            parameters[name] = value
    grader = {"lambdaGrader": {"lambdaArn": _needed(places.grader, "--lambda", "the ARN of the function that grades")}}
    return {"customizationConfig": {"rftConfig": {"graderConfig": grader, "hyperParameters": parameters}}}


def _training_data(kind: str, places: Places) -> dict[str, Any]:
    if not places.logs:
        return {"s3Uri": places.data}
    if kind != "distillation":
        raise RecipeError(f"A {kind} job is not made from invocation logs here.", where="--logs")
    logs = {"usePromptResponse": places.use_responses, "invocationLogSource": {"s3Uri": places.data}}
    return {"invocationLogsConfig": logs}


def _left(kind: str) -> dict[str, str]:
    if kind == "rft":
        of_method = {
            "method.reward": "the function at --lambda grades: try yours with luthier bedrock grade",
            "method.objective": SERVICE,
            "method.advantage": SERVICE,
            "method.kl": SERVICE,
            "method.rollout.temperature": SERVICE,
        }
        return {**of_method, **LEFT}
    if kind == "distillation":
        of_method = {
            "method.teacher": "the teacher is a model of the service (--teacher)",
            "method.signal": "the student is fine-tuned on the teacher's answers, not on its probabilities",
        }
        return {**of_method, **LEFT}
    return LEFT | ({"method.neftune_alpha": SERVICE} if kind == "sft" else {})


def _needed(value: str | None, option: str, what: str) -> str:
    if not value:
        raise RecipeError(f"The job needs {what}.", where=option, hint=f"Say {option} ….")
    return value


def _text(value: Any) -> str:
    """Hyperparameters are texts in the request."""
    return format(value, "g") if isinstance(value, float) else str(value)
