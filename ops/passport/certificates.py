"""Certificates that vouch for who signed: valid now, not only when they began.

`model_signing` 1.1.1 looks at a chain as it was when the signer's certificate began, so it takes one that has run out.
A signature by a key has no date that anyone vouches for: nothing tells whether it was made before. What runs out ends
trust, then.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

from core.errors import StillhouseError


def check_valid_now(signature: Path, trusted: Path) -> None:
    """Raises: StillhouseError when no chain from the signer's certificate to those in `trusted` is valid now.

    Whether the signature is by that certificate's key is not asked here.
    """
    from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificates
    from OpenSSL import crypto

    material = json.loads(signature.read_bytes())["verificationMaterial"]
    given = [base64.b64decode(each["rawBytes"]) for each in material["x509CertificateChain"]["certificates"]]
    own, *between = (crypto.X509.from_cryptography(load_der_x509_certificate(each)) for each in given)
    store = crypto.X509Store()
    for root in load_pem_x509_certificates(trusted.read_bytes()):
        store.add_cert(crypto.X509.from_cryptography(root))
    try:
        crypto.X509StoreContext(store, own, between).verify_certificate()
    except crypto.X509StoreContextError as error:
        found = error.certificate.to_cryptography()
        name, days = found.subject.rfc4514_string(), (found.not_valid_before_utc, found.not_valid_after_utc)
        raise StillhouseError(
            f"the certificate {name} (from {days[0]:%Y-%m-%d %H:%M} to {days[1]:%Y-%m-%d %H:%M} UTC) is not valid now: "
            f"{error}; sign the package anew with one that is"
        ) from None
