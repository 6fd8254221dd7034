"""Signing without a key that is kept, by Sigstore: it vouches for who signs, and notes the signature in a public log.

A token of OpenID Connect proves to Sigstore who signs. That of a CI job is asked of the CI; a person's comes from a
file. It is a secret for the minutes that it is valid: it is in no message and on no command line.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import StillhouseError

ISSUER = "1.3.6.1.4.1.57264.1.1"
"""Extension of Sigstore's certificates: who vouched for the identity, as it is compared with an identity file."""
LONGEST = 600


def token(path: Path | None) -> str:
    """The token in a file, else that of the CI job which this is. Raises: StillhouseError when there is none."""
    from sigstore import oidc

    if path is None:
        try:
            found = oidc.detect_credential()
        except Exception as error:  # that of each CI
            raise StillhouseError(f"the CI's identity token could not be had: {_chain(error, '')}") from None
        if found is None:
            raise StillhouseError(
                "there is nobody to sign as: this is no CI job with an identity token (GitHub: `permissions: id-token: "
                "write`; GitLab: SIGSTORE_ID_TOKEN), and no --identity-token FILE was given; a person gets one by "
                "`python -m sigstore get-identity-token > FILE`"
            )
        return found
    try:
        words = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise StillhouseError(f"the identity token {path} cannot be read: {reason}") from None
    try:
        (found,) = words
        oidc.IdentityToken(found)
    except Exception as error:
        reason = _chain(error, words[0]) if len(words) == 1 else f"it has {len(words)} words, not one"
        raise StillhouseError(
            f"{path} holds no identity token that can be used: {reason}; expected a fresh one "
            "for the audience sigstore: `python -m sigstore get-identity-token > FILE`"
        ) from None
    return found


def signer(signature: str) -> dict[str, str]:
    """For whom Sigstore vouches in a signature that it just made, as an identity file says it."""
    from cryptography import x509

    raw = json.loads(signature)["verificationMaterial"]["certificate"]["rawBytes"]
    extensions = x509.load_der_x509_certificate(base64.b64decode(raw)).extensions
    issuer = extensions.get_extension_for_oid(x509.ObjectIdentifier(ISSUER)).value
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert isinstance(issuer, x509.UnrecognizedExtension)
    return {"identity": str(next(iter(names)).value), "issuer": issuer.value.decode()}


@contextmanager
def told(folder: Path, token: str) -> Iterator[None]:
    """Raises: StillhouseError in place of whatever goes wrong on the way to Sigstore, without the token."""
    try:
        yield
    except Exception as error:  # of the network, of each server, of the library
        raise StillhouseError(
            f"{folder} could not be signed by Sigstore: {_chain(error, token)}; look whether its servers can be "
            "reached and the token is fresh, or sign with --key, which needs no network"
        ) from None


def _chain(error: BaseException | None, token: str) -> str:
    """In one line, what an exception says and what caused it; some of the library's say nothing themselves."""
    said: list[str] = []
    while error is not None:
        words = " ".join(str(error).split()) or type(error).__name__
        if not any(words in before for before in said):
            said.append(words)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    text = ": ".join(said)
    return (text.replace(token, "(the token)") if token else text)[:LONGEST]
