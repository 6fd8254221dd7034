"""Pages of another site, and what their scripts try on a server of this machine."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from selenium import webdriver

TRIES = """
const [url, read, write, body, done] = arguments;
const told = {};
const attempt = async (name, act) => { try { told[name] = await act(); } catch (error) { told[name] = "refused"; } };
const seen = (element, name) => new Promise((resolve) => {
    element.onload = () => resolve("loaded"); element.onerror = () => resolve("refused");
    document.body.append(element); setTimeout(() => resolve("refused"), 4000);
});
(async () => {
    await attempt("read", async () => (await fetch(url + read)).text());
    await attempt("read with credentials", async () => (await fetch(url + read, {credentials: "include"})).text());
    const json = {method: "POST", headers: {"Content-Type": "application/json"}, body};
    await attempt("write", async () => (await fetch(url + write, json)).text());
    for (const type of ["text/plain", "application/x-www-form-urlencoded"]) {
        const plain = {method: "POST", mode: "no-cors", credentials: "include", headers: {"Content-Type": type}, body};
        await attempt("blind " + type, async () => (await fetch(url + write, plain), "sent"));
    }
    await attempt("script", () => seen(Object.assign(document.createElement("script"), {src: url + read})));
    const frame = Object.assign(document.createElement("iframe"), {src: url, name: "frame"});
    document.body.append(frame);
    const form = document.createElement("form");
    Object.assign(form, {action: url + write, method: "post", enctype: "text/plain", target: "frame"});
    form.append(Object.assign(document.createElement("input"), {name: body.slice(0, -1) + ', "x": "', value: '"}'}));
    document.body.append(form); form.submit();
    await attempt("websocket", () => new Promise((resolve) => {
        const socket = new WebSocket(url.replace("http", "ws") + "/api/events/out", "prefect");
        socket.onopen = () => resolve("open"); socket.onerror = () => resolve("refused");
    }));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    done(told);
})();
"""
"""Every way of a page to read or to send; what came of each."""


class Site(ThreadingHTTPServer):
    """Serves an empty page."""

    def __init__(self, trusting: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.trusting = trusting
        """Whether it answers pages of all other sites, as Prefect by itself does."""
        self.posted: list[str] = []
        """Content types."""


class _Page(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.answer("text/javascript" if self.path == "/read" else "text/html")

    def do_POST(self) -> None:
        self.server.posted.append(str(self.headers["Content-Type"]))
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer("text/plain")

    def do_OPTIONS(self) -> None:
        self.answer("text/plain")

    def answer(self, kind: str) -> None:
        text = {"text/html": b"<!doctype html><title>free prizes</title><body>"}.get(kind, b"'secret'")
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        if self.server.trusting:
            self.send_header("Access-Control-Allow-Origin", str(self.headers["Origin"]))
            self.send_header("Access-Control-Allow-Credentials", "true")
            self.send_header("Access-Control-Allow-Headers", "content-type")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments: Any) -> None:
        """Quiet."""


def tried(browser: webdriver.Chrome, page: str, url: str, read: str, write: str, body: str) -> dict[str, str]:
    """Open `page` and let it try to read and to write on the server at `url`."""
    browser.get(page)
    return dict(browser.execute_async_script(TRIES, url, read, write, body))
