"""Large answers are compressed for who takes them so, and say so."""

from __future__ import annotations

import gzip

import httpx
import pytest
from running import Running

from serving import answers

TEXTS = ["i eat rice . he see fish . you buy bread ."] * 60
CONTENT = {"text": TEXTS, "alignment": True}


@pytest.mark.parametrize(
    "header, taken",
    [
        ("gzip", True),
        ("br, GZip;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("", False),
        ("*", False),
    ],
)
def test_who_takes_gzip(header: str, taken: bool) -> None:
    assert answers.accepts(header, answers.GZIP) is taken


def test_pieces_are_packed_one_after_another() -> None:
    made = answers.Answer(answers.json([list(range(1000))] * 30))
    packed = made.compressed()
    assert len(made.pieces) > 1 and packed.size < made.size / 3
    assert gzip.decompress(b"".join(packed.pieces)) == b"".join(made.pieces)


def raw(server: Running, content: object, coding: str) -> tuple[httpx.Response, bytes]:
    """The answer, and its body as it travelled."""
    headers = {"Accept-Encoding": coding}
    with server.http.stream("POST", "/v1/translate", headers=headers, json=content) as answer:
        return answer, b"".join(answer.iter_raw())


def test_a_large_answer_is_packed_where_it_is_taken(server: Running) -> None:
    plain, content = raw(server, CONTENT, "identity")
    assert "content-encoding" not in plain.headers and len(content) > answers.LARGE
    packed, other = raw(server, CONTENT, "br, gzip")
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(other) == content and len(other) < len(content) / 3
    assert int(packed.headers["content-length"]) == len(other)
    small, _ = raw(server, {"text": "i eat rice ."}, "gzip")
    assert "content-encoding" not in small.headers
