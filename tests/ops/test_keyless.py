"""Signatures without a key that is kept: made by a Sigstore, verified without a network (docs/faults.md 137, 138).

The Sigstore is one of the tests' own (`tests/sigstore_instance.py`), asked by the library as the public one is.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import toy_package
from passport_command import run
from sigstore_instance import Instance, Server, new_key, token

from core.errors import StillhouseError
from ops import passport
from ops.passport import identity, keys, signature

ME, ISSUER = "me@example.org", "https://accounts.example.org"
ROOT = Path(__file__).resolve().parents[2]


def trust(path: Path, **fields: Any) -> Path:
    """An identity file; what is None is left out."""
    content = {"identity": ME, "issuer": ISSUER, "trust_root": "instance.json"} | fields
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    return path


class Made:
    def __init__(self, root: Path, server: Server):
        self.root, self.server, self.instance = root, server, server.instance
        self.config = self.instance.trust_config(server.url)
        (root / "instance.json").write_text(json.dumps(self.config))
        self.me = trust(root / "me.json")
        (root / "token").write_text(token(ME, ISSUER) + "\n")
        self.package = toy_package.make(root / "package")
        self.signed_for = self.sign(self.package)

    def sign(self, package: Path, subject: str = ME) -> dict[str, str]:
        return signature.sign_keyless(package, token(subject, ISSUER), self.root / "instance.json")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A package, signed for ME, and a Sigstore that can sign more."""
    with Server(Instance()) as server:
        yield Made(tmp_path_factory.mktemp("keyless"), server)


