"""Text of the results of a comparison, for the terminal and the page."""

from __future__ import annotations

from luthier.reporting.figures import duration, format_interval, format_number, format_signed, format_size, title
from luthier.workflows.comparison.results import Comparison, Result
from luthier.workflows.comparison.standings import Standings

VERDICTS = {"best": "best", "not distinguishable": "~ best", "worse": "worse", "better": "better"}


def quality(result: Result, standings: Standings) -> str:
    score = standings.scores[result.name]
    return f"{format_number(score.value)} ({format_interval(score)})"


def training(result: Result) -> str:
    seconds = result.training["seconds"]
    return "none" if not result.trained else duration(seconds) if seconds is not None else "not known"


def answer(result: Result) -> str:
    seconds = result.inference.get("seconds")
    return f"{format_number(seconds)} s" if seconds is not None else "not known"


def forgetting(result: Result) -> str:
    """The change of the loss on general text."""
    if not result.trained:
        return "no weight moved"
    if (change := result.forgetting) is None:
        return "not measured"
    outcome = {"worse": "forgets", "better": "gains"}.get(change.verdict, "~ none")
    return f"{outcome} ({format_signed(change.change.value)})"


def facts(result: Result) -> dict[str, str]:
    """The known costs of a contender, the most important first."""
    spent, inference = result.training, result.inference
    known = {
        "training time": duration(spent["seconds"]) if result.trained and spent["seconds"] is not None else "none",
        "whole run": duration(spent["whole"]) if spent["whole"] is not None else "",
        "tokens trained on": f"{spent['tokens']:,.0f}" if spent["tokens"] is not None else "",
        "optimizer steps": f"{spent['steps']:,.0f}" if spent["steps"] is not None else "",
        "weights that move": f"{spent['trained']:,.0f}" if spent["trained"] is not None else "",
        "memory in training": format_size(round(spent["peak_memory"])) if spent["peak_memory"] else "",
        "energy": f"{joules / 3600:.3g} Wh" if (joules := spent["joules"]) else "",
        "tokens of a prompt": f"{inference['prompt_tokens']:g}" if "prompt_tokens" in inference else "",
        "first token after": f"{format_number(inference['first_token'])} s" if "first_token" in inference else "",
        "an answer takes": f"{format_number(inference['seconds'])} s" if "seconds" in inference else "",
        "tokens a second": format_number(inference["tokens_per_second"]) if inference.get("tokens_per_second") else "",
        "memory in answering": format_size(inference["memory"]) if inference.get("memory") else "",
        "weights in memory": format_size(inference["weights"]) if "weights" in inference else "",
        "artifact": format_size(inference["artifact"]) if "artifact" in inference else "",
    }
    return {name: text for name, text in known.items() if text}


def sentences(comparison: Comparison) -> list[str]:
    """The result in sentences: the best contender, those not distinguishable from it, and the others with their gap."""
    standings = comparison.standings.get(comparison.terms.score)
    if standings is None:
        return [
            f"The {title(comparison.terms.score)} of the contenders is not of the same tokens and cannot be compared."
        ]
    best = standings.scores[standings.best]
    text = [
        f"{standings.best} has the best {title(standings.name)}: {format_number(best.value)} ({format_interval(best)}, "
        f"n = {best.count:,})."
    ]
    others = [one.name for one in comparison.finished if one.name != standings.best]
    if alike := [name for name in others if standings.against_best(name) == "not distinguishable"]:
        text.append(f"Not distinguishable from it: {', '.join(alike)}.")
    for name in others:
        if standings.against_best(name) != "not distinguishable":
            change = standings.differences[standings.best, name].change
            text.append(
                f"{name} is behind by {format_number(abs(change.value))} ({format_interval(change, sign=True)})."
            )
    return text
