"""Who made a package: `model.sig`, an OpenSSF model signature over the passport and every other file.

It is what the `model_signing` library writes and its command line reads: a Sigstore bundle around an in-toto statement
that names each file with its sha256 (https://github.com/ossf/model-signing-spec). It stands in the package's folder
and is no part of what is signed, nor of the passport: ECDSA draws a random number, so a package has another signature
each time. That also lets a package be signed anew, by the next key, without changing it.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import StillhouseError
from core.files import write_text
from ops.passport import certificates as certificate_files
from ops.passport import identity, keyless
from ops.passport import keys as key_files
from ops.passport.contents import Contents, contents

NAME = "model.sig"
MOST_BYTES = 16_000_000
"""Of a signature: some 200 bytes a file of the package."""


def sign(folder: Path, key: Path, certificates: Sequence[Path] = ()) -> None:
    """Sign what lies in `folder`, in place of a signature that is there. The caller has verified the package.

    key: a private one. certificates: of that key, and then those between it and the root that is trusted.
    Raises: StillhouseError when the key cannot be used, or files are links into DVC's cache.
    """
    _check_not_linked(folder)
    key_files.public_half(key)  # or it says what is wrong with the key
    config = _signing()
    try:
        if certificates:
            own, *between = certificates
            between = between or [own]  # model_signing 1.1.1 cannot read a chain of none
            config.use_certificate_signer(private_key=key, signing_certificate=own, certificate_chain=between)
        else:
            config.use_elliptic_key_signer(private_key=key)
        text = _made(folder, config)
    except (ValueError, OSError) as error:
        raise StillhouseError(f"{folder} could not be signed with {key}: {error}") from None
    write_text(folder / NAME, text)


def sign_keyless(folder: Path, token: str, trust_root: Path | None = None) -> dict[str, str]:
    """Sign what lies in `folder` by Sigstore, over the network, in place of a signature that is there.

    The caller has verified the package. Returns for whom: the content of an identity file that trusts this signature.

    token: proves to Sigstore who signs, see `keyless.token`. trust_root: of an instance other than the public one.
    Raises: StillhouseError when Sigstore cannot be reached or refuses, or files are links into DVC's cache: then the
        package is as it was. The token is in no message.
    """
    _check_not_linked(folder)
    with keyless.told(folder, token):
        text = _made(folder, _signing().use_sigstore_signer(identity_token=token, trust_config=trust_root))
        signer = keyless.signer(text)
    write_text(folder / NAME, text)
    return signer


def by(folder: Path, key: Path) -> bool:
    """Whether a package has a signature that holds, by this private key. Raises: StillhouseError: it is no such key."""
    with tempfile.TemporaryDirectory() as aside:
        public = Path(aside, "public.pem")
        public.write_bytes(key_files.public_half(key))
        return not problems(folder, contents(folder), [public])


def problems(folder: Path, found: Contents, trusted: Sequence[Path]) -> list[str]:
    """Why none of the `trusted` keys, certificates and identities vouches for all that was found; empty: one does.

    Raises: StillhouseError when one of the trusted files is no such thing: then nothing is trusted.
    """
    kinds = {path: key_files.trust(path) for path in trusted}
    path = folder / NAME
    if found.linked:
        return [f"the signature is not looked at: {_links(found.linked)}"]
    if NAME not in found.files:
        return [f"the package is not signed: {NAME} is missing; sign it: `python -m ops.passport sign`"]
    if path.stat().st_size > MOST_BYTES:
        return [f"{NAME} has more than {MOST_BYTES} bytes, so it is no signature"]
    reasons = []
    with tempfile.TemporaryDirectory() as aside:
        copy = Path(aside, NAME)
        copy.write_bytes(path.read_bytes())  # once: what is verified is what is looked into
        for trust, kind in kinds.items():
            try:
                _verify(folder, copy, trust, kind)
                left_out = set(found.files) - {NAME} - _named(copy)
                if not left_out:
                    return []
                reasons.append(f"{trust.name}: it leaves out {', '.join(sorted(left_out))}")
            except Exception as error:  # a signature is input, whatever it does to its reader
                reasons.append(f"{trust.name}: {_told(error)}")
    return [f"the signature does not hold: {'; '.join(reasons)}"]


def _check_not_linked(folder: Path) -> None:
    if linked := contents(folder).linked:
        raise StillhouseError(f"{folder} is not signed: {_links(linked)}")


def _signing() -> Any:
    from model_signing import signing

    return signing.Config().set_hashing_config(_hashing())


def _made(folder: Path, config: Any) -> str:
    """The signature; it is not put into the folder."""
    with tempfile.TemporaryDirectory() as aside:
        config.sign(folder.resolve(), Path(aside, NAME))
        return Path(aside, NAME).read_text(encoding="utf-8")


def _links(names: Sequence[str]) -> str:
    return (
        f"{names[0]} is a link into DVC's cache, and a signature is over the files themselves; "
        "take a copy of the package: `cp -rL`"
    )


def _verify(folder: Path, signature: Path, trust: Path, kind: key_files.Trust) -> None:
    """Raises: an exception of any kind, when it does not hold."""
    from model_signing import verifying

    config = verifying.Config().set_hashing_config(_hashing())
    if kind == key_files.Trust.CERTIFICATE:
        config.use_certificate_verifier(certificate_chain=[trust])
    elif kind == key_files.Trust.IDENTITY:
        signer = identity.read(trust)
        root = signature.with_name("trust_root.json")
        root.write_text(signer.trust_config, encoding="utf-8")
        config.use_sigstore_verifier(identity=signer.identity, oidc_issuer=signer.issuer, trust_config=root)
    else:
        config.use_elliptic_key_verifier(public_key=trust)
    config.verify(folder.resolve(), signature)
    if kind == key_files.Trust.CERTIFICATE:
        certificate_files.check_valid_now(signature, trust)


def _named(signature: Path) -> set[str]:
    """Files that a signature names; a signer may have left out some."""
    bundle = json.loads(signature.read_bytes())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    return {str(entry["name"]) for entry in statement["predicate"]["resources"]}


def _hashing() -> Any:
    """sha256 of every file but the signature, and of git's files, too, which the library leaves out by itself."""
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=[NAME], ignore_git_paths=False)


def _told(error: Exception) -> str:
    """In one line; not every exception of the library says something."""
    return " ".join(str(error).split()) or f"it is not by this key ({type(error).__name__})"
