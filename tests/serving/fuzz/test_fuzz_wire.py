"""Bytes on a socket that no HTTP library would send: refused, or answered right, and never read as two requests."""

from __future__ import annotations

import json
import logging
import uuid

import pytest
from running import Running
from unharmed import Known
from wire import request, talk

from serving import logs

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: test\r\n\r\n"
"""Stands where one server sees a body and another the next request."""
CHUNKED = {"Content_Type": "text/plain", "Transfer_Encoding": "chunked"}


def translate(**headers: str) -> bytes:
    """The head of a request for a translation of plain text."""
    return request("/v1/translate", Content_Type="text/plain", **headers)


MALFORMED = {
    "every byte": bytes(range(256)),
    "zeros": bytes(1000),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "HTTP/3.0": b"GET /live HTTP/3.0\r\nHost: test\r\n\r\n",
    "no version number": b"GET /live HTTP/x\r\nHost: test\r\n\r\n",
    "unknown method": b"PREDICT /live HTTP/1.1\r\nHost: test\r\n\r\n",
    "CONNECT": b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "no target": b"GET HTTP/1.1\r\nHost: test\r\n\r\n",
    "absolute URI without a path": b"GET http://example.org HTTP/1.1\r\nHost: test\r\n\r\n",
    "raw bytes in the target": b"GET /v1/models/\xff\xfe\x80/card HTTP/1.1\r\nHost: test\r\n\r\n",
    "NUL in the target": b"GET /v1/models/a\x00b/card HTTP/1.1\r\nHost: test\r\n\r\n",
    "NUL in a header": b"GET /live HTTP/1.1\r\nX-A: a\x00b\r\n\r\n",
    "space before the colon": b"GET /live HTTP/1.1\r\nHost : test\r\n\r\n",
    "header without a colon": b"GET /live HTTP/1.1\r\nHost\r\n\r\n",
    "raw bytes in a header's name": b"GET /live HTTP/1.1\r\nX-\xff: a\r\n\r\n",
    "folded header": b"GET /live HTTP/1.1\r\nX-Request-Id: a\r\n Set-Cookie: b=c\r\n\r\n",
    "only line feeds": b"GET /live HTTP/1.1\nHost: test\n\n",
    "only carriage returns": b"GET /live HTTP/1.1\rHost: test\r\r",
    "length negative": translate(Content_Length="-2") + b"Hi",
    "length signed": translate(Content_Length="+2") + b"Hi",
    "length hexadecimal": translate(Content_Length="0x2") + b"Hi",
    "length a list": translate(Content_Length="2, 2") + b"Hi",
    "length no number": translate(Content_Length="two") + b"Hi",
    "length empty": translate(Content_Length="") + b"Hi",
    "length of 26 digits": translate(Content_Length="9" * 26) + b"Hi",
    "two lengths": request("/v1/translate", b"Hi", Content_Type="text/plain").replace(
        b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 2"
    ),
    "chunk size negative": request("/v1/translate", b"-1\r\nHi\r\n0\r\n\r\n", **CHUNKED, Content_Length="2"),
    "chunk size no number": translate(Transfer_Encoding="chunked") + b"two\r\nHi\r\n0\r\n\r\n",
    "chunk size of 40 digits": translate(Transfer_Encoding="chunked") + b"f" * 40 + b"\r\nHi\r\n0\r\n\r\n",
    "chunk longer than its size": translate(Transfer_Encoding="chunked") + b"2\r\nHi there\r\n0\r\n\r\n",
}

