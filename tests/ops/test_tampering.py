"""However a package is changed, `verify` says so: with a key always, without one unless every digest was made anew.

docs/faults.md 116 and 132.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tampering
import toy_package

from core.errors import ModelError
from core.visible import visible
from ops import passport
from ops.passport import keys, signature


class Made:
    """A signed package, its public key, and all changes of it."""

    def __init__(self, root: Path):
        self.key = keys.generate(root / "key")
        other = keys.generate(root / "other")
        self.package = toy_package.make(root / "package")
        older = toy_package.make(root / "older", toy_package.VALUES | {"code": "1" * 40})
        foreign = toy_package.make(root / "foreign", toy_package.VALUES | {"code": "9" * 40})
        for folder, key in ((self.package, self.key), (older, self.key), (foreign, other)):
            signature.sign(folder, key.with_suffix(""))
        self.changes = tampering.changes(self.package, tampering.Others(foreign, older))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


def refused(package: Path, trusted: list[Path]) -> list[str]:
    """What is said, in words that a terminal and a log can show."""
    try:
        problems = passport.verify(package, trusted)
    except ModelError as error:
        problems = [str(error)]
    assert all(problem == visible(problem) and len(problem) < 1000 for problem in problems), problems
    return problems


def test_every_change_is_refused(made: Made, tmp_path: Path) -> None:
    wrong, seen = [], 0
    assert refused(made.package, [made.key]) == refused(made.package, []) == []
    for i, change in enumerate(made.changes):
        package = Path(shutil.copytree(made.package, tmp_path / str(i) / "package"))
        change.act(package)
        signed, bare = refused(package, [made.key]), refused(package, [])
        seen += bool(signed)
        if not signed:
            wrong.append(f"with a key: {change.name}")
        if bool(bare) == change.sealed:
            wrong.append(f"without a key: {change.name}: {bare}")
        shutil.rmtree(tmp_path / str(i))
    assert not wrong, f"{len(wrong)} of {len(made.changes)}:\n" + "\n".join(wrong)
    assert seen == len(made.changes) > 500
