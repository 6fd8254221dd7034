"""Heads of requests with some bytes changed: refused, or understood as what they still say."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from running import Running
from tiers import tiers
from unharmed import Known
from wire import request, talk

BODY = 100
"""Bytes of the body, which is right."""


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """The head of a real request, spoiled: bytes flipped, put in, left out, doubled, or lines in another order."""
    head = bytearray(request("/v1/translate", bytes(BODY), Content_Type="application/json", X_Request_Id="a")[:-BODY])
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(head) - 1))
        end = draw(st.integers(start, min(len(head), start + 20)))
        new = draw(
            st.binary(max_size=6)
            | st.just(bytes(head[start:end]) * 2)
            | st.sampled_from(
                [b"\r\n", b"\n", b"\x00", b":", b" ", b"%00", b"chunked", b"HTTP/1.0", b"/../", b"\r\n\r\n"]
            )
        )
        head[start:end] = new
        head = head or bytearray(b"\r\n")
    return bytes(head)


@tiers(150, 5000)
def test_a_spoiled_head_is_refused_or_means_the_same(impatient: Running, known: Known, tries: settings) -> None:
    body = json.dumps({"text": known.text}).encode().ljust(BODY)
    assert len(body) == BODY

    @tries
    @given(heads())
    def check(head: bytes) -> None:
        for reply in talk(impatient.port, head + body).replies:
            assert reply.status < 500
            if reply.status == 200 and b"translations" in reply.body:
                assert reply.json["translations"][0]["text"] == known.translation

    check()
