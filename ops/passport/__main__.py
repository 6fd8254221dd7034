"""`python -m ops.passport`: verify, trace, sign and export packages, make keys; exit code 2 when something is wrong."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from core.errors import ModelError, StillhouseError
from ops import passport
from ops.passport import formats, keyless, keys, signature, trace, trust_root


def main() -> None:
    given = _parser().parse_args()
    try:
        problems = given.run(given)
    except StillhouseError as error:
        problems = [str(error)]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        sys.exit(2)


def _verify(given: argparse.Namespace) -> list[str]:
    problems = passport.verify(given.path, given.key)
    if not problems:
        print(f"{given.path}: all links hold{_signed(given)}")
    return problems


def _signed(given: argparse.Namespace) -> str:
    if given.key:
        return ", and the signature is by a key or an identity that is trusted"
    there = (given.path / signature.NAME).is_file()
    return "; it is signed, but no --key says whose signature to trust" if there else ""


def _trace(given: argparse.Namespace) -> list[str]:
    print(trace.text(given.path))
    problems = passport.verify(given.path)
    if not problems:
        print(f"\n{given.path}: all links hold")
    return problems


def _sign(given: argparse.Namespace) -> list[str]:
    token = _token(given)
    for package in given.packages:
        if problems := passport.verify(package):
            raise ModelError(f"{package} is not as it was packaged, so it is not signed: {problems[0]}")
        if not package.is_dir():
            raise ModelError(f"{package} is no folder, and a signature is over a whole package; name its folder")
        if given.key:
            signature.sign(package, given.key, given.certificate)
            by = ""
        else:
            by = f"; to trust it: {json.dumps(signature.sign_keyless(package, token, given.trust_root))}"
        print(f"{package}: signed, {package / signature.NAME}{by}")
    return []


def _token(given: argparse.Namespace) -> str:
    """To sign keyless; empty when a key signs. Raises: StillhouseError when options of both are given, or no token."""
    foreign = ("certificate",) if given.sigstore else ("identity_token", "trust_root")
    for name in foreign:
        if getattr(given, name):
            raise StillhouseError(
                f"--{name.replace('_', '-')} is for --{'key' if given.sigstore else 'sigstore'} alone"
            )
    if given.sigstore and given.trust_root:
        trust_root.read(given.trust_root, servers=True)  # or it says what is wrong with it
    return keyless.token(given.identity_token) if given.sigstore else ""


def _export(given: argparse.Namespace) -> list[str]:
    for note in formats.export(given.folder, given.target, given.data):
        print(f"note: {note}", file=sys.stderr)
    print(f"{given.target}: {', '.join(formats.NAMES)}")
    return []


def _keygen(given: argparse.Namespace) -> list[str]:
    public = keys.generate(given.file)
    print(f"{given.file}: the private key, which stays with who signs\n{public}: the public one, for verify --key")
    return []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m ops.passport", description="Passports and signatures of packages.")
    commands = parser.add_subparsers(required=True, metavar="verify|trace|sign|keygen|export")
    add = commands.add_parser("verify", help="whether a package, or one of its graphs, is as it was packaged")
    add.add_argument("path", type=Path, metavar="FOLDER|FILE.onnx")
    trusted = "public key, certificate or identity file (docs/signing.md), one of which must vouch; may be repeated"
    add.add_argument("--key", type=Path, action="append", default=[], metavar="PUBLIC", help=trusted)
    add.set_defaults(run=_verify)
    add = commands.add_parser("trace", help="the way back to data, code, params, runs and figures")
    add.add_argument("path", type=Path, metavar="FOLDER|FILE.onnx")
    add.set_defaults(run=_trace)
    add = commands.add_parser("sign", help="sign packages, in place of a signature that is there")
    add.add_argument("packages", type=Path, nargs="+", metavar="FOLDER")
    way = add.add_mutually_exclusive_group(required=True)
    way.add_argument("--key", type=Path, metavar="PRIVATE", help="as keygen makes it")
    way.add_argument("--sigstore", action="store_true", help="keyless, over the network: for whom a token vouches")
    chain = "of the key, then those up to the root that is trusted; may be repeated"
    add.add_argument("--certificate", type=Path, action="append", default=[], metavar="FILE", help=chain)
    own = "with an OpenID Connect token for --sigstore; default: that of the CI job"
    add.add_argument("--identity-token", type=Path, metavar="FILE", help=own)
    other = "client trust configuration of the Sigstore instance; default: the public one"
    add.add_argument("--trust-root", type=Path, metavar="FILE", help=other)
    add.set_defaults(run=_sign)
    add = commands.add_parser("keygen", help="make a private key, FILE, and its public key, FILE.pub")
    add.add_argument("file", type=Path, metavar="FILE")
    add.set_defaults(run=_keygen)
    usage = "%(prog)s FOLDER TARGET [DATA]"
    add = commands.add_parser("export", usage=usage, help="write a package's documents in other formats (`formats/`)")
    add.add_argument("folder", type=Path, metavar="FOLDER")
    add.add_argument("target", type=Path, metavar="TARGET")
    add.add_argument(
        "data", type=Path, nargs="?", metavar="DATA", help="the data it learned from, to be described, too"
    )
    add.set_defaults(run=_export)
    return parser


if __name__ == "__main__":
    main()
