"""Keys and signatures: made by a command, found by what is trusted, kept out of repositories (docs/faults.md 134)."""

from __future__ import annotations

import datetime
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import packages_tiny
import pytest
import toy_package
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID
from passport_command import run

from core.errors import ModelError, StillhouseError
from ops import passport
from ops.passport import keys, signature

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`package`, signed by `key`; `other` is another key."""
    root = tmp_path_factory.mktemp("signed")
    keys.generate(root / "key")
    keys.generate(root / "other")
    signature.sign(toy_package.make(root / "package"), root / "key")
    return root


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "place"))


def test_the_commands_make_sign_and_verify(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = shutil.copytree(made / "package", tmp_path / "package", ignore=shutil.ignore_patterns(signature.NAME))
    key, public = tmp_path / "key", tmp_path / "key.pub"
    assert run(monkeypatch, "keygen", key) == 0
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and "PRIVATE" not in public.read_text()
    assert run(monkeypatch, "verify", package, "--key", public) == 2
    assert "the package is not signed: model.sig is missing" in capsys.readouterr().err
    assert run(monkeypatch, "sign", package, "--key", key) == 0
    assert run(monkeypatch, "verify", package, "--key", public) == 0
    assert "the signature is by a key or an identity that is trusted" in capsys.readouterr().out
    assert run(monkeypatch, "verify", package) == 0
    assert "it is signed, but no --key" in capsys.readouterr().out
    assert run(monkeypatch, "verify", package, "--key", made / "key.pub") == 2
    assert "the signature does not hold: key.pub: Key mismatch" in capsys.readouterr().err
    assert run(monkeypatch, "verify", package / "model" / "detector.onnx", "--key", public) == 2
    assert "a signature is over a whole package" in capsys.readouterr().err


def test_the_next_key_takes_over_while_both_are_trusted(place: Path) -> None:
    package, old, new = place / "package", place / "key.pub", place / "other.pub"
    before = (package / passport.NAME).read_bytes()
    assert passport.verify(package, [new, old]) == []
    signature.sign(package, place / "other")
    assert passport.verify(package, [new, old]) == passport.verify(package, [new]) == []
    assert passport.verify(package, [old]) and (package / passport.NAME).read_bytes() == before


def test_a_package_that_does_not_hold_is_not_signed(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "package" / "MODEL_CARD.md").write_text("better")
    before = (place / "package" / signature.NAME).read_bytes()
    assert run(monkeypatch, "sign", place / "package", "--key", place / "other") == 2
    assert "so it is not signed: MODEL_CARD.md was changed" in capsys.readouterr().err
    assert (place / "package" / signature.NAME).read_bytes() == before


def test_who_signs_a_part_only_is_not_believed(place: Path) -> None:
    from model_signing import hashing, signing

    some = hashing.Config().set_ignored_paths(paths=[signature.NAME, "model"], ignore_git_paths=False)
    config = signing.Config().use_elliptic_key_signer(private_key=place / "key").set_hashing_config(some)
    config.sign(place / "package", place / "package" / signature.NAME)
    (problem,) = passport.verify(place / "package", [place / "key.pub"])
    assert "it leaves out model/checksums.json, model/detector.onnx" in problem


def test_files_of_git_are_signed_as_all_others_are(place: Path) -> None:
    """The library leaves them out by itself."""
    (place / "package" / ".gitattributes").write_text("* -text\n")
    packages_tiny.reseal(place / "package")
    signature.sign(place / "package", place / "key")
    assert passport.verify(place / "package", [place / "key.pub"]) == []


def test_the_command_of_the_library_agrees(place: Path) -> None:
    """OpenSSF's own program verifies what is signed here, and what it signs is verified here."""
    package, path = place / "package", place / "package" / signature.NAME
    common = [sys.executable, "-m", "model_signing"]
    verify = [*common, "verify", "key", package, "--signature", path, "--public_key", place / "key.pub"]
    assert "Verification succeeded" in subprocess.run(verify, check=True, capture_output=True, text=True).stdout
    sign = [*common, "sign", "key", package, "--signature", path, "--private_key", place / "other"]
    subprocess.run(sign, check=True, capture_output=True)
    assert passport.verify(package, [place / "other.pub"]) == []
    assert passport.verify(package, [place / "key.pub"]) != []


