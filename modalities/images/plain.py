"""A canonical dataset of images in plain form: files, as other programs and `prepare` read them.

    coco      images/, annotations/instances_train.json, ...: all that the dataset holds
    voc       JPEGImages/, Annotations/*.xml, ImageSets/Main/train.txt, ...: boxes, but for crowds
    folders   train/daisy/1.jpg: pictures of one label each

What a form cannot hold is refused, so that the way back, as `data.source`, gives the same pictures, splits and labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from core.errors import DataError
from core.files import read_json, write_json, write_text
from modalities.images.inputs import shards
from modalities.splits import SPLITS

Content = dict[str, Any]


def export(dataset: Path, folder: Path, form: str) -> int:
    """Write the dataset into the new folder `folder`; returns how many pictures.

    form: one of `FORMS`. Raises: DataError for what the form cannot hold.
    """
    contents = {split: read_json(dataset / f"{split}.json") for split in SPLITS if (dataset / f"{split}.json").exists()}
    return sum(FORMS[form](dataset, folder, split, content) for split, content in contents.items())


def _coco(dataset: Path, folder: Path, split: str, content: Content) -> int:
    for image, _ in _pictures(content):
        _write(dataset, image, folder / "images" / image["file_name"])
    plain = [{key: value for key, value in image.items() if key not in shards.PLACE} for image in content["images"]]
    write_json(folder / "annotations" / f"instances_{split}.json", content | {"images": plain})
    return len(plain)


def _voc(dataset: Path, folder: Path, split: str, content: Content) -> int:
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    listed = []
    for image, own in _pictures(content):
        name = Path(image["file_name"]).with_suffix("").as_posix()
        file = folder / "Annotations" / f"{name}.xml"
        if file.exists():
            raise DataError(
                f"{image['file_name']}: two pictures have this name without its ending, VOC takes one; use coco"
            )
        root = Element("annotation")
        SubElement(root, "filename").text = image["file_name"]
        size = SubElement(root, "size")
        for side in ("width", "height"):
            SubElement(size, side).text = str(image[side])
        for entry in own:
            if "bbox" not in entry or entry.get("iscrowd") or "stated" in entry:
                raise DataError(
                    f"{image['file_name']}: annotation {entry['id']} is no plain box, VOC has no other; use coco"
                )
            x, y, width, height = entry["bbox"]
            found = SubElement(root, "object")
            SubElement(found, "name").text = names[entry["category_id"]]
            box = SubElement(found, "bndbox")
            for edge, value in zip(("xmin", "ymin", "xmax", "ymax"), (x, y, x + width, y + height), strict=True):
                SubElement(box, edge).text = repr(value)
        file.parent.mkdir(parents=True, exist_ok=True)
        indent(root)
        ElementTree(root).write(file, encoding="utf-8")
        _write(dataset, image, folder / "JPEGImages" / image["file_name"])
        listed.append(name)
    write_text(folder / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{name}\n" for name in listed))
    return len(listed)


def _folders(dataset: Path, folder: Path, split: str, content: Content) -> int:
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    for image, own in _pictures(content):
        labels = [names[entry["category_id"]] for entry in own if "bbox" not in entry]
        if len(labels) != 1 or len(own) > 1:
            raise DataError(f"{image['file_name']}: it has {len(own)} annotations, a folder holds one label; use coco")
        if "/" in labels[0] or labels[0].startswith("."):
            raise DataError(f"class {labels[0]!r} can be no folder's name; use coco")
        _write(dataset, image, folder / split / labels[0] / image["file_name"])
    return len(content["images"])


def _pictures(content: Content) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each entry with its annotations."""
    own: dict[Any, list[dict[str, Any]]] = {image["id"]: [] for image in content["images"]}
    for entry in content["annotations"]:
        own[entry["image_id"]].append(entry)
    for image in content["images"]:
        yield image, own[image["id"]]


def _write(dataset: Path, image: dict[str, Any], path: Path) -> None:
    """A picture that the source lacked stays without a file."""
    picture = shards.source(dataset, image)
    if picture.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.read_bytes())


FORMS: dict[str, Callable[[Path, Path, str, Content], int]] = {"coco": _coco, "voc": _voc, "folders": _folders}
