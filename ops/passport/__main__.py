"""`python -m ops.passport`: verify, trace, sign and export packages, make keys; exit code 2 when something is wrong."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from core.errors import ModelError, StillhouseError
from ops import passport
from ops.passport import formats, keys, signature, trace


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
        return ", and the signature is by a key that is trusted"
    there = (given.path / signature.NAME).is_file()
    return "; it is signed, but no --key says whose signature to trust" if there else ""


def _trace(given: argparse.Namespace) -> list[str]:
    print(trace.text(given.path))
    problems = passport.verify(given.path)
    if not problems:
        print(f"\n{given.path}: all links hold")
    return problems


def _sign(given: argparse.Namespace) -> list[str]:
    for package in given.packages:
        if problems := passport.verify(package):
            raise ModelError(f"{package} is not as it was packaged, so it is not signed: {problems[0]}")
        if not package.is_dir():
            raise ModelError(f"{package} is no folder, and a signature is over a whole package; name its folder")
        signature.sign(package, given.key, given.certificate)
        print(f"{package}: signed, {package / signature.NAME}")
    return []


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
    trusted = "public key, or certificate, one of which must have signed; may be repeated"
    add.add_argument("--key", type=Path, action="append", default=[], metavar="PUBLIC", help=trusted)
    add.set_defaults(run=_verify)
    add = commands.add_parser("trace", help="the way back to data, code, params, runs and figures")
    add.add_argument("path", type=Path, metavar="FOLDER|FILE.onnx")
    add.set_defaults(run=_trace)
    add = commands.add_parser("sign", help="sign packages, in place of a signature that is there")
    add.add_argument("packages", type=Path, nargs="+", metavar="FOLDER")
    add.add_argument("--key", type=Path, required=True, metavar="PRIVATE", help="as keygen makes it")
    chain = "of the key, then those up to the root that is trusted; may be repeated"
    add.add_argument("--certificate", type=Path, action="append", default=[], metavar="FILE", help=chain)
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
