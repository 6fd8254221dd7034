"""With `--require-signature` a server takes what a trusted key has signed, and nothing else (docs/faults.md 132)."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import packages_tiny
import pytest
import toy_package
from running import Running
from sigstore_instance import Instance, Server, token
from versions import named, released
from waiting import until

from core.errors import ModelError
from ops.passport import keys, signature
from serving import kept, package, proof
from serving.settings import SIGNATURE, Settings, parse

Serve = Callable[..., Running]


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """Signed by `key`; `next` and `other` are keys, too."""
    for name in ("key", "next", "other"):
        keys.generate(tmp_path / name)
    made = toy_package.make(tmp_path / "toy")
    signature.sign(made, tmp_path / "key")
    return made


def forged(folder: Path) -> None:
    """Other golden samples, every digest made anew, beside the signature of what was there before."""
    (folder / "MODEL_CARD.md").write_text("better")
    packages_tiny.reseal(folder, "7" * 40)


def test_only_what_a_trusted_key_signed_is_served(serve: Serve, toy: Path, tmp_path: Path) -> None:
    """At the start, at a new version, at a restart of the worker from what was kept, and while keys change."""
    trusted = ("--require-signature", tmp_path / "key.pub", "--watch-s", "0.1", "--keep", tmp_path / "kept")
    (tmp_path / "own").mkdir()
    environment = {SIGNATURE: str(tmp_path / "next.pub"), "TMPDIR": str(tmp_path / "own")}
    server = serve(toy, *trusted, environment=environment)
    server.wait_until_ready()
    good = named(toy)

    def foreign(folder: Path) -> None:
        packages_tiny.reseal(folder, "6" * 40)
        signature.sign(folder, tmp_path / "other")

    def unsigned(folder: Path) -> None:
        packages_tiny.reseal(folder, "5" * 40)
        (folder / signature.NAME).unlink()

    told = {forged: "the signature does not hold", foreign: "Key mismatch", unsigned: "the package is not signed"}
    for i, (change, words) in enumerate(told.items(), 1):
        assert released(toy, change) != good
        refusal = server.wait_for("package refused", count=i)
        assert words in refusal["reason"] and refusal["still_served"] == good
    server.worker.send_signal(signal.SIGKILL)  # the next worker finds the bad one only, and what was kept
    server.wait_for("package refused", count=4)
    until(lambda: server.http.get("/ready").status_code == 200)
    assert server.http.get("/v1/models").json()["models"][0]["version"] == good

    signature.sign(toy, tmp_path / "next")  # the same version; now its maker is known
    server.wait_for("model ready", version=named(toy))
    assert not list((tmp_path / "own").iterdir())  # what was copied is gone when it is loaded


def test_a_server_starts_with_nothing_that_is_not_signed(toy: Path, tmp_path: Path) -> None:
    """And nothing of it is opened: the refusal comes before the model is looked at."""
    settings = Settings({}, require_signature=(tmp_path / "other.pub",))
    with pytest.raises(ModelError, match="the passport does not hold: the signature does not hold"):
        package.load(toy, settings)
    with pytest.raises(ModelError, match="the signature does not hold"), package.own_copy(toy, settings):
        raise AssertionError("copied")
    with pytest.raises(ModelError, match="the signature does not hold"):
        proof.prove(toy, settings)  # the process that tries it asks for itself
    assert package.load(toy, Settings({}, require_signature=(tmp_path / "other.pub", tmp_path / "key.pub"))).task


def test_an_identity_may_be_trusted(toy: Path, tmp_path: Path) -> None:
    """For whom a Sigstore vouches; who reads packages asks no server."""
    with Server(Instance()) as server:
        (tmp_path / "instance.json").write_text(json.dumps(server.instance.trust_config(server.url)))
        for name in ("me", "you"):
            folder = Path(shutil.copytree(toy, tmp_path / name))
            signature.sign_keyless(folder, token(f"{name}@example.org", "https://x"), tmp_path / "instance.json")
    fields = {"identity": "me@example.org", "issuer": "https://x", "trust_root": "instance.json"}
    (tmp_path / "me.json").write_text(json.dumps(fields))
    settings, _ = parse([str(tmp_path / "me"), "--require-signature", str(tmp_path / "me.json")])
    with package.own_copy(tmp_path / "me", settings) as own:
        proof.prove(own, settings)
        assert package.load(own, settings).task == "detection"
    for folder, words in ((tmp_path / "you", "do not match me@example.org"), (toy, "the signature does not hold")):
        with pytest.raises(ModelError, match=words):
            package.load(folder, settings)
    (tmp_path / "instance.json").write_text("{}")
    with pytest.raises(SystemExit):
        parse([str(tmp_path / "me"), "--require-signature", str(tmp_path / "me.json")])


def test_what_is_loaded_is_what_was_verified(toy: Path, tmp_path: Path) -> None:
    """Whoever writes into the folder meanwhile changes another one."""
    settings = Settings({}, require_signature=(tmp_path / "key.pub",))
    with package.own_copy(toy, settings) as own:
        (toy / "model" / "detector.onnx").write_bytes(b"another graph")
        assert own != toy and package.load(own, settings).task == "detection"
    assert not own.exists()
    with package.own_copy(toy, Settings({})) as own:
        assert own == toy  # nobody asked for signatures


def test_a_copy_gets_the_signature_that_came_later(toy: Path, tmp_path: Path) -> None:
    kept.keep(tmp_path / "kept", "toy", toy)
    signature.sign(toy, tmp_path / "next")
    kept.keep(tmp_path / "kept", "toy", toy)
    copy = kept.find(tmp_path / "kept", "toy", toy)
    assert copy is not None
    package.refuse(copy, Settings({}, require_signature=(tmp_path / "next.pub",)))


def test_a_package_that_is_no_package_keeps_nobody_waiting(toy: Path) -> None:
    """A pipe, or depth without end, where a server looks for the task before it has verified anything."""
    path = toy / "model" / "model.json"
    path.write_text("[" * 100_000)
    assert package.task_of(toy) is None
    path.unlink()
    path.symlink_to("nowhere")
    assert package.task_of(toy) is None and package.fingerprint(toy) is not None
    path.unlink()
    os.mkfifo(path)
    assert package.task_of(toy) is None
