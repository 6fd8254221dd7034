"""Pascal VOC (http://host.robots.ox.ac.uk/pascal/VOC/): one XML file a picture, and lists of the splits.

Layouts: Annotations/*.xml, JPEGImages/ and ImageSets/Main/*.txt, in subfolders, too; the same in lower case, or with
images/ (labelImg); XML beside the pictures, in folders train/, valid/, test/ (Roboflow) or without.

The boxes of the original VOC are 1-based and include their last pixel, while LabelImg and most others write edges of
the box into the same fields, with 0 as the image's left edge and its width as the right one. Nothing in the files tells
which. xmin, ymin, xmax and ymax are taken as edges here, so width = xmax - xmin: an original VOC box comes out up to
one pixel small, and a box with xmin = xmax has no area and is reported.
Rows are 1-based positions among the `<object>`s of a file.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException

from core.errors import SourceError
from core.strict_xml import parse
from core.walk import is_hidden, listing, text
from modalities.images.prepare.names import Names, plain, stem
from modalities.images.prepare.raw import (
    SUFFIXES,
    Box,
    Picture,
    Raw,
    account,
    choose,
    inside,
    lying,
    named,
    number,
    short,
    sides,
)
from modalities.splits import split_of

NEEDS = (
    "voc: *.xml with <annotation> in Annotations/ beside JPEGImages/ or images/, or beside the pictures, and "
    "ImageSets/Main/{train,val,test}.txt or the folders train/, val/, test/ where it is split"
)
FOLDERS = ("annotations", "annotation", "xml", "xmls", "labels")
"""Names of folders of annotations, whatever their case."""
NO_XML = (ParseError, ValueError, LookupError, EOFError, gzip.BadGzipFile, zlib.error)
"""What is raised of a file that is no XML, or no whole one."""
PICTURES = ("jpegimages", "images", "image", "img", "imgs", "pictures", "photos")


def find(root: Path) -> list[Path]:
    """The annotation files; empty: this is no VOC data set."""
    tops = [folder for folder in sorted(root.iterdir()) if folder.is_dir() and not is_hidden(folder.name)]
    tops += [inner for top in tops if split_of(top.name) for inner in sorted(top.iterdir()) if inner.is_dir()]
    if not any(_own(folder) for folder in (root, *tops)):
        return []
    files = [path for path in listing(root).files if path.suffix.lower() == ".xml"]
    return files if any(_looks_like(path) for path in files[:20]) else []


def read(root: Path, files: list[Path], classes: list[str] | None, trusted: bool) -> Raw:
    """Every image and object. Raises: SourceError for a DTD (entity bombs, external entities), an unknown class in
    `classes`, and where no file has an object."""
    raw, here = Raw(), listing(root)
    files = [file for file in files if inside(file, root, trusted)]
    pictures = Names(here)
    stems = {_stem(file, root): file for file in files}
    claimed: dict[Path, str] = {}
    for split, name in _listed(root, stems, raw):
        if name not in stems:
            raw.reject(f"{short(name)}.xml", 1, "file", f"an annotation of ImageSets/Main is there ({split})", name)
            continue
        _read_file(raw, root, stems[name], name, pictures, claimed, split, trusted)
    _refuse_empty(raw, files, root)
    choose(raw, sorted({box.label for picture in raw.pictures for box in picture.boxes}), classes)
    lists = {path for path in here.files if path.parent.parent.name.lower() == "imagesets"}
    account(raw, here, {*files, *lists}, "pictures without an annotation file")
    return raw


def _own(folder: Path) -> bool:
    """Whether annotations may lie in it directly: beside pictures, or in a folder of that name, of a split perhaps."""
    entries = [entry for entry in sorted(folder.iterdir()) if not is_hidden(entry.name)]
    has_xml = any(entry.suffix.lower() == ".xml" for entry in entries)
    if folder.name.lower() in FOLDERS:
        return has_xml or any(next(entry.rglob("*.xml"), None) for entry in entries if entry.is_dir())
    return has_xml and any(entry.suffix.lower() in SUFFIXES for entry in entries)


def _looks_like(file: Path) -> bool:
    with file.open("rb") as opened:
        return b"annotation" in opened.read(4000).replace(b"\0", b"")  # UTF-16, perhaps


def _stem(file: Path, root: Path) -> str:
    """Path below the folder of annotations, without ending: `site2/009`, `train/009`."""
    parts = file.relative_to(root).with_suffix("").parts
    return "/".join(part for i, part in enumerate(parts) if i + 1 == len(parts) or part.lower() not in FOLDERS)


def _listed(root: Path, stems: dict[str, Path], raw: Raw) -> list[tuple[str | None, str]]:
    """(split, name) of the lists; trainval.txt joins train and val and counts only where these are not given. Without
    lists, of the folders train/, val/ and test/."""
    lists: dict[str, Path] = {}
    for folder in (path for path in root.glob("*/*") if path.parent.name.lower() == "imagesets" and path.is_dir()):
        if folder.name.lower() == "main":
            lists = {path.stem.lower(): path for path in lying(folder, "*.txt")}
    lists = {split: lists[split] for split in ("train", "val", "test", "trainval") if split in lists}
    if "trainval" in lists:
        joined = lists.pop("trainval")
        if not {"train", "val"} & set(lists):
            lists["train"] = joined
    rows: list[tuple[str | None, str]] = []
    for split, file in lists.items():
        lines = text(file).splitlines()
        rows += [(split, name) for name in sorted({_entry(line, stems) for line in lines if line.strip()})]
    if not rows:
        return [(_split(name), name) for name in sorted(stems)]
    if unlisted := sorted(set(stems) - {name for _, name in rows}):
        raw.notes.append(
            f"{len(unlisted)} annotated images stand in no list of ImageSets/Main and are left out, "
            f"e.g. {named(unlisted)}"
        )
    return rows


def _entry(line: str, stems: dict[str, Path]) -> str:
    """The annotation that a line of a list means: `000001`, `000001.jpg`, `JPEGImages/site2/000001.jpg`, `000001 1`."""
    whole = plain(line)
    for name in (whole, stem(whole), stem(whole.split()[0])):
        parts = name.split("/")
        for start in range(len(parts)):
            if (known := "/".join(parts[start:])) in stems:
                return known
    return whole


def _split(name: str) -> str | None:
    """Of the folder that it lies in."""
    found = split_of(name.split("/", maxsplit=1)[0]) if "/" in name else None
    return "train" if found == "trainval" else found


def _read_file(
    raw: Raw,
    root: Path,
    file: Path,
    key: str,
    pictures: Names,
    claimed: dict[Path, str],
    split: str | None,
    trusted: bool,
) -> None:
    name = file.relative_to(root).as_posix()
    try:
        tree = parse(file)
    except DefusedXmlException as error:
        raise SourceError(
            f"{name}: refused, it declares a DTD or entities ({type(error).__name__}), which annotations never need"
        ) from None
    except NO_XML as error:
        line = getattr(error, "position", (1, 0))[0]
        raw.reject(name, line, "xml", "the file is valid XML that Python's parser reads", str(error))
        return
    stated = (tree.findtext("filename") or "").strip()
    size = tree.find("size")
    picture = Picture(None, stated or f"{key}.jpg", None if size is None else _size(size), split, name, 1)
    found = [path for path in _pictures(root, file, key, stated, pictures) if inside(path, root, trusted)]
    if len(found) > 1:
        shown = named([path.relative_to(root).as_posix() for path in found])
        raw.reject(name, 1, "filename", "one picture is meant by the file's name and its <filename>", shown)
        return
    if found:
        picture.path = found[0]
        if (other := claimed.setdefault(found[0], name)) != name:
            raw.reject(name, 1, "filename", "no other annotation file describes the same picture", f"{other} does")
            return
    else:
        picture.missing = pictures.missing(stated or f"{key}.jpg", [root])
    for row, entry in enumerate(tree.iter("object"), 1):
        label = (entry.findtext("name") or "").strip()
        if not label:
            raw.reject(name, row, "name", "an object has a class name", "nothing", picture)
            continue
        picture.boxes.append(Box(label, _edges(entry.find("bndbox")), name, row))
    raw.pictures.append(picture)


def _pictures(root: Path, file: Path, key: str, stated: str, pictures: Names) -> list[Path]:
    """The picture of an annotation file; several where its name and its <filename> mean different ones."""
    own = [path for path in pictures.called(key.rpartition("/")[2]) if _same_place(path, file, root, key)]
    own = own or (pictures.stemmed(key) if len(pictures.stemmed(key)) == 1 else [])
    told = plain(stated)
    named_so = (pictures.named(told) or pictures.named(told.rpartition("/")[2])) if told else []  # of another machine
    if len(own) > 1:  # 1.jpg and 1.png
        own = [path for path in own if path in named_so] or own
    if own:
        # The stem says one picture, <filename> another that is there, too: one of them is wrong.
        last = told.rpartition("/")[2]
        others = [path for path in named_so if path.parent == own[0].parent and path not in own]
        return own if stem(last) == own[0].stem or not others else [*own, *others]
    folder = key.rpartition("/")[0]
    near = [path for path in named_so if path.parent.relative_to(root).as_posix().endswith(folder)]
    return near or named_so


def _same_place(path: Path, file: Path, root: Path, key: str) -> bool:
    """Whether a picture lies beside its annotation, or as deep in its own folder as that one in its."""
    parts = path.relative_to(root).with_suffix("").parts
    mine = "/".join(part for i, part in enumerate(parts) if i + 1 == len(parts) or part.lower() not in PICTURES)
    return mine == key or path.parent == file.parent


def _refuse_empty(raw: Raw, files: list[Path], root: Path) -> None:
    """Raises: SourceError where no picture has an object, and none was rejected for one."""
    if not raw.pictures or any(picture.boxes or picture.unread for picture in raw.pictures):
        return
    tree = parse(files[0])
    children = Counter(child.tag for child in tree)
    raise SourceError(
        f"none of {len(files)} annotation files has an <object>; {files[0].relative_to(root).as_posix()} is "
        f"<{tree.tag}> with {', '.join(f'<{tag}>' for tag in list(children)[:12]) or 'nothing'}. Expected <annotation> "
        "with <object>, each with <name> and <bndbox>: export the annotations again"
    )


def _size(size: Element) -> tuple[Any, Any] | None:
    return sides(size.findtext("width"), size.findtext("height"))


def _edges(box: Element | None) -> list[Any]:
    """Edges -> x, y, width, height; text that is no number stays as it is, for the message."""
    if box is None:
        return [None] * 4
    left, top, right, bottom = (_number(box, field) for field in ("xmin", "ymin", "xmax", "ymax"))
    if not all(isinstance(value, float) for value in (left, top, right, bottom)):
        return [left, top, right, bottom]
    return [left, top, right - left, bottom - top]


def _number(element: Element, field: str) -> Any:
    return number((element.findtext(field) or "").strip() or None)
