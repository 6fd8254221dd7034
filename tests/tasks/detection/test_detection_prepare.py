"""Readers of COCO, VOC and YOLO on small real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detection_raw import coco, picture, save, settings, splits
from PIL import Image

from core.errors import SourceError
from core.files import read_jsonl
from modalities.images.inputs.decode import decode
from modalities.images.prepare.upright import turn
from modalities.splits import assign
from tasks.detection.prepare import prepare

VOC = """<annotation><filename>{name}.jpg</filename><size><width>64</width><height>48</height></size>
<object><name>{label}</name><bndbox><xmin>5</xmin><ymin>6</ymin><xmax>25</xmax><ymax>{bottom}</ymax></bndbox></object>
</annotation>"""


def run(source: Path, out: Path, **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    summary = prepare(source, out, settings(**changes), 7)
    return summary, splits(out)


def voc(folder: Path, sets: dict[str, list[int]]) -> None:
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / part).mkdir(parents=True)
    for number in sorted({n for members in sets.values() for n in members}):
        picture(number).save(folder / "JPEGImages" / f"{number}.jpg")
        text = VOC.format(name=number, label="ab"[number % 2], bottom=30)
        (folder / "Annotations" / f"{number}.xml").write_text(text)
    for name, members in sets.items():
        (folder / "ImageSets/Main" / f"{name}.txt").write_text("\n".join(map(str, members)))


def test_coco_one_file_is_split_by_seed_and_nothing_is_lost(tmp_path: Path) -> None:
    content = coco(tmp_path / "raw")
    save(tmp_path / "raw", content)
    summary, parts = run(tmp_path / "raw", tmp_path / "out")
    assert summary["images"] == {"train": 8, "val": 2, "test": 2}
    assert parts["train"]["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    ids = [image["id"] for part in parts.values() for image in part["images"]]
    assert sorted(ids) == list(range(1, 13))
    first = parts["train"]["images"][0]
    assert (tmp_path / "out/images" / first["file_name"]).read_bytes() == (
        tmp_path / "raw/images" / first["file_name"]
    ).read_bytes()


@pytest.mark.parametrize("style", ["official", "roboflow"])
def test_coco_layouts_with_splits_in_a_nested_folder(tmp_path: Path, style: str) -> None:
    root = tmp_path / "raw" / "unpacked"
    for number, split in enumerate(("train", "valid" if style == "roboflow" else "val", "test")):
        content = coco(tmp_path / split, 3)
        images = root / (split if style == "roboflow" else f"{split}2017")
        images.mkdir(parents=True)
        for image in content["images"]:
            picture(100 * number + image["id"]).save(images / image["file_name"])
        file = "_annotations.coco.json" if style == "roboflow" else f"../annotations/instances_{split}2017.json"
        (images / file).parent.mkdir(exist_ok=True)
        (images / file).resolve().write_text(json.dumps(content))
    summary, parts = run(tmp_path / "raw", tmp_path / "out")
    assert summary["images"] == {"train": 3, "val": 3, "test": 3}
    names = [image["file_name"] for part in parts.values() for image in part["images"]]
    assert len(set(names)) == 9 == len(list((tmp_path / "out/images").iterdir()))


def test_voc_val_becomes_test_and_trainval_is_no_split(tmp_path: Path) -> None:
    voc(tmp_path / "raw", {"train": [*range(14)], "val": [20, 21], "trainval": [*range(14), 20, 21]})
    summary, parts = run(tmp_path / "raw", tmp_path / "out")
    assert summary["images"] == {"train": 12, "val": 2, "test": 2}
    assert parts["test"]["annotations"][0]["bbox"] == [5, 6, 20, 24]
    assert parts["test"]["images"][0]["source_file"] == "Annotations/20.xml"


def test_yolo_folders_lists_and_polygons(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    for split in ("train", "val", "test"):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
        for number in range(2):
            picture(10 * len(split) + ord(split[2]) + number).save(root / "images" / split / f"{split}{number}.jpg")
    (root / "labels/train/train0.txt").write_text("1 0.5 0.5 0.25 0.5\n0 0.25 0.25 0.75 0.25 0.75 0.5\n0 0.5 0.5\n")
    (root / "list.txt").write_text("images/test/test0.jpg\nimages/test/gone.jpg\n")
    (root / "data.yaml").write_text("train: ../images/train\nval: images/val\ntest: list.txt\nnc: 2\nnames: [x, y]\n")
    summary, parts = run(root, tmp_path / "out")
    assert summary["images"] == {"train": 2, "val": 2, "test": 2}
    assert [a["bbox"] for a in parts["train"]["annotations"]] == [[24, 12, 16, 24], [16, 12, 32, 12]]
    assert read_jsonl(tmp_path / "out/rejected.jsonl")[0]["row"] == 3


def test_equal_images_stay_in_one_split(tmp_path: Path) -> None:
    content = coco(tmp_path / "raw", 20)
    for number in range(1, 20, 2):
        same = (tmp_path / f"raw/images/{number:03d}.png").read_bytes()
        (tmp_path / f"raw/images/{number + 1:03d}.png").write_bytes(same)
    save(tmp_path / "raw", content)
    _, parts = run(tmp_path / "raw", tmp_path / "out")
    place = {image["source_row"]: split for split, part in parts.items() for image in part["images"]}
    assert all(place[number] == place[number + 1] for number in range(1, 20, 2))
    assert set(place.values()) == {"train", "val", "test"}


def test_splits_leave_every_class_in_train() -> None:
    labels = [{"rare"}, *({"common"} for _ in range(9))]
    for seed in range(10):
        splits, _ = assign([None] * 10, [str(i) for i in range(10)], (0.2, 0.2), seed, labels)
        assert splits[0] == "train"


def test_unknown_format_names_what_is_there_and_what_is_needed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SourceError, match=r"found: notes.txt[\s\S]*coco: [\s\S]*voc: [\s\S]*yolo: "):
        prepare(tmp_path, tmp_path / "out", settings(), 7)


def test_unknown_class_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    """docs/faults.md 17."""
    save(tmp_path / "raw", coco(tmp_path / "raw"))
    with pytest.raises(SourceError, match=r"data.classes: unknown class 'dogs'; did you mean 'dog'"):
        run(tmp_path / "raw", tmp_path / "out", data={"classes": ["cat", "dogs"]})


def test_duplicate_image_id_is_refused(tmp_path: Path) -> None:
    """docs/faults.md 18."""
    content = coco(tmp_path / "raw")
    content["images"][4]["id"] = 1
    save(tmp_path / "raw", content)
    with pytest.raises(SourceError, match=r"data\.json: images, row 5, id: 1 stands twice"):
        run(tmp_path / "raw", tmp_path / "out")


@pytest.mark.parametrize("body", ['<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">', '<!ENTITY a SYSTEM "file:///etc/passwd">'])
def test_entities_are_refused(tmp_path: Path, body: str) -> None:
    """docs/faults.md 22, 23."""
    voc(tmp_path / "raw", {"train": [*range(10)]})
    file = tmp_path / "raw/Annotations/3.xml"
    file.write_text(f"<!DOCTYPE annotation [{body}]>" + file.read_text().replace("<name>b", "<name>&a;"))
    with pytest.raises(SourceError, match=r"Annotations/3\.xml: refused"):
        run(tmp_path / "raw", tmp_path / "out")


def test_bad_json_is_refused_with_its_offset(tmp_path: Path) -> None:
    """docs/faults.md 24."""
    content = json.dumps(coco(tmp_path / "raw"))
    (tmp_path / "raw/data.json").write_text(content[:-1])
    with pytest.raises(SourceError, match=f"data.json: no valid JSON at offset {len(content) - 1}"):
        run(tmp_path / "raw", tmp_path / "out")


@pytest.mark.parametrize("mode", ["CMYK", "P", "RGBA", "I;16", "1"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    """docs/faults.md 6, 7, 8."""
    content = coco(tmp_path / "raw")
    grey = np.full((48, 64), 257 * 200, np.uint16)
    image = Image.fromarray(grey) if mode == "I;16" else picture(1).convert(mode)
    name = "001.tiff"
    image.save(tmp_path / "raw/images" / name)
    content["images"][0]["file_name"] = name
    save(tmp_path / "raw", content)
    summary, _ = run(tmp_path / "raw", tmp_path / "out")
    assert summary["converted"] == {f"mode {mode}": 1}
    with Image.open(tmp_path / "out/images/001.png") as written:
        assert (written.mode, written.size) == ("RGB", (64, 48))
        if mode == "I;16":
            assert set(np.unique(np.asarray(written))) == {200}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("drawn", ["raw", "upright"])
def test_exif_rotation_reaches_the_boxes(tmp_path: Path, orientation: int, drawn: str) -> None:
    """docs/faults.md 9: the box frames the white patch after the rotation, whichever picture it was drawn on."""
    content = coco(tmp_path / "raw")
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[4:14, 6:26] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "raw/images/001.png", exif=exif)
    box: list[float] = [6, 4, 20, 10]
    swapped, same_size = orientation >= 5, orientation < 5
    if drawn == "upright" or same_size:
        box = turn(box, (64, 48), orientation)
        content["images"][0] |= {"width": 48, "height": 64} if swapped else {}
    content["annotations"][0]["bbox"] = box
    save(tmp_path / "raw", content)
    _, parts = run(tmp_path / "raw", tmp_path / "out")
    image = next(i for part in parts.values() for i in part["images"] if i["source_row"] == 1)
    found = next(a["bbox"] for part in parts.values() for a in part["annotations"] if a["image_id"] == image["id"])
    result = decode(tmp_path / "out/images" / image["file_name"])
    rows, columns = np.nonzero(result[..., 0])
    seen = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
    assert found == seen
    assert result.shape[:2] == (image["height"], image["width"])


def test_a_file_name_cannot_leave_the_source(tmp_path: Path) -> None:
    picture(5).save(tmp_path / "secret.png")
    content = coco(tmp_path / "raw")
    content["images"][0]["file_name"] = "../../secret.png"
    save(tmp_path / "raw", content)
    run(tmp_path / "raw", tmp_path / "out")
    assert not (tmp_path / "out/images/secret.png").exists()