@pytest.mark.parametrize("ignored", [None, "", "*.pem\n"])
def test_no_key_is_made_where_git_might_take_it_along(tmp_path: Path, ignored: str | None) -> None:
    if ignored is not None:
        subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
        (tmp_path / ".gitignore").write_text(ignored)
    key = tmp_path / "below" / "signing.pem"
    key.parent.mkdir()
    if ignored == "":
        with pytest.raises(StillhouseError, match="lies in a git work tree and is not ignored"):
            keys.generate(key)
        assert not list(key.parent.iterdir())
    else:
        assert keys.generate(key) == key.with_name("signing.pem.pub")


@pytest.mark.parametrize("name", ["key", "half", "dangling"])
def test_no_key_is_overwritten(place: Path, name: str) -> None:
    (place / "dangling").symlink_to("nowhere")
    (place / "half.pub").write_text("the public half of a key that is elsewhere")
    before = {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}
    with pytest.raises(StillhouseError, match="is there already"):
        keys.generate(place / name)
    assert {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()} == before
    with pytest.raises(StillhouseError, match="is no folder; make it first"):
        keys.generate(place / "none" / "key")


def test_what_is_no_key_is_told_and_nothing_is_trusted(place: Path) -> None:
    package, good = place / "package", place / "key.pub"
    weak = {"curve": ec.generate_private_key(ec.SECP256K1()), "kind": ed25519.Ed25519PrivateKey.generate()}
    for name, key in weak.items():
        form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        (place / name).write_bytes(key.public_key().public_bytes(*form))
    (place / "words").write_text("no key")
    told = {"words": "is no public key, no certificate and no id", "curve": "is a key of secp256k1", "kind": "another"}
    told |= {"key": "is a private key, which only who signs may have", "none": "cannot be read: No such file"}
    for name, words in told.items():
        with pytest.raises(StillhouseError, match=words):
            passport.verify(package, [good, place / name])
    for name, words in {"key.pub": "is no private key", "words": "is no private key", "none": "cannot be read"}.items():
        with pytest.raises(StillhouseError, match=words):
            signature.sign(package, place / name)


Key = ec.EllipticCurvePrivateKey


def certificate(name: str, key: Key, issuer: str, signer: Key, root: bool, days: tuple[int, int] = (-1, 1)) -> bytes:
    """Valid from the first of `days` from now on to the last."""
    start, end = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=each) for each in days)
    own, above = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer))
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    usage |= {"crl_sign": False, "encipher_only": False, "decipher_only": False}
    builder = x509.CertificateBuilder(above, own, key.public_key(), x509.random_serial_number(), start, end)
    builder = builder.add_extension(x509.BasicConstraints(root, None), critical=True)
    builder = builder.add_extension(x509.KeyUsage(not root, key_cert_sign=root, **usage), critical=True)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_a_certificate_may_be_trusted(place: Path) -> None:
    """The root is trusted, and it has vouched for the key that signed."""
    package = place / "package"
    own = serialization.load_pem_private_key((place / "key").read_bytes(), None)
    assert isinstance(own, Key)
    roots = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "stranger")}
    for name, key in roots.items():
        (place / f"{name}.pem").write_bytes(certificate(name, key, name, key, root=True))
    (place / "own.pem").write_bytes(certificate("own", own, "root", roots["root"], root=False))
    assert passport.verify(package, [place / "root.pem"]) != []  # signed by the key alone
    signature.sign(package, place / "key", [place / "own.pem"])
    assert passport.verify(package, [place / "root.pem"]) == []
    assert passport.verify(package, [place / "stranger.pem", place / "root.pem"]) == []
    assert "does not hold: stranger.pem" in passport.verify(package, [place / "stranger.pem"])[0]
    with pytest.raises(StillhouseError, match="does not match"):
        signature.sign(package, place / "other", [place / "own.pem"])
    (package / "MODEL_CARD.md").write_text("better")
    assert "MODEL_CARD.md" in passport.verify(package, [place / "root.pem"])[-1]


WHOLE = (-9, 9)


