"""The few facts of a run that fit on a line each, in the order in which one asks for them."""

from __future__ import annotations

from luthier.reporting.figures import duration, format_count, format_number, format_size, share
from luthier.reporting.record import ProofFacts, RunRecord


def facts(record: RunRecord) -> dict[str, str]:
    """What is known of the model, the training and the machine; nothing else is mentioned."""
    model, training = record.model, record.training
    known = {
        "Model": model.name,
        "Architecture": model.architecture,
        "Weights trained": _trained(model.trained, model.parameters),
        "Not reached by text": _other_modalities(model.other_modalities, model.other_parts),
        "Method": ", ".join(record.answers[key] for key in ("method", "adaptation") if record.answers.get(key)),
        **record.method,
        "Optimizer": ", ".join(text if key == "name" else f"{key} {text}" for key, text in training.optimizer.items()),
        "Optimizer steps": _steps(record),
        "Stopped early": training.stopped,
        "Best checkpoint": training.kept,
        "Tokens seen": format_count(training.tokens) if training.tokens is not None else "",
        "Speed": f"{format_number(training.tokens_per_second)} tokens/s" if training.tokens_per_second else "",
        "Training time": duration(training.seconds) if training.seconds is not None else "",
        "Time in steps": share(training.productive, 1.0) if training.productive is not None else "",
        "Peak memory": format_size(training.peak_memory) if training.peak_memory else "",
        "Energy": f"{training.joules / 3600:.3g} Wh, of all processors" if training.joules is not None else "",
        "Device": training.device,
        "Precision": training.precision,
        "Resumed from": training.resumed_from,
        **{f"{proof.what} proved": _proof(proof) for proof in record.proofs},
        "Artifact": f"{record.artifact} ({record.artifact_kind})" if record.artifact_kind else record.artifact,
    }
    return {name: text for name, text in known.items() if text}


def _proof(proof: ProofFacts) -> str:
    """The figure in words; where there is none, that nothing was proved, and why."""
    if proof.unproved:
        return f"no: {proof.unproved}"
    apart = [f"logits differ by {format_number(proof.logits)} at most"] if proof.logits is not None else []
    apart += [f"log-probabilities by {format_number(proof.nats)} nats"] if proof.nats is not None else []
    if proof.changed is not None and proof.mean is not None:
        mean = f"by {format_number(proof.mean)} on average, where the adapter changed them by "
        apart.append(mean + format_number(proof.changed))
    tokens = f" over {format_count(proof.tokens)} tokens: {proof.texts}" if proof.tokens else ""
    return f"read back by {proof.reader}, {', '.join(apart)}{tokens}"


def _trained(trained: int | None, parameters: int | None) -> str:
    if trained is None or not parameters:
        return f"{format_count(parameters)} in all" if parameters else ""
    return f"{format_count(trained)} of {format_count(parameters)} ({share(trained, parameters)})"


def _other_modalities(weights: int | None, parts: list[str]) -> str:
    return f"{format_count(weights)} in {', '.join(parts)}" if weights else ""


def _steps(record: RunRecord) -> str:
    steps, epochs = record.training.steps, record.training.epochs
    if steps is None:
        return ""
    return format_count(steps) + (f" ({epochs:.2f} epochs)" if epochs is not None else "")
