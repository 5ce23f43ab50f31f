"""What became of the examples of a split while they were encoded, in sentences for the report."""

from __future__ import annotations

from collections.abc import Mapping

from luthier.data.encoding.codec import LEFT_OUT

_SENTENCES = {
    "truncated": "are longer than a block and were truncated",
    "truncated_answers": "lost the end of an answer",
    "dropped": "are longer than a block and were dropped",
    "untrainable": "have no token to train on and were left out",
    "truncated_away": "lost the whole of an answer by truncation",
    "special_text": "contain the text of special tokens, which was encoded as plain text",
    "turns_apart": "have turns before which the chat template renders the conversation differently when others follow: "
    "each trained turn is an example of its own (data.turns=each)",
    "moved_boundaries": "have an answer that begins inside a token, where the text was split",
}


def encoding_notes(counts: Mapping[str, int], places: Mapping[str, list[str]], split: str) -> list[str]:
    """A sentence for each kind of event while a split was encoded, and one on what the chat template leaves out."""
    notes = []
    for event, sentence in _SENTENCES.items():
        if counts.get(event):
            named = f" ({', '.join(places[event][:3])})" if places.get(event) else ""
            notes.append(f"{counts[event]} {split} examples {sentence}{named}.")
    found = {name: count for name, count in sorted(counts.items()) if name.startswith(LEFT_OUT) and count}
    kinds = ", ".join(f"{name.removeprefix(LEFT_OUT)} (in {count})" for name, count in found.items())
    left_out = f"The chat template leaves out of {split} examples what it does not render: {kinds}."
    return [*notes, left_out] if kinds else notes
