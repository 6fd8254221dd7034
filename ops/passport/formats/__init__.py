"""A package's passport in formats that others read: each is a mapping of what the passport says, and adds nothing.

    python -m ops.passport export FOLDER TARGET [DATA]    FOLDER: a package; DATA: its data set, where that is at hand

    TARGET/bom.cdx.json             CycloneDX 1.6: model, data, initial weights, environment
    TARGET/croissant.json           Croissant 1.1: the data set
    TARGET/provenance.intoto.json   in-toto Statement v1 with SLSA provenance v1: of what and by which runs it was made

They are written beside a package, not into it: the passport seals every file of the package and comes last, and the
provenance has the digest of the passport. docs/formats.md has the mapping, field by field.
"""

from __future__ import annotations

from pathlib import Path

from core import lineage, paths
from core.errors import ModelError
from core.files import write_json
from ops import passport
from ops.passport.formats import croissant, cyclonedx, provenance
from ops.passport.formats.package import Package, read

NAMES = ("bom.cdx.json", "croissant.json", "provenance.intoto.json")


def export(folder: Path, target: Path, data: Path | None = None) -> list[str]:
    """Write the documents of the package `folder` into `target`. data: the folder that `prepare` made.

    Returns: what a reader should know. Raises: ModelError when the package is not as it was packaged, or `data` is not
    its data set.
    """
    if target.resolve().is_relative_to(folder.resolve()):
        raise ModelError(f"{target} lies in the package, which its passport seals; name a folder outside of {folder}")
    package = read(folder)
    place, notes = _data(package, data)
    try:
        documents = (cyclonedx.document(package), croissant.document(package, place), provenance.document(package))
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # a seal says nothing of what links hold
        raise ModelError(
            f"{folder / passport.NAME} has links of another form than the stage package writes "
            f"({type(error).__name__}: {error}); take the package anew from where it came"
        ) from None
    for name, document in zip(NAMES, documents, strict=True):
        write_json(target / name, document)
    if missing := cyclonedx.others(package):
        others = f"{' and '.join(missing)} not here as when the package was made"
        notes.append(f"{others}: {NAMES[0]} names the environment's lock files by digest, without their libraries")
    return notes


def _data(package: Package, given: Path | None) -> tuple[Path | None, list[str]]:
    """Where the data set lies: where it was said to be, or where the pipeline leaves it. Raises: ModelError."""
    place = given or paths.prepared(package.task)
    if given is None and not place.is_dir():
        return None, [f"{place} is not here: croissant.json names the data set by its digest, without its files"]
    found, expected = lineage.digest(place), package.links.get("data", {}).get("prepared")
    if found == expected:
        return place, []
    told = f"{place} is not the data set of this package: its DVC md5 is {found}, the passport says {expected}"
    if given is not None:
        raise ModelError(f"{told}; name the folder that `prepare` made for it (`dvc checkout` brings it back)")
    return None, [f"{told}: croissant.json names the data set by its digest, without its files"]
