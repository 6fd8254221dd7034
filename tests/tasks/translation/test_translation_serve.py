"""Role `serve` on a trained model: what requests become, what is answered, what is refused, golden samples."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import translation_tiny as tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core.errors import DataError
from modalities.text.inputs.scripts import main_script
from tasks.translation import serve
from tasks.translation.predict import Predictor, inputs

pytestmark = pytest.mark.models

LIMITS = {"items": 3, "pixels": 1, "characters": 2000}
EAT = "he eat rice ."


@pytest.fixture(scope="module")
def predictor(exported: Callable[[str], tiny.Exported]) -> Predictor:
    return Predictor(exported("transformer").folder, threads=1)


def asked(predictor: Predictor, text: Any, **options: Any) -> list[dict[str, Any]]:
    """Translations of a request to the endpoint."""
    job = serve.plain(serve.Request(text=text, **options), predictor, LIMITS)
    answer = serve.answer(job, serve.run(predictor, job.items, job.options))
    assert serve.Response.model_validate(json.loads(json.dumps(answer)))
    return answer["translations"]


def tensor(*texts: bytes) -> dict[str, Any]:
    return {"text": np.array(texts, dtype=object)}


def test_answers_are_what_the_predictor_says(predictor: Predictor, exported: Callable[[str], tiny.Exported]) -> None:
    texts = inputs(exported("transformer").data, "test")[:3]
    assert [answer["text"] for answer in asked(predictor, texts)] == predictor(texts)
    assert asked(predictor, EAT)[0]["text"] == predictor([EAT])[0]
    assert asked(predictor, EAT)[0]["sentences"] == [
        {"source": EAT, "text": predictor([EAT])[0], "alignment": None, "alternatives": None}
    ]
    job = serve.tensors(tensor(*(text.encode() for text in texts)), {}, predictor, LIMITS)
    found = serve.outputs(job, serve.run(predictor, job.items, job.options))["translation"]
    assert [text.decode() for text in found] == predictor(texts)


def test_a_text_is_split_translated_and_joined(predictor: Predictor) -> None:
    one, two = predictor([EAT, "she buy cars ."])
    (answer,) = asked(predictor, f"\n{EAT} she buy cars .\n\n  {EAT}  ")
    assert answer["text"] == f"\n{one}{two}\n\n  {one}"  # Japanese has no space between sentences
    assert [sentence["source"] for sentence in answer["sentences"]] == [EAT, "she buy cars .", EAT]


def test_spaces_join_the_sentences_of_a_language_that_has_them(predictor: Predictor) -> None:
    spaced = Predictor.__new__(Predictor)
    spaced.__dict__ = {**predictor.__dict__, "info": {**predictor.info, "languages": {
        "source": "en", "target": "de", "tokenized": True}}}  # fmt: skip
    one = predictor([EAT])[0]
    assert asked(spaced, f"{EAT}\t{EAT} {EAT}")[0]["text"] == f"{one} {one} {one}"


def test_what_has_no_letters_stays_as_it_is(predictor: Predictor) -> None:
    (answer,) = asked(predictor, f"...\n{EAT}\n— !!!\n☃")
    assert answer["text"] == f"...\n{predictor([EAT])[0]}\n— !!!\n☃"
    assert serve.plain(serve.Request(text="☃ !"), predictor, LIMITS).items == []
    assert asked(predictor, "☃ !", alignment=True)[0]["sentences"][0]["alignment"] is None


def test_nothing_of_a_long_sentence_is_lost(predictor: Predictor) -> None:
    limit = predictor.info["limits"]["max_tokens"]
    for text in ("he eat rice , " * 60 + ".", "he eat rice " * 60, "he" * 500):
        job = serve.plain(serve.Request(text=text), predictor, LIMITS)
        assert len(job.items) > 3
        assert all(len(ids) < limit for ids in predictor.tokenizer.encode(job.items))
        assert "".join(job.items).replace(" ", "") == text.replace(" ", "")
        answer = serve.answer(job, serve.run(predictor, job.items, job.options))["translations"][0]
        assert answer["text"] == "".join(predictor([item])[0] for item in job.items)


def test_alignment_comes_with_every_sentence(predictor: Predictor) -> None:
    (answer,) = asked(predictor, f"{EAT} {EAT}", alignment=True)
    assert [sentence["alignment"] for sentence in answer["sentences"]] == predictor.align([EAT, EAT])


def test_alternatives_are_the_best_of_the_beam(predictor: Predictor) -> None:
    (answer,) = asked(predictor, f"{EAT} ☃ !\n{EAT}", alternatives=3)
    first, still, last = answer["sentences"]
    assert first["alternatives"] == last["alternatives"] == [each._asdict() for each in predictor.best([EAT], 3)[0]]
    assert still["alternatives"] is None
    texts, scores = zip(*((each["text"], each["score"]) for each in first["alternatives"]), strict=True)
    assert texts[0] == first["text"] and len(set(texts)) == len(texts) > 1
    assert list(scores) == sorted(scores, reverse=True) and max(scores) < 0
    assert len(asked(predictor, EAT, alternatives=1)[0]["sentences"][0]["alternatives"]) == 1


def test_a_translation_begins_with_what_is_asked_for(predictor: Predictor) -> None:
    """The first sentence of its text; the others are what they are without."""
    alone = predictor([EAT])[0]
    (answer,) = asked(predictor, f"{EAT} {EAT}", prefix="彼女 は", alignment=True)
    first, second = answer["sentences"]
    assert answer["text"].startswith("彼女 は") and first["text"] != alone == second["text"]
    assert len(first["alignment"]["attention"]) == len(first["alignment"]["target"])
    answers = asked(predictor, [EAT, EAT, EAT], prefix=["彼女", "", " 君 は  魚 "])
    assert answers[1]["text"] == alone
    assert answers[0]["text"].startswith("彼女") and answers[2]["text"].startswith("君 は 魚")
    ((_, (forced,)), plain) = predictor.search([EAT], begun=[alone]), predictor.search([EAT])[1][0]
    assert forced.ids[: len(plain.ids)] == plain.ids


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (EAT, {"alternatives": 4}, "alternatives is 4, expected 1 to 3, the beam"),
        (EAT, {"alternatives": 2, "beam": 1}, "alternatives is 2, expected 1 to 1, the beam"),
        (EAT, {"prefix": ["彼"]}, "prefix: found a list of 1, expected a string"),
        ([EAT], {"prefix": "彼"}, "prefix: found a string, expected a list of 1"),
        ([EAT, EAT], {"prefix": ["彼"]}, "prefix: found a list of 1, expected a list of 2"),
        ([EAT, EAT], {"prefix": ["彼", "彼ß"]}, r"prefix\[1\]: 'ß' is not in the vocabulary"),
        (EAT, {"prefix": "彼\x00"}, r"prefix has the character U\+0000"),
        (EAT, {"prefix": "彼" * 2001}, "prefix: has 2001 characters, expected at most 2000"),
        (EAT, {"prefix": "彼" * 200}, "prefix has .* subwords, expected at most 30"),
        (f"☃\n{EAT}", {"prefix": "彼"}, "prefix: the text begins with '☃', which is not translated"),
    ],
)
def test_what_cannot_be_found_or_begun_is_refused(
    predictor: Predictor, text: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        serve.plain(serve.Request(text=text, **options), predictor, LIMITS)


def test_beam_is_an_option_of_the_batch(
    predictor: Predictor, exported: Callable[[str], tiny.Exported], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = serve.plain(serve.Request(text=EAT), predictor, LIMITS)
    assert own.options == serve.plain(serve.Request(text=EAT, beam=3), predictor, LIMITS).options == 3
    texts, rows, step = ["books see apples", "he she"], [], predictor.step
    expected = Predictor(exported("transformer").folder, threads=1, beam=1)(texts)

    def counted(state: dict[str, Any], *rest: Any, **options: Any) -> Any:
        rows.append(state["tokens"].size)
        return step(state, *rest, **options)

    monkeypatch.setattr(predictor, "step", counted)
    assert [result.text for result in serve.run(predictor, texts, 1)] == expected
    assert max(rows) == len(texts)
    assert len(serve.run(predictor, texts, 5)) == 2
    assert max(rows) == len(texts) * 5


def test_threads_with_different_beams_do_not_disturb_each_other(predictor: Predictor) -> None:
    texts = [EAT, "she see books .", "books see apples"] * 4
    expected = {beam: [result.text for result in serve.run(predictor, texts, beam)] for beam in (1, 2, 4)}
    with ThreadPoolExecutor(3) as pool:
        jobs = [(beam, pool.submit(serve.run, predictor, texts, beam)) for beam in (1, 2, 4) * 3]
        assert all([result.text for result in job.result()] == expected[beam] for beam, job in jobs)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "Field required"),
        ({"text": 7}, "expected a string or a list of strings, found int"),
        ({"text": None}, "found NoneType"),
        ({"text": ["a", None]}, "a list with NoneType at index 1"),
        ({"text": b"abc\xff"}, "no valid UTF-8 at byte 3"),
        ({"text": "a", "beam": 0}, "greater than or equal to 1"),
        ({"text": "a", "beam": 17}, "less than or equal to 16"),
        ({"text": "a", "beam": True}, "valid integer"),
        ({"text": "a", "beam": 2.5}, "valid integer"),
        ({"text": "a", "alignment": 1}, "valid boolean"),
        ({"text": "a", "check_language": "no"}, "valid boolean"),
        ({"text": "a", "language": "en"}, "Extra inputs"),
    ],
)
def test_what_is_no_request_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        serve.Request.model_validate(values)


def test_a_whole_number_may_be_written_with_a_point() -> None:
    """JSON Schema, which OpenAPI shows, takes it for an integer."""
    assert serve.Request.model_validate({"text": "a", "beam": 2.0}).beam == 2


def test_a_raw_body_is_utf8() -> None:
    assert serve.Request.model_validate({"text": "\ufeffça".encode()}).text == "ça"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "^text is empty"),
        (" \n\u3000", "^text is empty"),
        (["a", ""], r"^text\[1\] is empty"),
        ([], "has none, expected 1 to 3 texts"),
        (["a"] * 4, "has more than 3, expected 1 to 3 texts"),
        ("a" * 2001, "2001 characters, expected at most 2000"),
        ("a\x00b", r"U\+0000 at position 1"),
        ("a\x1b", r"U\+001B"),
        ("a\x85", r"U\+0085"),
        ("a\ud83d", r"U\+D83D at position 1"),
        ("a\ufffd", r"U\+FFFD"),
        ("今日は雨です", r"'en'.* 0% of its letters are Latin, expected at least 30%; most are Japanese"),
        (["he", "Привет мир a"], r"^text\[1\].*10% .*most are Cyrillic"),
    ],
)
def test_what_cannot_be_translated_is_refused(predictor: Predictor, text: Any, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        serve.plain(serve.Request(text=text), predictor, LIMITS)
    str(caught.value).encode()


def test_the_language_check_can_be_left_out_and_needs_letters(predictor: Predictor) -> None:
    assert asked(predictor, "今日は雨です", check_language=False)
    assert asked(predictor, "東京 1234")  # two letters tell nothing
    assert serve.tensors(tensor("今日は雨です".encode()), {"check_language": False}, predictor, LIMITS).items
    assert main_script("東京タワーへ") == "Japanese" and main_script("北京大学") == "Chinese"
    assert main_script("123") == "unknown"


@pytest.mark.parametrize(
    ("values", "parameters", "words"),
    [
        ({}, {}, "expected 'text', found"),
        (tensor(), {}, "has none"),
        (tensor(b"a", b"\xc3("), {}, r"text\[1\]: no valid UTF-8 at byte 0"),
        (tensor(b"\xed\xa0\x80"), {}, "no valid UTF-8"),
        (tensor(b"a"), {"beam": 0}, "beam is 0, expected a whole number from 1 to 16"),
        (tensor(b"a"), {"beam": "3"}, "beam is '3'"),
        (tensor(b"a"), {"beam": True}, "beam is True"),
        (tensor(b"a"), {"check_language": 1}, "check_language is 1, expected true or false"),
    ],
)
def test_wrong_tensors_are_refused(predictor: Predictor, values: Any, parameters: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        serve.tensors(values, parameters, predictor, LIMITS)


@settings(max_examples=100, deadline=None)
@given(st.text() | st.text("ab .!\n☃東,"), st.booleans())
def test_any_text_is_translated_or_refused(predictor: Predictor, text: str, check: bool) -> None:
    try:
        job = serve.plain(serve.Request(text=text, check_language=check, beam=1), predictor, LIMITS)
    except DataError:
        return
    sources = [part.source for _, parts in job.state.texts for part in parts]
    assert "".join("".join(sources).split()) == "".join(text.split())
    assert len(serve.outputs(job, serve.run(predictor, job.items, 1))["translation"]) == 1


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        ("彼は米を食べる。", "彼は米を食べる。", True),
        ("", "", True),
        ("式典は2月12日に始まります。", "式典は2月1日に始まります。", True),
        ("彼は米を食べる。", "彼女は車を買う。", False),
        ("彼は米を食べる。", "", False),
        ("", "彼", False),
        ("a" * 500, "a" * 100, False),
    ],
)
def test_same_translation(expected: str, found: str, same: bool) -> None:
    assert (serve.differs(expected, found) is None) == same


def test_features_and_about(predictor: Predictor) -> None:
    assert serve.features(serve.item("He ate 12 りんご")) == {
        "characters": 13, "words": 4, "digits": 2 / 13, "capitals": 1 / 13, "latin": 5 / 8,
    }  # fmt: skip
    assert all(np.isfinite(value) for value in serve.features("").values())
    about = serve.about(predictor)
    assert (about["source"], about["target"], about["beam"], about["max_tokens"]) == ("en", "ja", 3, 40)
    assert about["example"]