SMUGGLED = {
    "length and chunked": translate(Content_Length="4", Transfer_Encoding="chunked") + b"0\r\n\r\n" + HIDDEN,
    "chunked and length": translate(Transfer_Encoding="chunked", Content_Length=str(len(HIDDEN))) + HIDDEN,
    "two different lengths": b"POST /v1/translate HTTP/1.1\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 2\r\nContent-Length: 40\r\n\r\nHi" + HIDDEN,
    "chunked, but not last": translate(Transfer_Encoding="chunked, identity") + b"0\r\n\r\n" + HIDDEN,
    "identity": translate(Transfer_Encoding="identity", Content_Length="2") + b"Hi" + HIDDEN,
    "unknown coding": translate(Transfer_Encoding="xchunked", Content_Length="2") + b"Hi" + HIDDEN,
    "coding behind a tab": translate(Transfer_Encoding="\x0bchunked", Content_Length="2") + b"Hi" + HIDDEN,
    "space before the colon": b"POST /v1/translate HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding : chunked\r\n\r\n"
    b"0\r\n\r\n" + HIDDEN,
    "line feed ends a chunk": translate(Transfer_Encoding="chunked") + b"0\n\n" + HIDDEN,
    "chunk extension with a line feed": translate(Transfer_Encoding="chunked") + b"0;a\nb\r\n\r\n" + HIDDEN,
    "target with a line": b"GET /live%20HTTP/1.1%0d%0aHost:%20a%0d%0a%0d%0aGET%20/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
}