@pytest.fixture
def package(made: Made, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.package, tmp_path / "package"))


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where these tests run in a CI job, they are not to sign as it."""
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "BUILDKITE"):
        monkeypatch.delenv(name, raising=False)


def test_the_commands_sign_and_verify(
    made: Made, package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (package / signature.NAME).unlink()
    secret = (made.root / "token").read_text().strip()
    options = ("--sigstore", "--identity-token", made.root / "token", "--trust-root", made.root / "instance.json")
    assert run(monkeypatch, "sign", package, *options) == 0
    told = capsys.readouterr()
    assert secret not in told.out + told.err and told.err == ""
    (package.parent / "instance.json").write_text(json.dumps(made.config))
    fields = json.loads(told.out.split("to trust it: ")[1])
    assert fields == {"identity": ME, "issuer": ISSUER}
    assert run(monkeypatch, "verify", package, "--key", trust(package.parent / "told.json", **fields)) == 0
    assert "the signature is by a key or an identity that is trusted" in capsys.readouterr().out
    assert run(monkeypatch, "verify", package, "--key", trust(package.parent / "other.json", identity="you")) == 2
    assert "do not match you" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["github", "gitlab"])
def test_a_ci_job_signs_as_itself(made: Made, package: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """It is known by the URI of its workflow. GitLab has its token in the environment, GitHub where that says."""
    job = f"https://{host}.example.org/us/model/workflow.yml@refs/heads/main"
    monkeypatch.setattr(made.instance, "job_token", token(job, ISSUER) if host == "github" else "")
    for name, value in {
        "github": {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "asks",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{made.server.url}/token",
        },
        "gitlab": {"GITLAB_CI": "true", "SIGSTORE_ID_TOKEN": token(job, ISSUER)},
    }[host].items():
        monkeypatch.setenv(name, value)
    assert run(monkeypatch, "sign", package, "--sigstore", "--trust-root", made.root / "instance.json") == 0
    assert passport.verify(package, [trust(made.root / "job.json", identity=job)]) == []
    assert passport.verify(package, [made.me]) != []


def test_the_command_of_the_library_agrees(made: Made) -> None:
    options = ["--identity", ME, "--identity_provider", ISSUER, "--trust_config", made.root / "instance.json"]
    path = made.package / signature.NAME
    verify = [sys.executable, "-m", "model_signing", "verify", "sigstore", made.package, "--signature", path, *options]
    assert "Verification succeeded" in subprocess.run(verify, check=True, capture_output=True, text=True).stdout


def refused(made: Made, package: Path, *trusted: Path) -> str:
    (problem,) = passport.verify(package, trusted or [made.me])
    return problem


def test_who_signed_is_asked(made: Made, package: Path) -> None:
    assert passport.verify(package, [made.me]) == []
    assert "SANs do not match" in refused(made, package, trust(made.root / "you.json", identity="you@example.org"))
    assert "OIDCIssuer does not match" in refused(made, package, trust(made.root / "else.json", issuer=ISSUER + "/"))
    made.sign(package, "you@example.org")
    assert "SANs do not match me@example.org; actual SANs: {'you@example.org'}" in refused(made, package)
    assert passport.verify(package, [made.me, made.root / "you.json"]) == []


def test_the_trust_root_of_another_vouches_for_nobody(made: Made, package: Path) -> None:
    """Another authority, another log of signatures, another log of certificates; and the public instance."""
    other = Instance().trust_config()["trustedRoot"]
    told = {"certificateAuthorities": "failed to build", "tlogs": "invalid log entry", "ctlogs": "failed to verify SCT"}
    for name, words in told.items():
        root = made.config["trustedRoot"] | {name: other[name]}
        (made.root / "other_root.json").write_text(json.dumps(root))
        trusted = trust(made.root / f"{name}.json", trust_root="other_root.json")
        assert words in refused(made, package, trusted)
    (made.root / "root.json").write_text(json.dumps(made.config["trustedRoot"]))
    assert passport.verify(package, [trust(made.root / "same.json", trust_root="root.json")]) == []
    assert "failed to build" in refused(made, package, trust(made.root / "public.json", trust_root=None))


def test_what_is_not_what_was_signed_is_refused(made: Made, package: Path) -> None:
    (package / "MODEL_CARD.md").write_text("better")
    assert "Hash mismatch for 'MODEL_CARD.md'" in passport.verify(package, [made.me])[-1]
    (package / "MODEL_CARD.md").unlink()
    assert "Missing files in model" in passport.verify(package, [made.me])[-1]
    shutil.copy(made.package / "MODEL_CARD.md", package)
    assert passport.verify(package, [made.me]) == []
    (package / "more").write_text("more")
    assert "Extra files found in model" in passport.verify(package, [made.me])[-1]


def test_who_signs_a_part_only_is_not_believed(made: Made, package: Path) -> None:
    from model_signing import hashing, signing

    some = hashing.Config().set_ignored_paths(paths=[signature.NAME, "golden"], ignore_git_paths=False)
    config = signing.Config().set_hashing_config(some)
    config.use_sigstore_signer(identity_token=token(ME, ISSUER), trust_config=made.root / "instance.json")
    config.sign(package, package / signature.NAME)
    assert "me.json: it leaves out golden/0.png, golden/1.png, golden/samples.json" in refused(made, package)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("checkpoint_key", new_key(), "checkpoint: invalid signature"),
        ("promise_key", new_key(), "SET: invalid inclusion promise"),
        ("late", 3600, "cert is not valid at validation time"),
        ("late", -3600, "cert is not valid at validation time"),
    ],
)
def test_a_log_that_another_wrote_or_that_came_late_is_refused(
    made: Made, package: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, words: str
) -> None:
    monkeypatch.setattr(made.instance, name, value)
    made.sign(package)
    assert words in refused(made, package)
    monkeypatch.undo()
    made.sign(package)
    assert passport.verify(package, [made.me]) == []


def test_parts_of_two_signatures_are_none(made: Made, package: Path) -> None:
    """Each by whom is trusted, and in the log; also one whose time nobody promises."""
    path = package / signature.NAME
    first = json.loads(path.read_text())
    made.sign(package)
    second = json.loads(path.read_text())
    log, key = "tlogEntries", "certificate"
    swapped = [(log, "log entry signatures do not match"), (key, "DSSE: invalid signature")]
    for name, words in swapped:
        material = second["verificationMaterial"] | {name: first["verificationMaterial"][name]}
        path.write_text(json.dumps(second | {"verificationMaterial": material}))
        assert words in refused(made, package)
    payload = json.loads(base64.b64decode(second["dsseEnvelope"]["payload"])) | {"more": 1}
    envelope = second["dsseEnvelope"] | {"payload": base64.b64encode(json.dumps(payload).encode()).decode()}
    path.write_text(json.dumps(second | {"dsseEnvelope": envelope}))
    assert "invalid signature" in refused(made, package)
    del second["verificationMaterial"][log][0]["inclusionPromise"]
    path.write_text(json.dumps(second))
    assert "must contain an inclusion promise" in refused(made, package)


def test_keys_and_identities_do_not_stand_for_each_other(made: Made, package: Path, tmp_path: Path) -> None:
    public = keys.generate(tmp_path / "key")
    assert "key.pub" in refused(made, package, public)
    assert passport.verify(package, [public, made.me]) == []
    signature.sign(package, tmp_path / "key")
    assert "me.json" in refused(made, package)
    assert passport.verify(package, [made.me, public]) == []


TEXT = "expected text, as in"
WRONG: list[tuple[str, str]] = [
    ("{", "identity file .* cannot be read: .*; expected JSON"),
    ('{"identity": "me", "identity": "you", "issuer": "https://x"}', "a field stands there twice"),
    ("{" * 100_000, "expected JSON"),
    ('{"identity": "me", "issuer": "https://x", "root": "x"}', "unknown field 'root'; expected"),
    ('{"issuer": "https://x"}', f"identity is nothing; {TEXT}"),
    ('{"identity": "me"}', f"issuer is nothing; {TEXT}"),
    ('{"identity": ["me"], "issuer": "https://x"}', f"identity is .*'me'.*; {TEXT}"),
    ('{"identity": "", "issuer": "https://x"}', f"identity is ''; {TEXT}"),
    ('{"identity": "me", "issuer": "https://x "}', f"issuer is 'https://x '; {TEXT}"),
    ('{"identity": "me", "issuer": "https://x", "trust_root": null}', f"trust_root is None; {TEXT}"),
    ('{"identity": "me", "issuer": "https://x", "trust_root": "none.json"}', "none.json cannot be read: No such file"),
    ('{"identity": "me", "issuer": "https://x", "trust_root": "words"}', "words is no JSON"),
    ('{"identity": "me", "issuer": "https://x", "trust_root": "list.json"}', "mediaType is None; expected application"),
    ('{"identity": "me", "issuer": "https://x", "trust_root": "empty.json"}', "trustedRoot.ctlogs is missing or empty"),
    ('{"identity": "me", "issuer": "https://x", "trust_root": "odd.json"}', "trustedRoot.tlogs: Input should be"),
]


@pytest.mark.parametrize(("content", "words"), WRONG, ids=range(len(WRONG)))
def test_an_identity_file_is_whole_or_nothing_is_trusted(made: Made, tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "words").write_text("no JSON")
    (tmp_path / "list.json").write_text("[]")
    for name, fault in {"empty": {"ctlogs": []}, "odd": {"tlogs": "x"}}.items():
        config = made.config | {"trustedRoot": made.config["trustedRoot"] | fault}
        (tmp_path / f"{name}.json").write_text(json.dumps(config))
    (tmp_path / "wrong.json").write_text(content)
    with pytest.raises(StillhouseError, match=words) as told:
        passport.verify(made.package, [made.me, tmp_path / "wrong.json"])
    assert "wrong.json" in str(told.value) and "\n" not in str(told.value)


def test_the_public_instance_is_known_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And without a home that can be written, as of a server in an image."""

    def connect(*arguments: object) -> None:
        raise AssertionError("asked the network")

    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home))
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, connect)
    known = json.loads(identity.read(trust(tmp_path / "me.json", trust_root=None)).trust_config)
    assert any("rekor.sigstore.dev" in log["baseUrl"] for log in known["trustedRoot"]["tlogs"])
    assert not list(home.iterdir()) and not caplog.records


