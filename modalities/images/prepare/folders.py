"""A folder for each class: `daisy/*.jpg`, `tulip/*.jpg`, with train/, val/ and test/ around them or without.

What lies deeper in a class's folder is of that class. Hidden files (`.DS_Store`, `._picture.jpg`), files that are no
pictures and pictures in no class's folder are left out and told. The row of a picture is 1.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from core.errors import SourceError
from core.walk import is_hidden, listing
from modalities.images.prepare.raw import SUFFIXES, Box, Picture, Raw, inside, known_class, named
from modalities.splits import split_of

NEEDS = "folders: a folder of pictures for each class, at least two, in train/, val/, test/ or without these"


def find(root: Path) -> list[Path]:
    """The folders of classes, all of splits or all at the top; empty: this is no such data set."""
    pictures = [path for path in listing(root).files if path.suffix.lower() in SUFFIXES]
    holding = {path.parent for path in pictures}
    around = {folder for folders in holding for folder in (folders, *folders.parents)}
    tops = _folders(root)
    splits = [top for top in tops if split_of(top.name) and top not in holding]
    classes = [folder for top in splits for folder in _folders(top) if folder in around]
    if not classes:
        classes = [top for top in tops if top in holding]
        if all(split_of(folder.name) for folder in classes):  # pictures of splits, of which something else tells more
            return []
    return classes if len({folder.name for folder in classes}) > 1 else []


def read(root: Path, files: list[Path], classes: list[str] | None, trusted: bool) -> Raw:
    """Every picture of the folders `files`. Raises: SourceError for a folder that is none of `classes`."""
    raw = Raw(classes=classes or sorted({folder.name for folder in files}))
    owners = {folder: split_of(folder.parent.name) if folder.parent != root else None for folder in files}
    if "trainval" in owners.values():
        raise SourceError(f"{root}: a folder joins train and val; name the folders of the splits train, val and test")
    left: dict[str, list[str]] = defaultdict(list)
    here = listing(root)
    left["hidden files"] = [here.name(path) for path in here.hidden]
    for path in here.files:
        name = here.name(path)
        folder = next((parent for parent in path.parents if parent in owners), None)
        if path.suffix.lower() not in SUFFIXES:
            left["files that are no pictures"].append(name)
        elif folder is None:
            left["pictures in no class's folder"].append(name)
        elif not inside(path, root, trusted):
            left["links that lead out of the data set"].append(name)
        else:
            label = folder.name
            known_class(label, raw.classes, f"{folder.relative_to(root).as_posix()}/: folder")
            raw.pictures.append(Picture(path, name, None, owners[folder], name, 1, [Box(label, None, name, 1)]))
    raw.notes += [f"{len(names)} {what} left out, e.g. {named(names)}" for what, names in left.items() if names]
    return raw


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not is_hidden(path.name))
