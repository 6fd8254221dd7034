"""Pascal VOC (http://host.robots.ox.ac.uk/pascal/VOC/): JPEGImages/, Annotations/*.xml, ImageSets/Main/*.txt.

The boxes of the original VOC are 1-based and include their last pixel, while LabelImg and most others write edges of
the box into the same fields, with 0 as the image's left edge and its width as the right one. Nothing in the files tells
which. xmin, ymin, xmax and ymax are taken as edges here, so width = xmax - xmin: an original VOC box comes out up to
one pixel small, and a box with xmin = xmax has no area and is reported.
Rows are 1-based positions among the `<object>`s of a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeElementTree

from core.errors import SourceError
from modalities.images.prepare.raw import SUFFIXES, Box, Picture, Raw, inside, known_class

NEEDS = (
    "voc: the folders Annotations/ (*.xml) and JPEGImages/, and ImageSets/Main/{train,val,test}.txt where it is split"
)


def find(root: Path) -> list[Path]:
    """The annotation files; empty: this is no VOC data set."""
    return sorted(root.glob("Annotations/*.xml")) if (root / "JPEGImages").is_dir() else []


def read(root: Path, files: list[Path], classes: list[str] | None, trusted: bool) -> Raw:
    """Every image and object. Raises: SourceError for a DTD (entity bombs, external entities) and unknown classes."""
    raw = Raw()
    images = _images(root, trusted)
    names = {file.stem for file in files}
    for split, name in _listed(root, raw) or [(None, name) for name in sorted(names)]:
        if name not in names:
            raw.reject(f"Annotations/{name}.xml", 1, "file", f"listed in ImageSets/Main ({split}), and not there")
            continue
        _read_file(raw, root / "Annotations" / f"{name}.xml", images, split)
    found = sorted({box.label for picture in raw.pictures for box in picture.boxes})
    for picture in raw.pictures:
        for box in picture.boxes:
            known_class(box.label, classes or found, f"{box.file}: object {box.row}, name")
    raw.classes = classes or found
    return raw


def _listed(root: Path, raw: Raw) -> list[tuple[str | None, str]]:
    """(split, name) of the lists; trainval.txt joins train and val and counts only where these are not given."""
    lists = {split: root / "ImageSets" / "Main" / f"{split}.txt" for split in ("train", "val", "test", "trainval")}
    lists = {split: file for split, file in lists.items() if file.is_file()}
    if "trainval" in lists:
        joined = lists.pop("trainval")
        if not {"train", "val"} & set(lists):
            lists["train"] = joined
    rows: list[tuple[str | None, str]] = []
    for split, file in lists.items():
        lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        rows += [(split, name) for name in sorted({line.strip() for line in lines} - {""})]
    unlisted = {file.stem for file in (root / "Annotations").glob("*.xml")} - {name for _, name in rows}
    if rows and unlisted:
        raw.notes.append(f"{len(unlisted)} annotated images stand in no list of ImageSets/Main and are left out")
    return rows


def _images(root: Path, trusted: bool) -> dict[str, Path]:
    """Image files by name and by stem."""
    files = [file for file in sorted((root / "JPEGImages").iterdir()) if inside(file, root, trusted)]
    stems = {file.stem: file for file in files if file.suffix.lower() in SUFFIXES}
    return {file.name: file for file in files} | {f"{stem}/": file for stem, file in stems.items()}


def _read_file(raw: Raw, file: Path, images: dict[str, Path], split: str | None) -> None:
    name = f"Annotations/{file.name}"
    try:
        tree = SafeElementTree.parse(file, forbid_dtd=True).getroot()
    except DefusedXmlException as error:
        raise SourceError(
            f"{name}: refused, it declares a DTD or entities ({type(error).__name__}), which annotations never need"
        ) from None
    except (ParseError, ValueError, LookupError) as error:
        line = getattr(error, "position", (1, 0))[0]
        raw.reject(name, line, "xml", f"no valid XML: {error}")
        return
    stated = (tree.findtext("filename") or f"{file.stem}.jpg").strip()
    path = images.get(f"{file.stem}/") or images.get(Path(stated.replace("\\", "/")).name)
    size = tree.find("size")
    sides = None if size is None else (_number(size, "width"), _number(size, "height"))
    picture = Picture(path, stated, sides, split, name, 1)
    for row, entry in enumerate(tree.findall("object"), 1):
        label = (entry.findtext("name") or "").strip()
        if not label:
            raw.reject(name, row, "name", "an object has a class name")
            continue
        picture.boxes.append(Box(label, _edges(entry.find("bndbox")), name, row))
    raw.pictures.append(picture)


def _edges(box: Element | None) -> list[Any]:
    """Edges -> x, y, width, height; text that is no number stays as it is, for the message."""
    if box is None:
        return [None] * 4
    left, top, right, bottom = (_number(box, field) for field in ("xmin", "ymin", "xmax", "ymax"))
    if not all(isinstance(value, float) for value in (left, top, right, bottom)):
        return [left, top, right, bottom]
    return [left, top, right - left, bottom - top]


def _number(element: Element, field: str) -> Any:
    text = (element.findtext(field) or "").strip()
    try:
        return float(text)
    except ValueError:
        return text or None