@pytest.mark.parametrize(
    ("own", "above", "root", "words"),
    [
        ((-2, 2), WHOLE, WHOLE, None),
        ((-2, -1), WHOLE, WHOLE, "CN=own .* is not valid now: certificate has expired; sign the package anew"),
        ((1, 2), WHOLE, WHOLE, "CN=own .* is not valid now: certificate is not yet valid"),
        ((-2, 2), (-3, -1), WHOLE, "CN=between .* is not valid now: certificate has expired"),
        ((-2, 2), WHOLE, (-3, -1), "CN=root .* is not valid now: certificate has expired"),
    ],
)
def test_a_certificate_that_has_run_out_vouches_for_nobody(
    place: Path, own: tuple[int, int], above: tuple[int, int], root: tuple[int, int], words: str | None
) -> None:
    """Neither the signer's, nor one between it and the root, nor the root (docs/faults.md 139)."""
    mine = serialization.load_pem_private_key((place / "key").read_bytes(), None)
    assert isinstance(mine, Key)
    top, middle = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    made = {
        "root": certificate("root", top, "root", top, root=True, days=root),
        "between": certificate("between", middle, "root", top, root=True, days=above),
        "own": certificate("own", mine, "between", middle, root=False, days=own),
    }
    for name, content in made.items():
        (place / f"{name}.pem").write_bytes(content)
    signature.sign(place / "package", place / "key", [place / "own.pem", place / "between.pem"])
    problems = passport.verify(place / "package", [place / "root.pem"])
    assert len(problems) == (0 if words is None else 1)
    assert words is None or re.search(words, problems[0]), problems


def test_a_large_signature_is_not_read(place: Path) -> None:
    os.truncate(place / "package" / signature.NAME, signature.MOST_BYTES + 1)
    assert "so it is no signature" in passport.verify(place / "package", [place / "key.pub"])[0]


def test_who_asks_for_no_signature_does_not_load_the_library(place: Path) -> None:
    program = "import sys; from pathlib import Path; from ops import passport; import serving.package\n"
    program += "assert passport.verify(Path(sys.argv[1])) == []\nprint(*sys.modules)"
    command = [sys.executable, "-c", program, place / "package"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    assert "serving.package" in loaded and not {"model_signing", "sigstore", "cryptography"} & loaded


def test_a_package_may_be_moved_and_reached_by_a_link(place: Path) -> None:
    moved = (place / "package").rename(place / "elsewhere")
    assert passport.verify(moved, [place / "key.pub"]) == []
    (place / "link").symlink_to(moved)
    assert passport.verify(place / "link", [place / "key.pub"]) == []
    with pytest.raises(ModelError, match="does not exist"):
        passport.verify(place, [place / "key.pub"])


def test_dvc_does_not_see_that_a_package_was_signed(tmp_path: Path) -> None:
    """The signature is no part of the stage's output: what was packaged stays as `dvc.lock` has it."""
    shutil.copy(ROOT / ".dvcignore", tmp_path)
    (tmp_path / "dvc.yaml").write_text(
        "stages: {make: {cmd: mkdir -p packages/a && echo x > packages/a/x, outs: [packages/a]}}"
    )
    program = (
        "from pathlib import Path; from dvc.repo import Repo; repo = Repo.init(no_scm=True); repo.reproduce()\n"
        "for name in ('model.sig', 'other'):\n    Path('packages/a', name).touch(); print(len(Repo().status()))"
    )
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.split()[-2:] == ["0", "1"], done


def test_a_package_whose_files_dvc_links_from_its_cache_holds(place: Path) -> None:
    """With `cache.type` symlink; a signature is asked for where files are, not links to what may change."""
    package = place / "package"
    (package / signature.NAME).unlink()
    program = (
        "import sys; from dvc.repo import Repo; repo = Repo.init(no_scm=True)\n"
        "with repo.config.edit() as config: config['cache']['type'] = ['symlink']\n"
        "Repo().add('package')"
    )
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    subprocess.run([sys.executable, "-c", program], cwd=place, env=environment, check=True, capture_output=True)
    assert (package / passport.NAME).is_symlink() and (package / "model" / "detector.onnx").is_symlink()
    assert passport.verify(package) == []
    with pytest.raises(StillhouseError, match=r"a link into DVC's cache.*cp -rL"):
        signature.sign(package, place / "key")
    assert "is not looked at" in passport.verify(package, [place / "key.pub"])[-1]
    copy = Path(shutil.copytree(package, place / "copy"))  # what `cp -rL` does
    signature.sign(copy, place / "key")
    assert passport.verify(copy, [place / "key.pub"]) == []
    card = package / "MODEL_CARD.md"
    linked = card.readlink()
    linked.chmod(0o644)
    linked.write_text("better")
    assert any("MODEL_CARD.md was changed" in problem for problem in passport.verify(package))
