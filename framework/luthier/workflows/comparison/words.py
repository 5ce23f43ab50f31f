"""How a comparison's figures read, on the terminal and on the page."""

from __future__ import annotations

from luthier.reporting.figures import duration, format_interval, format_number, format_signed, format_size, title
from luthier.workflows.comparison.results import Comparison, Result
from luthier.workflows.comparison.standings import Standings

VERDICTS = {"best": "best", "not distinguishable": "~ best", "worse": "worse", "better": "better"}


def quality(result: Result, found: Standings) -> str:
    score = found.scores[result.name]
    return f"{format_number(score.value)} ({format_interval(score)})"


def training(result: Result) -> str:
    seconds = result.training["seconds"]
    return "none" if not result.trained else duration(seconds) if seconds is not None else "not known"


def answer(result: Result) -> str:
    seconds = result.inference.get("seconds")
    return f"{format_number(seconds)} s" if seconds is not None else "not known"


def forgetting(result: Result) -> str:
    """What became of the loss on general text."""
    if not result.trained:
        return "no weight moved"
    if (found := result.forgetting) is None:
        return "not measured"
    told = {"worse": "forgets", "better": "gains"}.get(found.verdict, "~ none")
    return f"{told} ({format_signed(found.change.value)})"


def facts(result: Result) -> dict[str, str]:
    """The costs of a contender that are known, in the order in which one asks for them."""
    spent, asked = result.training, result.inference
    known = {
        "training time": duration(spent["seconds"]) if result.trained and spent["seconds"] is not None else "none",
        "whole run": duration(spent["whole"]) if spent["whole"] is not None else "",
        "tokens trained on": f"{spent['tokens']:,.0f}" if spent["tokens"] is not None else "",
        "optimizer steps": f"{spent['steps']:,.0f}" if spent["steps"] is not None else "",
        "weights that move": f"{spent['trained']:,.0f}" if spent["trained"] is not None else "",
        "memory in training": format_size(round(spent["peak_memory"])) if spent["peak_memory"] else "",
        "energy": f"{joules / 3600:.3g} Wh" if (joules := spent["joules"]) else "",
        "tokens of a prompt": f"{asked['prompt_tokens']:g}" if "prompt_tokens" in asked else "",
        "first token after": f"{format_number(asked['first_token'])} s" if "first_token" in asked else "",
        "an answer takes": f"{format_number(asked['seconds'])} s" if "seconds" in asked else "",
        "tokens a second": format_number(asked["tokens_per_second"]) if asked.get("tokens_per_second") else "",
        "memory in answering": format_size(asked["memory"]) if asked.get("memory") else "",
        "weights in memory": format_size(asked["weights"]) if "weights" in asked else "",
        "artifact": format_size(asked["artifact"]) if "artifact" in asked else "",
    }
    return {name: text for name, text in known.items() if text}


def sentences(comparison: Comparison) -> list[str]:
    """What was found, in words: who is best, who cannot be told from it, who is behind and by how much."""
    found = comparison.standings.get(comparison.terms.score)
    if found is None:
        return [
            f"The {title(comparison.terms.score)} of the contenders is not of the same tokens and cannot be compared."
        ]
    best = found.scores[found.best]
    told = [
        f"{found.best} has the best {title(found.name)}: {format_number(best.value)} ({format_interval(best)}, "
        f"n = {best.count:,})."
    ]
    others = [one.name for one in comparison.finished if one.name != found.best]
    if alike := [name for name in others if found.against_best(name) == "not distinguishable"]:
        told.append(f"Not distinguishable from it: {', '.join(alike)}.")
    for name in others:
        if found.against_best(name) != "not distinguishable":
            change = found.differences[found.best, name].change
            told.append(
                f"{name} is behind by {format_number(abs(change.value))} ({format_interval(change, sign=True)})."
            )
    return told
