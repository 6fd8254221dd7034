"""Text of any characters: refused with a reason, or all of it translated, each sentence as the Predictor does."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import httpx
import pytest
from correct import translated
from hypothesis import given, settings
from hypothesis import strategies as st
from running import Running
from tiers import tiers
from unharmed import is_refused
from v2 import Message, outputs, tensor

from tasks.translation.predict import Predictor as Translator

BIDI = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c"
JOINERS = "\u200b\u200c\u200d\u2060\ufe0e\ufe0f\U000e0061\U000e007f"
MARKS = "\u0301\u0308\u20dd\u0338\u0489\u3099\u0e34\u0f71"
EMOJI = ["👩‍👩‍👧‍👦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🇯🇵", "☺️", "👍🏽", "#️⃣"]
WORDS = ["she", "buy", "cars", "Dr.", "3.14", "www.example.org", "e.g.", "“Hi!”", "(a)", "don't", "1,000"]
ENDS = [".", "! ", "? ", "…", "。", "！", "\n", "\r\n", "\u2028", "\t", "  ", "\u3000", "؟ ", "।"]
EVERYTHING = st.characters(codec="utf-8", max_codepoint=0x10FFFF)
TEXTS = st.lists(
    st.sampled_from([*WORDS, *ENDS, *EMOJI, *BIDI, *JOINERS, *MARKS, " ", " "])
    | st.text(EVERYTHING, max_size=4)
    | st.sampled_from("aé語ß\u0130Ω").map(lambda letter: letter * 200),
    max_size=25,
).map("".join)
BROKEN = {
    "a lone continuation byte": b"caf\x80",
    "a start without its end": b"caf\xc3",
    "overlong": b"\xc0\xaf",
    "overlong NUL": b"a\xc0\x80b",
    "a surrogate": b"\xed\xa0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "Latin-1": "Zürich".encode("latin-1"),
    "UTF-16": "she buys cars".encode("utf-16"),
    "UTF-32": "she buys cars".encode("utf-32"),
    "Shift JIS": "日本語の文".encode("shift_jis"),
    "0xff": b"\xff\xfe\xfd",
}
REFUSED = {
    "empty": "",
    "white space": " \t\n\u3000",
    "NUL": "she buy\0 cars",
    "escape": "she \x1b[31m buy",
    "C1 control": "she \x9b buy",
    "delete": "she \x7f buy",
    "replacement character": "she \ufffd buy",
    "20,001 characters": "a" * 20_001,
    "another script": "Она покупает машины.",
}
FINE = {
    "20,000 characters": "she buy cars . " * 1333 + "abcde",
    "a word of 20,000 letters": "a" * 20_000,
    "20,000 full stops": "." * 20_000,
    "20,000 newlines around a word": "\n" * 9998 + "cars" + "\n" * 9998,
    "20,000 brackets": "(" * 10_000 + ")" * 10_000,
    "20,000 marks on a letter": "a" + "\u0301" * 19_999,
    "5,000 families": "👩‍👩‍👧‍👦"[:4] * 5000,
    "20,000 digits": "1234567890" * 2000,
    "quotes": "“” «» „“ '" * 1500,
}

SLOW = {"2,000 sentences": "I see. " * 2000, "abbreviations": "e.g. Dr. Mr. No. 1. " * 1000}
LATER = [pytest.param(text, marks=pytest.mark.slow) for text in SLOW.values()]


def translate(http: httpx.Client, **body: Any) -> httpx.Response:
    """Python's JSON escapes what is no ASCII, lone surrogates too."""
    return http.post("/v1/translate", content=json.dumps(body), headers={"Content-Type": "application/json"})


def check(translator: Translator, text: str, answer: httpx.Response, beam: int | None = None) -> bool:
    """Whether it is refused; fails when it is answered wrongly."""
    if is_refused(answer):
        return True
    (found,) = answer.json()["translations"]
    translated(translator, text, found, beam)
    for sentence in found["sentences"]:
        if aligned := sentence["alignment"]:
            assert all(abs(sum(row) - 1) < 1e-3 for row in aligned["attention"])
            assert {len(row) for row in aligned["attention"]} <= {len(aligned["source"])}
            assert len(aligned["attention"]) == len(aligned["target"])
    return False