@pytest.mark.parametrize("fault", ["token", "words", "expired", "none", "nobody", "refused", "root", "ct_key"])
def test_without_sigstore_or_a_token_nothing_is_signed(
    made: Made,
    package: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fault: str,
) -> None:
    before = (package / signature.NAME).read_bytes()
    good = token(ME, ISSUER)
    content = {"token": "not-a-token", "words": f"{good} {good}", "expired": token(ME, ISSUER, -1)}.get(fault, good)
    (tmp_path / "mine").write_text(content)
    root = made.config
    if fault == "refused":
        root = made.instance.trust_config("http://127.0.0.1:9")  # where nobody listens
    elif fault == "root":
        root = root["trustedRoot"]  # which names no servers
    elif fault == "ct_key":
        monkeypatch.setattr(made.instance, "ct_key", new_key())
    (tmp_path / "root.json").write_text(json.dumps(root))
    options: list[object] = ["--identity-token", tmp_path / ("none" if fault == "none" else "mine")]
    if fault == "nobody":
        options = []
    assert run(monkeypatch, "sign", package, "--sigstore", "--trust-root", tmp_path / "root.json", *options) == 2
    told = capsys.readouterr()
    words = {
        "token": "holds no identity token that can be used: Identity token is malformed",
        "words": "it has 2 words, not one",
        "expired": "Signature has expired",
        "none": "none cannot be read: No such file",
        "nobody": "there is nobody to sign as",
        "refused": "could not be signed by Sigstore: .*Connection refused",
        "root": "is not a client trust configuration: mediaType is",
        "ct_key": "could not be signed by Sigstore: .*SCT",
    }
    lines = told.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and told.out == ""
    assert re.search(words[fault], lines[0]), lines
    assert content not in told.err and good not in told.err
    assert (package / signature.NAME).read_bytes() == before
