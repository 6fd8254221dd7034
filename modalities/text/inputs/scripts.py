"""Which script a text is written in, and which one a language uses."""

from __future__ import annotations

import re
from functools import cache

from modalities.text.inputs import codes

LETTER = re.compile(r"[^\W\d_]")
NO_LETTERS = re.compile(r"[\W\d_]+")
HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
SCRIPTS = {
    "Latn": "A-Za-z\u00aa\u00ba\u00c0-\u024f\u0250-\u02af\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a",
    "Cyrl": "\u0400-\u052f",
    "Grek": "\u0370-\u03ff\u1f00-\u1fff",
    "Arab": "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufeff",
    "Hebr": "\u0590-\u05ff\ufb1d-\ufb4f",
    "Deva": "\u0900-\u097f",
    "Beng": "\u0980-\u09ff",
    "Taml": "\u0b80-\u0bff",
    "Thai": "\u0e00-\u0e7f",
    "Laoo": "\u0e80-\u0eff",
    "Tibt": "\u0f00-\u0fff",
    "Mymr": "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f",
    "Khmr": "\u1780-\u17ff\u19e0-\u19ff",
    "Kore": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af" + HAN,
    "Hani": HAN,
    "Jpan": "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f" + HAN,
}
"""Ranges of code points by script (ISO 15924), from the Unicode block chart."""
NAMES = {
    "Latn": "Latin",
    "Cyrl": "Cyrillic",
    "Grek": "Greek",
    "Arab": "Arabic",
    "Hebr": "Hebrew",
    "Deva": "Devanagari",
    "Beng": "Bengali",
    "Taml": "Tamil",
    "Thai": "Thai",
    "Laoo": "Lao",
    "Tibt": "Tibetan",
    "Mymr": "Burmese",
    "Khmr": "Khmer",
    "Kore": "Korean",
    "Hani": "Chinese",
    "Jpan": "Japanese",
}
LANGUAGES = {
    "Latn": "en de fr es it pt nl sv da no nb nn fi is pl cs sk sl hr hu ro et lv lt tr vi id ms sw "
    "tl fil la ca eu gl ga",
    "Cyrl": "ru uk be bg mk mn kk ky",
    "Grek": "el",
    "Arab": "ar fa ur",
    "Hebr": "he yi",
    "Deva": "hi mr ne",
    "Beng": "bn",
    "Taml": "ta",
    "Thai": "th",
    "Laoo": "lo",
    "Tibt": "bo dz",
    "Mymr": "my shn mnw",
    "Khmr": "km",
    "Kore": "ko",
    "Hani": "zh",
    "Jpan": "ja",
}
SCRIPT_OF = {language: script for script, names in LANGUAGES.items() for language in names.split()}


NAMED_SO = {"hans": "Hani", "hant": "Hani", "hang": "Kore", "hira": "Jpan", "kana": "Jpan"}
"""Subtags of scripts that the table has as a part of another."""


@cache
def script_of(language: str) -> str | None:
    """`Jpan` of `ja`; `sr-Latn` names its script itself; None for a language that is not listed."""
    subtags = codes.normal(language).split("-")[1:]
    named = next((NAMED_SO.get(tag, tag.title()) for tag in subtags if NAMED_SO.get(tag, tag.title()) in SCRIPTS), None)
    return named or SCRIPT_OF.get(codes.base(language))


def script_share(text: str, language: str) -> float:
    """Share of the letters of `text` in the script of `language`; 1 without letters or for an unknown language."""
    script = script_of(language)
    letters = NO_LETTERS.sub("", text)
    return _count(script, letters) / len(letters) if script and letters else 1.0


def script_words(language: str) -> str:
    """`Japanese` of `ja`: the name of its script."""
    script = script_of(language)
    return NAMES[script] if script else "unknown"


def main_script(text: str) -> str:
    """The script that most letters of `text` are in, in words; of several with as many, the narrowest."""
    letters = NO_LETTERS.sub("", text)
    counts = {script: _count(script, letters) for script in ("Hani", *SCRIPTS)}
    best = max(counts, key=lambda script: counts[script])
    return NAMES[best] if counts[best] else "unknown"


def _count(script: str, letters: str) -> int:
    """Letters of a script: what is gone when they are removed, which is quicker than a list of them."""
    return len(letters) - len(_pattern(script).sub("", letters))


@cache
def _pattern(script: str) -> re.Pattern[str]:
    return re.compile(f"[{SCRIPTS[script]}]+")
