"""A small Sigstore of its own: authority, its log, log of signatures and issuer of tokens, on a free port of 127.0.0.1.

It speaks what the `sigstore` library asks of Fulcio and of Rekor (version 1), and really signs. What a test changes of
it, `checkpoint_key`, `promise_key`, `ct_key` or `late`, it then does wrong.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Key = ec.EllipticCurvePrivateKey
MINUTES = datetime.timedelta(minutes=10)
"""For which a signer's certificate is valid."""
FIRST = hashlib.sha256(b"\0the log's first entry").digest()
USES = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign")
USES += ("encipher_only", "decipher_only")


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def spki(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_id(key: Key) -> bytes:
    return hashlib.sha256(spki(key)).digest()


def signed(key: Key, content: bytes) -> bytes:
    return key.sign(content, ec.ECDSA(hashes.SHA256()))


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


class Instance:
    def __init__(self) -> None:
        self.ca_key, self.ct_key, self.log_key = new_key(), new_key(), new_key()
        self.checkpoint_key = self.promise_key = self.log_key
        self.late = 0
        """Seconds after which a signature is noted in the log."""
        self.job_token = ""
        """What a CI job gets that asks who it is."""
        self.began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a small Sigstore")])
        self.ca = self._issued(self.name, self.ca_key.public_key(), datetime.timedelta(days=2), ca=True).sign(
            self.ca_key, hashes.SHA256()
        )

    def trust_config(self, url: str = "http://127.0.0.1:9") -> dict[str, Any]:
        """A client trust configuration; its `trustedRoot` alone is one to verify with."""
        period = {"start": self.began.isoformat()}
        service = [{"url": url, "majorApiVersion": 1, "validFor": period, "operator": "small"}]
        authority = {"uri": url, "certChain": {"certificates": [{"rawBytes": b64(self.ca.public_bytes(Encoding.DER))}]}}
        authority |= {"subject": {"organization": "small", "commonName": "small"}, "validFor": period}
        root = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self._log(url, self.log_key, period)],
            "certificateAuthorities": [authority],
            "ctlogs": [self._log(url, self.ct_key, period)],
            "timestampAuthorities": [],
        }
        servers = {"caUrls": service, "oidcUrls": service, "rekorTlogUrls": service, "tsaUrls": []}
        servers |= {"rekorTlogConfig": {"selector": "ANY"}, "tsaConfig": {"selector": "ANY"}}
        servers["mediaType"] = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
        kind = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
        return {"mediaType": kind, "trustedRoot": root, "signingConfig": servers}

    def _log(self, url: str, key: Key, period: dict[str, str]) -> dict[str, Any]:
        public = {"rawBytes": b64(spki(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": period}
        return {"baseUrl": url, "hashAlgorithm": "SHA2_256", "publicKey": public, "logId": {"keyId": b64(key_id(key))}}

    def _issued(self, name: x509.Name, public: Any, end: datetime.timedelta, ca: bool = False) -> Any:
        start = self.began if ca else datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=5)
        builder = x509.CertificateBuilder(self.name, name, public, x509.random_serial_number(), start, start + end)
        usage = x509.KeyUsage(not ca, key_cert_sign=ca, **dict.fromkeys(USES, False))
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.ca_key.public_key())
        for extension, critical in (
            (x509.BasicConstraints(ca, None), True),
            (usage, True),
            (x509.SubjectKeyIdentifier.from_public_key(public), False),
            (above, False),
        ):
            builder = builder.add_extension(extension, critical)
        return builder

    def certificate(self, request: x509.CertificateSigningRequest, claims: dict[str, str]) -> x509.Certificate:
        """For whom the token is, with the authority's log's promise to have noted it (RFC 6962)."""
        builder = self._issued(x509.Name([]), request.public_key(), MINUTES)
        name = x509.RFC822Name if "@" in claims["sub"] else x509.UniformResourceIdentifier
        issuer = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1"), claims["iss"].encode())
        signing = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CODE_SIGNING])
        builder = builder.add_extension(x509.SubjectAlternativeName([name(claims["sub"])]), critical=True)
        builder = builder.add_extension(signing, critical=False).add_extension(issuer, critical=False)
        content = builder.sign(self.ca_key, hashes.SHA256()).tbs_certificate_bytes
        now = struct.pack("!Q", int(datetime.datetime.now(datetime.UTC).timestamp() * 1000))
        entry = b"\0\1" + key_id(self.ca_key) + struct.pack("!I", len(content))[1:] + content + b"\0\0"
        promise = signed(self.ct_key, b"\0\0" + now + entry)
        promise = b"\0" + key_id(self.ct_key) + now + b"\0\0" + b"\4\3" + struct.pack("!H", len(promise)) + promise
        promises = struct.pack("!HH", len(promise) + 2, len(promise)) + promise
        der = bytes([4, *([129] if len(promises) > 127 else []), len(promises)]) + promises
        noted = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2"), der)
        made: x509.Certificate = builder.add_extension(noted, critical=False).sign(self.ca_key, hashes.SHA256())
        return made

    def entry(self, proposed: dict[str, Any]) -> dict[str, Any]:
        """The log's second entry: what is proposed, where it stands in the tree, and a promise of when it came."""
        envelope = json.loads(proposed["envelope"])
        payload, text = base64.b64decode(envelope["payload"]), proposed["envelope"].encode()
        signatures = [{"signature": envelope["signatures"][0]["sig"], "verifier": proposed["verifiers"][0]}]
        digests = {"envelopeHash": text, "payloadHash": payload}
        spec = {name: {"algorithm": "sha256", "value": hashlib.sha256(of).hexdigest()} for name, of in digests.items()}
        spec["signatures"] = signatures  # type: ignore[assignment]
        body = canonical({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})
        root = hashlib.sha256(b"\1" + FIRST + hashlib.sha256(b"\0" + body).digest()).digest()
        note = f"small - 1\n2\n{b64(root)}\n"
        by = b64(key_id(self.log_key)[:4] + signed(self.checkpoint_key, note.encode()))
        proof = {"hashes": [FIRST.hex()], "logIndex": 1, "treeSize": 2, "rootHash": root.hex()}
        proof["checkpoint"] = f"{note}\n\N{EM DASH} small {by}\n"
        time = int(datetime.datetime.now(datetime.UTC).timestamp()) + self.late
        made = {"body": b64(body), "integratedTime": time, "logID": key_id(self.log_key).hex(), "logIndex": 1}
        promise = b64(signed(self.promise_key, canonical(made)))
        return {"0" * 64: made | {"verification": {"inclusionProof": proof, "signedEntryTimestamp": promise}}}


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def token(subject: str, issuer: str, minutes: float = 5) -> str:
    """As an issuer of OpenID Connect makes it; who reads it here does not look who signed it."""
    now = datetime.datetime.now(datetime.UTC)
    claims = {"sub": subject, "iss": issuer, "aud": "sigstore", "iat": now - MINUTES}
    return jwt.encode(claims | {"exp": now + datetime.timedelta(minutes=minutes)}, os.urandom(32), "HS256")


class Server(ThreadingHTTPServer):
    """The instance at a free port: `with Server(Instance()) as server:`."""

    def __init__(self, instance: Instance):
        super().__init__(("127.0.0.1", 0), Handler)
        self.instance = instance
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Server:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        super().__exit__(*error)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path == "/token?audience=sigstore":  # as a job at GitHub asks for its own
            self._answer({"value": self.server.instance.job_token})
            return
        self._answer({"authorization_endpoint": self.server.url, "token_endpoint": self.server.url})

    def do_POST(self) -> None:
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/api/v1/log/entries":
            self._answer(self.server.instance.entry(given["spec"]["proposedContent"]))
            return
        raw = self.headers["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(raw, options={"verify_signature": False})
        request = x509.load_pem_x509_csr(base64.b64decode(given["certificateSigningRequest"]))
        made = [self.server.instance.certificate(request, claims), self.server.instance.ca]
        chain = [each.public_bytes(Encoding.PEM).decode() for each in made]
        self._answer({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})

    def _answer(self, content: dict[str, Any]) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *words: object) -> None:
        """Tests are quiet."""
