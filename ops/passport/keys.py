"""Keys that sign packages, and what is trusted to have signed them: files in PEM, elliptic curves alone.

A private key is made by `generate`, has mode 600, and comes into no repository. Trusted is a public key, a certificate
from which that of the signer follows, or an identity for which Sigstore vouches (`identity.py`).
"""

from __future__ import annotations

import os
import subprocess
from enum import Enum
from pathlib import Path

from core.errors import StillhouseError
from ops.passport import identity

CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""P-256, P-384 and P-521: those that OpenSSF's format takes."""
CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


class Trust(Enum):
    """What a file that is trusted holds."""

    KEY = "a public key"
    CERTIFICATE = "certificates"
    IDENTITY = "the identity of a keyless signer"


def generate(path: Path) -> Path:
    """Write a new private key (P-256, mode 600) to `path`, and its public key beside it; returns where that one is.

    Raises: StillhouseError when one of them is there already, or git might take the private one along.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    public = path.with_name(f"{path.name}.pub")
    for each in (path, public):
        if os.path.lexists(each):
            raise StillhouseError(f"{each} is there already, and a key is never overwritten; name another file")
    if not path.parent.is_dir():
        raise StillhouseError(f"{path.parent} is no folder; make it first: `mkdir -p -m 700 {path.parent}`")
    if _tracked(path):
        raise StillhouseError(
            f"{path} lies in a git work tree and is not ignored, so a commit might take the private key along; "
            "name a place outside of it, such as ~/.config/stillhouse/signing.pem"
        )
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(path, private, 0o600)
    _write(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    return public


def public_half(path: Path) -> bytes:
    """The public key, in PEM, of a file with a private one. Raises: StillhouseError when it is none that can sign."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise StillhouseError(f"the key {path} cannot be read: {error.strerror}") from None
    except Exception as error:  # the library has many, and the key's bytes belong in no message
        raise StillhouseError(
            f"{path} is no private key that can be used ({type(error).__name__}); expected one in PEM without a "
            "password, as `python -m ops.passport keygen FILE` makes it"
        ) from None
    _check_curve(path, getattr(getattr(key, "curve", None), "name", None))
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def trust(path: Path) -> Trust:
    """What a file that is trusted holds. Raises: StillhouseError when it is none of them, or cannot be used."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificates

    try:
        content = path.read_bytes()
    except OSError as error:
        raise StillhouseError(f"the key {path} cannot be read: {error.strerror}") from None
    if b"PRIVATE KEY" in content:
        raise StillhouseError(f"{path} is a private key, which only who signs may have; expected the public one, *.pub")
    if content.lstrip().startswith(b"{"):
        identity.read(path)
        return Trust.IDENTITY
    try:
        if CERTIFICATE in content:
            load_pem_x509_certificates(content)
            return Trust.CERTIFICATE
        curve = getattr(load_pem_public_key(content), "curve", None)
    except Exception as error:  # whatever the library makes of it
        raise StillhouseError(
            f"{path} is no public key, no certificate and no identity file ({type(error).__name__}); expected one in "
            "PEM, as `python -m ops.passport keygen` makes it, or JSON, as docs/signing.md has it"
        ) from None
    _check_curve(path, getattr(curve, "name", None))
    return Trust.KEY


def _check_curve(path: Path, name: str | None) -> None:
    if name not in CURVES:
        raise StillhouseError(f"{path} is a key of {name or 'another kind'}; expected an elliptic one, {CURVES}")


def _tracked(path: Path) -> bool:
    """Whether a file of this name would be seen by git; also where git cannot be asked."""
    folder = path.parent.resolve()
    if not any((above / ".git").exists() for above in (folder, *folder.parents)):
        return False
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), "check-ignore", "--quiet", "--", path.name]
    try:
        return subprocess.run(command, env=clean, capture_output=True, check=False, timeout=30).returncode != 0
    except (OSError, subprocess.SubprocessError):
        return True


def _write(path: Path, content: bytes, mode: int) -> None:
    """Into a file that was not there, with its mode from the first moment on."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    except OSError as error:
        raise StillhouseError(f"{path} cannot be written: {error.strerror}") from None