@tiers(100, 3000)
def test_text_of_any_characters(server: Running, translator: Translator, tries: settings) -> None:
    @tries
    @given(TEXTS, st.booleans(), st.booleans(), st.none() | st.integers(1, 4))
    def try_one(text: str, check_language: bool, alignment: bool, beam: int | None) -> None:
        body = {"text": text, "check_language": check_language, "alignment": alignment, "beam": beam}
        check(translator, text, translate(server.http, **body), beam)

    try_one()


@pytest.mark.parametrize("plane", range(17))
def test_characters_of_every_plane(server: Running, translator: Translator, plane: int) -> None:
    """A hundred of each, spread over it; surrogates stand in the first."""
    characters = [chr((plane << 16) + 655 * i) for i in range(100)]
    accepted = 0
    for start in range(0, 100, 20):
        text = "I see " + " ".join(characters[start : start + 20]) + " cars"
        accepted += not check(translator, text, translate(server.http, text=text, check_language=False))
    assert accepted >= (3 if plane == 0 else 5)


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_translated_is_refused(server: Running, text: str) -> None:
    assert is_refused(translate(server.http, text=text))
    assert is_refused(translate(server.http, text=["I see cars", text]))
    assert is_refused(server.http.post("/v1/translate", content=text.encode(), headers={"Content-Type": "text/plain"}))


@pytest.mark.parametrize("text", [*FINE.values(), *LATER], ids=[*FINE, *SLOW])
def test_long_text_is_translated_whole(server: Running, translator: Translator, text: str) -> None:
    assert len(text) <= 20_000
    answer = translate(server.http, text=text, check_language=False)
    assert not check(translator, text, answer), answer.text


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_broken_utf_8_is_refused(server: Running, content: bytes) -> None:
    kinds = {"text/plain": content, "application/json": b'{"text": "' + content + b'"}'}
    for kind, body in kinds.items():
        assert is_refused(server.http.post("/v1/translate", content=body, headers={"Content-Type": kind}))
    assert is_refused(server.http.post("/v1/translate", files={"text": (None, content)}))
    entry, blob = tensor("text", [content], "BYTES", "binary")
    assert is_refused(Message("translation", {"inputs": [entry]}, blob).send(server.http))


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\udc00\ud800", "\ud83d x \ude00"])
def test_lone_surrogates_of_json_are_refused(server: Running, text: str) -> None:
    assert is_refused(translate(server.http, text=text))
    entry = {"name": "text", "datatype": "BYTES", "shape": [1], "data": [text]}
    assert is_refused(Message("translation", {"inputs": [entry]}).send(server.http))


def test_a_byte_order_mark_is_no_character(server: Running) -> None:
    plain = {"Content-Type": "text/plain"}
    with_mark = server.http.post("/v1/translate", content="she buy cars .".encode("utf-8-sig"), headers=plain)
    without = server.http.post("/v1/translate", content=b"she buy cars .", headers=plain)
    assert with_mark.json()["translations"] == without.json()["translations"]


def test_canonically_equal_texts_are_both_translated(server: Running, translator: Translator) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        text = unicodedata.normalize(form, "Zürich café ﬁne Å ①")
        assert not check(translator, text, translate(server.http, text=text))


@tiers(30, 1000)
def test_both_protocols_say_the_same(server: Running, tries: settings) -> None:
    @tries
    @given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from(["text", "binary", "base64"]))
    def try_one(texts: list[str], form: str) -> None:
        plain = translate(server.http, text=texts, check_language=False)
        entry, blob = tensor("text", [text.encode() for text in texts], "BYTES", form)
        content = {"inputs": [entry], "parameters": {"check_language": False}}
        answer = Message("translation", content, blob).send(server.http)
        assert is_refused(plain) == is_refused(answer)
        if plain.status_code == 200:
            found = [value.decode() for value in outputs(answer)[1]["translation"]]
            assert found == [one["text"] for one in plain.json()["translations"]]

    try_one()
