"""Several hundred ways to change a package, each with a name: of single files, of what lies beside them, of the
passport's content and form, of all of it at once with every digest made anew, and of the signature."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import packages_tiny
import toy_package

from core.files import sha256
from ops import passport
from ops.passport import chain, signature

FOLDERS = ("", "model", "golden")
Act = Callable[[Path], Any]


class Change(NamedTuple):
    """One way to change a package."""

    name: str
    act: Act
    """Is called with the package's folder."""
    sealed: bool = False
    """Every digest fits afterwards, or only the signature was changed: without a key there is nothing to see."""


class Others(NamedTuple):
    """What forgers have: packages of their own, and genuine ones of other content."""

    foreign: Path
    """Signed, by another key."""
    older: Path
    """Signed by the trusted key."""


def changes(package: Path, others: Others) -> list[Change]:
    """All of them, for a signed package."""
    files = sorted(path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file())
    made = [*_of_files(files), *_beside(), *_of_content(passport.read(package)), *_of_form(package), *_forged()]
    made += [*_resealed(files, others), *_signatures(package, others)]
    assert len({change.name for change in made}) == len(made)
    return made


def _of_files(files: list[str]) -> Iterator[Change]:
    acts: dict[str, Act] = {
        "first bit": lambda path: _flip(path, 0),
        "middle bit": lambda path: _flip(path, path.stat().st_size // 2),
        "last bit": lambda path: _flip(path, path.stat().st_size - 1),
        "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        "last byte off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
        "emptied": lambda path: path.write_bytes(b""),
        "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
        "newline appended": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
        "NUL appended": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
        "doubled": lambda path: path.write_bytes(path.read_bytes() * 2),
        "removed": Path.unlink,
        "renamed": lambda path: path.rename(path.with_name(path.name + ".old")),
        "in upper case": lambda path: path.rename(path.with_name(path.name.upper() + "X")),
        "link to the same outside": _linked_outside,
        "link to a copy inside": lambda path: path.symlink_to(path.rename(path.with_name("copy")).name),
        "broken link": lambda path: _replaced(path, lambda: path.symlink_to("nowhere")),
        "link to itself": lambda path: _replaced(path, lambda: path.symlink_to(path.name)),
        "link to a device": lambda path: _replaced(path, lambda: path.symlink_to("/dev/zero")),
        "pipe": lambda path: _replaced(path, lambda: os.mkfifo(path)),
        "socket": lambda path: _replaced(path, lambda: _socket(path)),
        "empty folder": lambda path: _replaced(path, path.mkdir),
        "folder with the file": lambda path: shutil.move(_away(path), _made(path) / path.name),
    }
    for name in files:
        if name != signature.NAME:  # those are in `_signatures`
            yield from (Change(f"{name}: {kind}", _at(name, act)) for kind, act in acts.items())


def _beside() -> Iterator[Change]:
    acts: dict[str, Act] = {
        "a file": lambda folder: (folder / "extra.txt").write_text("x"),
        "an empty file": lambda folder: (folder / "extra").touch(),
        "a hidden file": lambda folder: (folder / ".extra").write_text("x"),
        "a partial file": lambda folder: (folder / "x.partial").write_text("x"),
        "git's file": lambda folder: (folder / ".gitignore").write_text("*"),
        "git's folder": lambda folder: (_made(folder / ".git") / "config").write_text("x"),
        "a graph": lambda folder: (folder / "other.onnx").write_bytes(b"x"),
        "a name of half characters": lambda folder: Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).write_text("x"),
        "a name that steers a terminal": lambda folder: (folder / "\x1b[2J").write_text("x"),
        "an empty folder": lambda folder: (folder / "empty").mkdir(),
        "empty folders in each other": lambda folder: (folder / "a" / "b").mkdir(parents=True),
        "a link to a file": lambda folder: (folder / "link").symlink_to("/etc/hostname"),
        "a link to a folder": lambda folder: (folder / "link").symlink_to("/etc"),
        "a link to the package": lambda folder: (folder / "link").symlink_to(folder),
        "a broken link": lambda folder: (folder / "link").symlink_to("nowhere"),
        "a pipe": lambda folder: os.mkfifo(folder / "pipe"),
    }
    for below in FOLDERS:
        yield from (Change(f"in {below or '.'}: {kind}", _at(below, act)) for kind, act in acts.items())
    for below in FOLDERS[1:]:
        for name in (passport.NAME, signature.NAME):
            yield Change(f"in {below}: another {name}", _at(below, lambda f, n=name: shutil.copy(f.parent / n, f / n)))
        yield Change(f"{below}: a link to the folder outside", _at(below, _linked_outside))