TRICKS = [
    *("..%2f..%2f..%2fetc%2fpasswd", "..", "%2e%2e", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%5c..%5cwindows", "..;"),
    *("detection%00", "%00", "detection%2f..%2ftranslation", "detection/../translation", "./detection", "detection."),
    *("%c0%ae%c0%ae%c0%afetc", "%e0%80%ae%e0%80%ae", "%f0%80%80%ae", "%ff%fe", "%ed%a0%80", "%u002e%u002e"),
    *("%252e%252e%252f", "%zz", "%", "detection%", "~root", "file:%2f%2f%2fetc%2fpasswd", "%E2%80%AEnoitceted"),
    *("DETECTION", "detection%20", "%EF%BD%84etection", "{{7*7}}", "$%7bjndi:ldap:%2f%2fx%7d", "a" * 5000),
    *("%0d%0aSet-Cookie:%20a=b", "detection%0aX", "..%2f..%2fmodel%2fmodel.json", "passport.json", "0", "%F0%9F%92%A9"),
    *("%E2%80%A8line", "%C2%85line", "%1b[2J%07", "x%0A{}"),
]


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_http_is_refused_once(server: Running, sent: bytes) -> None:
    found = talk(server.port, sent, count=9)
    assert found.statuses == [400]
    assert set(found.replies[0].json) == {"error"}
    assert found.closed


@pytest.mark.parametrize("sent", SMUGGLED.values(), ids=SMUGGLED)
def test_no_request_hides_in_another(server: Running, sent: bytes) -> None:
    before = server.logged
    found = talk(server.port, sent, count=2, seconds=1)
    assert len(found.replies) == 1
    assert 400 <= found.statuses[0] < 500
    assert "/hidden" not in [event.get("path") for event in server.log(before)]


@pytest.mark.parametrize("model", TRICKS, ids=lambda name: name[:32])
def test_tricks_in_the_name_of_a_model_lead_nowhere(server: Running, model: str) -> None:
    targets = ["/v1/models/{}/card", "/v2/models/{}/infer", "/v2/models/detection/versions/{}", "/page/{}"]
    for target in targets:
        method = "POST" if target.endswith("infer") else "GET"
        (reply,) = talk(server.port, request(target.format(model), method=method)).replies
        assert reply.status == 404
        assert set(reply.json) == {"error"}
        assert set(reply.headers) >= {"x-request-id", "content-type", "x-content-type-options"}
        assert "set-cookie" not in reply.headers
        assert b"root:" not in reply.body
    in_query = talk(server.port, request(f"/v1/translate?model={model}", b"Hi", Content_Type="text/plain"))
    assert in_query.statuses == [404]


def test_a_path_is_one_line_of_a_log_for_people() -> None:
    record = logging.makeLogRecord(
        {"msg": "request", "fields": {"path": "/a\nbug\u2028bug\x85bug\r\x1b[2J", "ms": 1.5}}
    )
    line = logs.Text().format(record)
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    assert line.endswith(" ms=1.5")


def test_an_absolute_uri_is_its_path(server: Running) -> None:
    found = talk(server.port, request("http://localhost:1/v2/models/none", method="GET"))
    assert found.statuses == [404]
    assert "none" in found.replies[0].json["error"]


def test_no_redirect_goes_where_a_client_says(server: Running) -> None:
    for target in ("/v1/models/", "//example.org/%2e%2e", "/docs/", "/v2/models/detection/"):
        (reply,) = talk(server.port, request(target, method="GET")).replies
        assert reply.status == 404
        assert "location" not in reply.headers


@pytest.mark.parametrize(
    "given", ["a b", "a" * 65, "a\x09b", "caf\xe9", "a;b", "<script>", "%0d%0aSet-Cookie:%20a", "\xe2\x80\xa8", "{}"]
)
def test_a_request_id_that_could_do_harm_is_replaced(server: Running, given: str) -> None:
    (reply,) = talk(server.port, request("/live", method="GET", X_Request_Id=given)).replies
    assert reply.status == 200
    assert uuid.UUID(reply.headers["x-request-id"])


def test_a_harmless_request_id_comes_back(server: Running) -> None:
    (reply,) = talk(server.port, request("/live", method="GET", X_Request_Id="trace-1.2:3_4")).replies
    assert reply.headers["x-request-id"] == "trace-1.2:3_4"


def test_expect_is_told_to_go_on_only_when_the_body_is_wanted(server: Running, known: Known) -> None:
    body = json.dumps({"text": known.text}).encode()
    headers = {"Content_Type": "application/json", "Expect": "100-continue"}
    length = {"Content_Length": str(len(body))}
    fine = talk(server.port, request("/v1/translate", **headers, **length), body, pause=0.2)
    assert fine.statuses == [100, 200]
    assert fine.replies[1].json["translations"][0]["text"] == known.translation
    unknown = talk(server.port, request("/v1/translate?model=none", **headers, **length))
    assert unknown.statuses == [404]
    large = talk(server.port, request("/v1/translate", **headers, Content_Length="999999999"), count=2)
    assert large.statuses == [413]
    assert large.closed


def test_pipelined_requests_are_answered_in_order(server: Running, known: Known) -> None:
    parts = [
        request("/live", method="GET", X_Request_Id="a"),
        request("/v1/translate", json.dumps({"text": known.text}).encode(), Content_Type="application/json"),
        request("/none", method="GET", X_Request_Id="b"),
        request("/v1/detect", known.picture, Content_Type="image/png"),
        request("/live", method="GET", X_Request_Id="c", Connection="close"),
    ]
    found = talk(server.port, b"".join(parts) + request("/late", method="GET"), count=9)
    assert found.statuses == [200, 200, 404, 200, 200]
    assert found.closed
    assert found.replies[1].json["translations"][0]["text"] == known.translation
    assert found.replies[3].json["boxes"] == known.boxes
    assert [found.replies[i].headers["x-request-id"] for i in (0, 2, 4)] == ["a", "b", "c"]


def test_chunks_of_any_size_are_one_body(server: Running, known: Known) -> None:
    body = json.dumps({"text": known.text}).encode()
    pieces = [body[:1], body[1:7], body[7:]]
    chunks = [b"%x;name=value\r\n%s\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n\r\n"]
    head = request("/v1/translate", Content_Type="application/json", Transfer_Encoding="chunked")
    found = talk(server.port, head, *chunks, pause=0.01)
    assert found.replies[0].json["translations"][0]["text"] == known.translation


def test_trailers_are_no_headers(server: Running) -> None:
    trailers = b"2\r\nHi\r\n0\r\nX-Request-Id: trailer\r\nX-Deadline-Ms: 0\r\nContent-Type: image/png\r\n\r\n"
    found = talk(server.port, request("/v1/translate", **CHUNKED) + trailers)
    assert found.statuses == [200]
    assert uuid.UUID(found.replies[0].headers["x-request-id"])
