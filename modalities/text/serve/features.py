"""Figures of a text, whose distribution is watched for drift."""

from __future__ import annotations

from modalities.text.inputs.scripts import script_share


def features(text: str) -> dict[str, float]:
    """Length in characters and words; share of digits and of capitals in the characters; of Latin in the letters."""
    count = max(1, len(text))
    return {
        "characters": float(len(text)),
        "words": float(len(text.split())),
        "digits": sum(map(str.isdigit, text)) / count,
        "capitals": sum(map(str.isupper, text)) / count,
        "latin": script_share(text, "en"),
    }