def _of_content(content: dict[str, Any]) -> Iterator[Change]:
    """Every value of the passport changed or taken out; the form is that of `package`, the seal the old one."""
    for place in _places(content):
        where = "/".join(map(str, place))
        yield Change(f"passport: {where} changed", _edited(place, _other))
        yield Change(f"passport: {where} null", _edited(place, lambda value: None if value is not None else 0))
        yield Change(f"passport: {where} out", _taken(place))


def _of_form(package: Path) -> Iterator[Change]:
    """The same content, or what JSON should not be, in other bytes."""
    text = (package / passport.NAME).read_text(encoding="utf-8")
    content = json.loads(text)
    first = text.index("\n") + 1
    seed = '"seed": 7'
    assert text.count(seed) == 1
    turned, files = json.loads(text), dict(reversed(content["files"].items()))
    turned["links"][0]["value"] = dict(reversed(turned["links"][0]["value"].items()))
    forms: dict[str, bytes] = {
        "byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "CRLF": text.replace("\n", "\r\n").encode(),
        "CR": text.replace("\n", "\r").encode(),
        "no last newline": text[:-1].encode(),
        "more newlines": text.encode() + b"\n\n",
        "space behind": text.encode() + b" ",
        "in one line": json.dumps(content).encode(),
        "tabs": json.dumps(content, indent="\t").encode() + b"\n",
        "files turned round": json.dumps(content | {"files": files}, indent=2).encode() + b"\n",
        "a link's value turned round": json.dumps(turned, indent=2).encode() + b"\n",
        "sorted": json.dumps(content, indent=2, sort_keys=True).encode() + b"\n",
        "escaped": text.replace("data", "d\\u0061ta", 1).encode(),
        "key twice": (text[:first] + '  "format": 2,\n' + text[first:]).encode(),
        "files twice": (text[:first] + '  "files": {},\n' + text[first:]).encode(),
        "format 2.0": text.replace('"format": 2,', '"format": 2.0,').encode(),
        "format true": text.replace('"format": 2,', '"format": true,').encode(),
        "Latin": text.replace("wheat", "wheät").encode("latin-1"),
        "not text": b"\xff\xfe\x00",
        "empty": b"",
        "null": b"null\n",
        "list": b"[]\n",
        "text": b'"passport"\n',
        "cut": text[: len(text) // 2].encode(),
        "two": text.encode() * 2,
        "NUL": text.encode() + b"\0",
        **{coding: text.encode(coding) for coding in ("utf-8-sig", "utf-16", "utf-32", "utf-16-le")},
    }
    values = {"NaN": "NaN", "Infinity": "Infinity", "1e999": "1e999", "5,000 digits": "7" * 5000, "7.0": "7.0",
              "half a character": '"\\ud800"', "depth": "[" * 100_000, "closed depth": "[" * 990 + "]" * 990,
              "a million letters": f'"{"x" * 10**6}"'}  # fmt: skip
    forms |= {f"seed {name}": text.replace(seed, f'"seed": {value}').encode() for name, value in values.items()}
    half = '"\\udfff": 1'
    forms["half a character at the top"] = (text[:first] + f"  {half},\n" + text[first:]).encode()
    forms["half a character among the files"] = text.replace('"files": {', f'"files": {{{half},').encode()
    forms["NaN among the files"] = text.replace('"files": {', '"files": {"x": NaN,').encode()
    forms["depth among the files"] = text.replace('"files": {', f'"files": {{"x": {"[" * 10**5},').encode()
    forms["half a character as the seal"] = text.replace(content["seal"], "\\ud800").encode()
    for name, written in forms.items():
        yield Change(f"passport: {name}", lambda folder, w=written: (folder / passport.NAME).write_bytes(w))


def _forged() -> Iterator[Change]:
    """A seal that is made anew, over what contradicts itself all the same."""

    def rewritten(change: Callable[[dict[str, Any], Path], Any]) -> Act:
        def act(folder: Path) -> None:
            content = passport.read(folder)
            change(content, folder)
            reseal(folder, content)

        return act

    def link(index: int, **values: Any) -> Act:
        return rewritten(lambda content, folder: content["links"][index].update(values))

    for i in range(6):
        yield Change(f"sealed anew: link {i} has another value", link(i, value="forged"))
        yield Change(f"sealed anew: link {i} has another name", link(i, name="forged"))
        yield Change(f"sealed anew: link {i} has another chain", link(i, chain="0" * 64))
        yield Change(f"sealed anew: link {i} is gone", rewritten(lambda content, folder, i=i: content["links"].pop(i)))
    acts: dict[str, Callable[[dict[str, Any], Path], Any]] = {
        "links turned round": lambda content, folder: content["links"].reverse(),
        "links twice": lambda content, folder: content["links"].extend(content["links"]),
        "a chain from elsewhere": lambda content, folder: content.update(
            links=[*passport.chained({"data": "forged"}), content["links"][-1]]
        ),
        "a whole chain that the graphs do not carry": lambda content, folder: content.update(
            links=chain.chained({link["name"]: link["value"] for link in content["links"]} | {"code": "f" * 40})
        ),
        "no files": lambda content, folder: content.update(files={}),
        "a file that is not there": lambda content, folder: content["files"].update({"nowhere": "0" * 64}),
        "a file outside": lambda content, folder: content["files"].update({"../x": sha256(folder / "MODEL_CARD.md")}),
        "an absolute file": lambda content, folder: content["files"].update(
            {"/etc/passwd": sha256(Path("/etc/passwd"))}
        ),
        "its own digest": lambda content, folder: content["files"].update({passport.NAME: "0" * 64}),
        "the signature's digest": lambda content, folder: content["files"].update({signature.NAME: "0" * 64}),
        "no digest": lambda content, folder: content["files"].update({"MODEL_CARD.md": None}),
        "more at the top": lambda content, folder: content.update(note="trust me"),
        "another format": lambda content, folder: content.update(format=3),
    }
    yield from (Change(f"sealed anew: {name}", rewritten(change)) for name, change in acts.items())


def _resealed(files: list[str], others: Others) -> Iterator[Change]:
    """All digests made anew: only who has the key could have made it."""

    def whole(change: Act) -> Act:
        def act(folder: Path) -> None:
            change(folder)
            packages_tiny.reseal(folder)

        return act

    def foreign(folder: Path) -> None:
        kept = (folder / signature.NAME).read_bytes()
        _put(others.foreign, folder)
        (folder / signature.NAME).write_bytes(kept)

    for name in files:
        if name.endswith((".md", ".png", "samples.json", "model.json")):
            yield Change(f"forged: {name} changed", whole(_at(name, lambda path: _flip(path, 3))), sealed=True)
            yield Change(f"forged: {name} gone", whole(_at(name, Path.unlink)), sealed=True)
    for below in FOLDERS:
        extra = _at(below, lambda folder: (folder / "extra.json").write_text("{}"))
        yield Change(f"forged: more in {below or '.'}", whole(extra), sealed=True)
    yield Change("forged: git's file", whole(lambda folder: (folder / ".gitattributes").write_text("x")), sealed=True)
    yield Change("forged: other links", packages_tiny.reseal, sealed=True)
    yield Change("forged: another commit", lambda folder: packages_tiny.reseal(folder, "f" * 40), sealed=True)
    yield Change(
        "forged: another graph", whole(lambda folder: toy_package.detector(folder / "model" / "more.onnx")), True
    )
    yield Change("foreign, with its own signature", lambda folder: _put(others.foreign, folder), sealed=True)
    yield Change("foreign, with this signature", foreign, sealed=True)


def _signatures(package: Path, others: Others) -> Iterator[Change]:
    place = package / signature.NAME
    text = place.read_text(encoding="utf-8")
    theirs, older = ((path / signature.NAME).read_text(encoding="utf-8") for path in others)
    bundle, their_bundle, older_bundle = json.loads(text), json.loads(theirs), json.loads(older)

    def written(content: str | bytes) -> Act:
        data = content if isinstance(content, bytes) else content.encode()
        return lambda folder: (folder / signature.NAME).write_bytes(data)

    def parts(name: str, change: Callable[[dict[str, Any]], Any]) -> Change:
        copy = json.loads(text)
        change(copy)
        return Change(f"signature: {name}", written(json.dumps(copy)), sealed=True)

    def payload(name: str, change: Callable[[dict[str, Any]], Any]) -> Change:
        statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        change(statement)
        coded = base64.b64encode(json.dumps(statement).encode()).decode()
        return parts(f"payload with {name}", lambda copy: copy["dsseEnvelope"].update(payload=coded))

    contents = {"empty": "", "of another key": theirs, "of an older package": older, "null": "null", "[]": "[]",
                "{}": "{}", "not text": b"\xff\xfe", "byte order mark": b"\xef\xbb\xbf" + text.encode(),
                "depth": "[" * 100_000, "the passport": (package / passport.NAME).read_bytes()}  # fmt: skip
    contents |= {f"cut at {i}/20": text[: len(text) * i // 20] for i in range(1, 20)}
    for name, content in contents.items():
        yield Change(f"signature: {name}", written(content), sealed=True)
    yield Change("signature: missing", lambda folder: (folder / signature.NAME).unlink(), sealed=True)
    for key in ("payload", "signatures"):
        value = older_bundle["dsseEnvelope"][key]
        yield parts(f"{key} of an older package", lambda copy, k=key, v=value: copy["dsseEnvelope"].update({k: v}))
        value = their_bundle["dsseEnvelope"][key]
        yield parts(f"{key} of another key", lambda copy, k=key, v=value: copy["dsseEnvelope"].update({k: v}))
        yield parts(f"no {key}", lambda copy, k=key: copy["dsseEnvelope"].pop(k))
    for key in ("mediaType", "verificationMaterial", "dsseEnvelope"):
        yield parts(f"no {key}", lambda copy, k=key: copy.pop(k))
    hint = bundle["verificationMaterial"]["publicKey"]["hint"]
    forged = json.loads(theirs)
    forged["verificationMaterial"]["publicKey"]["hint"] = hint
    yield Change("signature: of another key, by this key's name", written(json.dumps(forged)), sealed=True)
    yield parts(
        "hint of another key", lambda copy: copy.update(verificationMaterial=their_bundle["verificationMaterial"])
    )
    yield parts("payload of another type", lambda copy: copy["dsseEnvelope"].update(payloadType="text/plain"))
    yield parts("no signatures in it", lambda copy: copy["dsseEnvelope"].update(signatures=[]))
    signed = base64.b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"])
    for i in range(0, len(signed), 7):
        flipped = base64.b64encode(signed[:i] + bytes([signed[i] ^ 1]) + signed[i + 1 :]).decode()
        yield parts(f"byte {i}", lambda copy, f=flipped: copy["dsseEnvelope"]["signatures"][0].update(sig=f))
    yield payload("no file", lambda statement: statement["predicate"].update(resources=[]))
    yield payload("a file less", lambda statement: statement["predicate"]["resources"].pop())
    yield payload("all ignored", lambda s: s["predicate"]["serialization"].update(ignore_paths=["model", "golden"]))
    yield payload(
        "links allowed", lambda statement: statement["predicate"]["serialization"].update(allow_symlinks=True)
    )
    yield payload(
        "an older type", lambda statement: statement.update(predicateType="https://model_signing/Digests/v0.1")
    )
    acts: dict[str, Act] = {
        "link outside": _linked_outside,
        "broken link": lambda path: _replaced(path, lambda: path.symlink_to("nowhere")),
        "link to a device": lambda path: _replaced(path, lambda: path.symlink_to("/dev/zero")),
        "pipe": lambda path: _replaced(path, lambda: os.mkfifo(path)),
        "empty folder": lambda path: _replaced(path, path.mkdir),
        "folder with it": lambda path: shutil.move(_away(path), _made(path) / path.name),
    }
    yield from (Change(f"signature: {kind}", _at(signature.NAME, act)) for kind, act in acts.items())


def reseal(folder: Path, content: dict[str, Any]) -> None:
    """Write a passport of this content, with a seal that fits and in the form of `package`."""
    content["seal"] = chain.digest({key: value for key, value in content.items() if key != "seal"})
    _write(folder, content)


def _write(folder: Path, content: Any) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / passport.NAME).write_text(text, encoding="utf-8", newline="\n")


def _at(name: str, act: Act) -> Act:
    return lambda folder: act(folder / name)


def _flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def _away(path: Path) -> Path:
    """Move it out of the package."""
    outside = (
        path.parents[len(path.parts) - 2 - path.parts.index("package")] if "package" in path.parts else path.parent
    )
    return Path(shutil.move(path, outside.parent / f"outside-{path.name}"))


def _linked_outside(path: Path) -> None:
    path.symlink_to(_away(path))


def _replaced(path: Path, make: Callable[[], Any]) -> None:
    path.unlink()
    make()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        before = Path.cwd()
        os.chdir(path.parent)  # a socket's path has 107 bytes at most
        try:
            listening.bind(path.name)
        finally:
            os.chdir(before)


def _put(other: Path, folder: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(other, folder)


def _places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Keys and indices that lead to each value within."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in items:
        yield (*before, key)
        yield from _places(entry, (*before, key))


def _other(value: Any) -> Any:
    match value:
        case str():
            return value[:-1] + ("1" if value.endswith("0") else "0")
        case dict():
            return {**value, "more": 1}
        case list():
            return [*value, 1]
    return (value or 0) + 1


def _edited(place: tuple[Any, ...], change: Callable[[Any], Any]) -> Act:
    def act(folder: Path) -> None:
        content = json.loads((folder / passport.NAME).read_bytes())
        inner = _inner(content, place)
        inner[place[-1]] = change(inner[place[-1]])
        _write(folder, content)

    return act


def _taken(place: tuple[Any, ...]) -> Act:
    def act(folder: Path) -> None:
        content = json.loads((folder / passport.NAME).read_bytes())
        del _inner(content, place)[place[-1]]
        _write(folder, content)

    return act


def _inner(content: Any, place: tuple[Any, ...]) -> Any:
    for key in place[:-1]:
        content = content[key]
    return content
