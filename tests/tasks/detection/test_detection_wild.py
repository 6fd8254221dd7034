"""Data sets as people have them: layouts, names, encodings and left-overs of other programs."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detection_raw import coco, picture, save, settings, splits
from PIL import Image

from core.errors import SourceError
from core.files import read_jsonl
from tasks.detection import checks
from tasks.detection.prepare import prepare

COUNT = 10
OBJECT = (
    "<object><name>{label}</name><bndbox><xmin>5</xmin><ymin>6</ymin><xmax>25</xmax><ymax>30</ymax></bndbox></object>"
)


def read(source: Path, out: Path, **changes: Any) -> tuple[dict[str, Any], dict[str, list[list[float]]]]:
    """The summary, and the boxes of each image by the name that the source gives it."""
    summary = prepare(source, out, settings(**changes), 7)
    boxes: dict[str, list[list[float]]] = {}
    for part in splits(out).values():
        names = {image["id"]: image["file_name"] for image in part["images"]}
        boxes |= {name: [] for name in names.values()}
        for entry in part["annotations"]:
            boxes[names[entry["image_id"]]].append(entry["bbox"])
    return summary, boxes


def xml(name: str, body: str | None = None, size: str = "<size><width>64</width><height>48</height></size>") -> str:
    body = OBJECT.format(label="cup") if body is None else body
    return f"<annotation><filename>{name}</filename>{size}{body}</annotation>"


def voc(root: Path, images: str = "JPEGImages", labels: str = "Annotations", count: int = COUNT) -> None:
    for folder in (images, labels):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture(number).save(root / images / f"{number:02d}.png")
        (root / labels / f"{number:02d}.xml").write_text(xml(f"{number:02d}.png"))


def yolo(root: Path, head: str = "names: [cup, key]", line: str = "{label} 0.5 0.5 0.25 0.5", count: int = 4) -> None:
    for index, split in enumerate(("train", "val", "test")):
        for folder in ("images", "labels"):
            (root / folder / split).mkdir(parents=True)
        for number in range(count):
            picture(10 * index + number).save(root / "images" / split / f"{split}{number}.png")
            text = line.format(label=number % 2) + "\n"
            (root / "labels" / split / f"{split}{number}.txt").write_text(text)
    data = "train: images/train\nval: images/val\ntest: images/test\n"
    (root / "data.yaml").write_text(data + head + "\n")


def noted(summary: dict[str, Any], words: str) -> bool:
    return any(words in note for note in summary["notes"])


# Nothing is left out in silence.


@pytest.mark.parametrize("stray", ["._train0.png", ".ipynb_checkpoints/train0.png", "@eaDir/train0.png", "train0.png~"])
def test_what_programs_leave_behind_is_no_background_and_is_told(tmp_path: Path, stray: str) -> None:
    yolo(tmp_path / "raw")
    file = tmp_path / "raw/images/train" / stray
    file.parent.mkdir(exist_ok=True)
    picture(99).save(file, format="PNG")
    summary, boxes = read(tmp_path / "raw", tmp_path / "out")
    assert len(boxes) == 12 and all(boxes.values())
    assert noted(summary, "1 hidden or temporary files left out")


def test_pictures_without_labels_and_labels_without_pictures_are_told(tmp_path: Path) -> None:
    yolo(tmp_path / "raw")
    (tmp_path / "raw/labels/train/train0.txt").unlink()
    (tmp_path / "raw/labels/train/gone.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "raw/images/train/phone.HEIC").write_bytes(b"x")
    picture(70).save(tmp_path / "raw/elsewhere.png")
    summary, _ = read(tmp_path / "raw", tmp_path / "out")
    assert noted(summary, "e.g. images/train/train0.png (looked for labels/train/train0.txt)")
    assert noted(summary, "1 label files without a picture left out, e.g. labels/train/gone.txt")
    assert noted(summary, "1 pictures or films of a kind that is not read left out, e.g. images/train/phone.HEIC")
    assert noted(summary, "1 pictures that no split names left out, e.g. elsewhere.png")


@pytest.mark.parametrize("kind", ["yolo", "voc"])
def test_an_image_of_which_no_label_could_be_read_is_no_background(tmp_path: Path, kind: str) -> None:
    if kind == "yolo":
        yolo(tmp_path / "raw")
        (tmp_path / "raw/labels/train/train0.txt").write_text("cup 0.5 0.5 0.2 0.2\n")
    else:
        voc(tmp_path / "raw")
        body = OBJECT.format(label="cup").replace("<name>cup</name>", "")
        (tmp_path / "raw/Annotations/00.xml").write_text(xml("00.png", body))
    params = settings()
    prepare(tmp_path / "raw", tmp_path / "out", params, 7)
    checks.clean(tmp_path / "out", {}, tmp_path / "clean", params)
    kept = [image for part in splits(tmp_path / "clean").values() for image in part["images"]]
    assert len(kept) == (11 if kind == "yolo" else COUNT - 1)
    assert len(read_jsonl(tmp_path / "out/rejected.jsonl")) == 1


# No guess that changes meaning.


def test_key_points_are_no_polygon(tmp_path: Path) -> None:
    line = "{label} 0.5 0.5 0.25 0.5 0.45 0.4 0.55 0.6"
    yolo(tmp_path / "declared", "names: [cup, key]\nkpt_shape: [2, 2]", line)
    _, boxes = read(tmp_path / "declared", tmp_path / "out")
    assert all(box == [[24, 12, 16, 24]] for box in boxes.values())
    yolo(tmp_path / "silent", line=line)
    with pytest.raises(SourceError, match=r"kpt_shape: \[2, 2\]"):
        read(tmp_path / "silent", tmp_path / "out2")


def test_corners_of_turned_boxes_stay_polygons(tmp_path: Path) -> None:
    yolo(tmp_path / "raw", line="{label} 0.5 0.25 0.625 0.5 0.5 0.75 0.375 0.5")
    _, boxes = read(tmp_path / "raw", tmp_path / "out")
    assert all(box == [[24, 12, 16, 24]] for box in boxes.values())


@pytest.mark.parametrize(
    ("names", "expected"),
    [("[on, off]", ["on", "off"]), ("[010, 12:30]", ["010", "12:30"]), ("{0: NO, 1: ~}", ["NO", "~"])],
)
def test_names_are_what_stands_in_the_file(tmp_path: Path, names: str, expected: list[str]) -> None:
    yolo(tmp_path / "raw", f"names: {names}")
    assert read(tmp_path / "raw", tmp_path / "out")[0]["classes"] == expected


def test_an_empty_name_is_refused(tmp_path: Path) -> None:
    yolo(tmp_path / "raw", "names:\n - cup\n -")
    with pytest.raises(SourceError, match="class 1 has an empty name"):
        read(tmp_path / "raw", tmp_path / "out")


def test_names_without_a_box_are_no_classes_and_classes_are_a_selection(tmp_path: Path) -> None:
    yolo(tmp_path / "raw", "names: [cup, key, pen, hat]")
    summary, _ = read(tmp_path / "raw", tmp_path / "out")
    assert summary["classes"] == ["cup", "key"] and noted(summary, "2 classes without a box left out: pen, hat")
    summary, boxes = read(tmp_path / "raw", tmp_path / "out2", data={"classes": ["cup"]})
    assert summary["classes"] == ["cup"] and sum(map(len, boxes.values())) == 6
    assert noted(summary, "6 boxes of classes that data.classes does not list left out: key (6)")


def test_boxes_are_never_put_on_another_picture(tmp_path: Path) -> None:
    """The file's name says one picture and <filename> another; two images of one name, flattened to one file."""
    voc(tmp_path / "voc")
    (tmp_path / "voc/Annotations/00.xml").write_text(xml("01.png"))
    read(tmp_path / "voc", tmp_path / "out")
    (row,) = read_jsonl(tmp_path / "out/rejected.jsonl")
    assert row["file"] == "Annotations/00.xml" and "00.png" in row["found"] and "01.png" in row["found"]

    content = coco(tmp_path / "coco")
    content["images"][0]["file_name"], content["images"][1]["file_name"] = "a/003.png", "b/003.png"
    save(tmp_path / "coco", content)
    prepare(tmp_path / "coco", tmp_path / "out2", settings(), 7)
    images = [image for part in splits(tmp_path / "out2").values() for image in part["images"]]
    assert {image["source_row"] for image in images if "missing" in image} == {1, 2}


def change_ids(content: dict[str, Any]) -> None:
    for entry in content["annotations"]:
        entry["image_id"], entry["category_id"] = float(entry["image_id"]), str(entry["category_id"])
        entry["bbox"] = [str(value) for value in entry["bbox"]]
    for entry in content["images"]:
        entry["width"], entry["height"] = "64", "48.0"


def test_numbers_of_json_may_be_floats_or_text(tmp_path: Path) -> None:
    content = coco(tmp_path / "raw")
    change_ids(content)
    save(tmp_path / "raw", content)
    _, boxes = read(tmp_path / "raw", tmp_path / "out")
    assert all(box == [[8, 8, 20, 16]] for box in boxes.values())
    content["annotations"][2]["category_id"] = "x"
    save(tmp_path / "raw", content)
    with pytest.raises(SourceError, match=r"unknown class id the text 'x'.*the number 3, the number 9"):
        read(tmp_path / "raw", tmp_path / "out2")


def test_other_json_beside_the_annotations_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "raw/annotations").mkdir(parents=True)
    content = coco(tmp_path / "raw")
    (tmp_path / "raw/annotations/train.json").write_text(json.dumps(content))
    (tmp_path / "raw/annotations/classes.json").write_text('{"1": "cat"}')
    summary, boxes = read(tmp_path / "raw", tmp_path / "out")
    assert len(boxes) == 12 and noted(summary, "annotations/classes.json")


@pytest.mark.parametrize("how", ["case", "ending", "form"])
def test_a_missing_file_is_named_with_what_is_there(tmp_path: Path, how: str) -> None:
    content = coco(tmp_path / "raw")
    there = {"case": "001.png", "ending": "001.png", "form": unicodedata.normalize("NFD", "Küche.png")}[how]
    (tmp_path / "raw/images/001.png").rename(tmp_path / "raw/images" / there)
    stated = {"case": "001.PNG", "ending": "001.jpg", "form": "Küche.png"}[how]
    content["images"][0]["file_name"] = stated
    save(tmp_path / "raw", content)
    params = settings()
    prepare(tmp_path / "raw", tmp_path / "out", params, 7)
    table = checks.tables(tmp_path / "out", params)["images"]
    (found,) = table[table["content"].str.startswith("missing")]["content"]
    assert found.startswith(f"missing file: {stated} (looked in ") and f"there is images/{there}" in found
    assert ("decomposed" in found) == (how == "form")


# Layouts in the wild.


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("jpegimages", "annotations"),
        ("images", "annotations"),
        (".", "."),
        ("JPEGImages/site2", "Annotations/site2"),
        ("all", "all"),
    ],
)
def test_voc_layouts(tmp_path: Path, images: str, labels: str) -> None:
    voc(tmp_path / "raw", images, labels)
    summary, boxes = read(tmp_path / "raw", tmp_path / "out")
    assert summary["format"] == "voc" and len(boxes) == COUNT
    assert all(box == [[5, 6, 20, 24]] for box in boxes.values())


def test_voc_in_folders_of_splits(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "valid", "test")):
        voc(tmp_path / "raw", split, split, count=3)
        for index in range(3):
            picture(10 * number + index).save(tmp_path / "raw" / split / f"{index:02d}.png")
    assert read(tmp_path / "raw", tmp_path / "out")[0]["images"] == {"train": 3, "val": 3, "test": 3}


@pytest.mark.parametrize("stated", ["{name}.png", "C:\\set\\{name}.png", "/home/me/{name}.png"])
def test_voc_pictures_by_filename_and_equal_names_in_two_splits(tmp_path: Path, stated: str) -> None:
    """Each split has its own JPEGImages/ and Annotations/, and names that the other has, too."""
    for number, split in enumerate(("train", "test")):
        voc(tmp_path / "raw", f"{split}/JPEGImages", f"{split}/Annotations", 8)
        for index in range(8):
            picture(20 * number + index).save(tmp_path / f"raw/{split}/JPEGImages/{index:02d}.png")
    assert read(tmp_path / "raw", tmp_path / "out")[0]["images"] == {"train": 7, "val": 1, "test": 8}
    voc(tmp_path / "named")
    for index in range(COUNT):
        name = f"photo{index}"
        (tmp_path / f"named/JPEGImages/{index:02d}.png").rename(tmp_path / f"named/JPEGImages/{name}.png")
        (tmp_path / f"named/Annotations/{index:02d}.xml").write_text(xml(stated.format(name=name)))
    assert all(read(tmp_path / "named", tmp_path / "out2")[1].values())


def test_voc_subfolders_with_equal_names_keep_their_own_boxes(tmp_path: Path) -> None:
    voc(tmp_path / "raw", "JPEGImages", "Annotations", 6)
    voc(tmp_path / "raw", "JPEGImages/b", "Annotations/b", 6)
    for number in range(6):
        picture(50 + number).save(tmp_path / f"raw/JPEGImages/b/{number:02d}.png")
        (tmp_path / f"raw/Annotations/b/{number:02d}.xml").write_text(xml("x", OBJECT.format(label="key")))
    read(tmp_path / "raw", tmp_path / "out")
    for part in splits(tmp_path / "out").values():
        files = {image["id"]: (tmp_path / "out/images" / image["file_name"]).read_bytes() for image in part["images"]}
        labels = {entry["id"]: entry["name"] for entry in part["categories"]}
        for entry in part["annotations"]:
            folder = "b/" if labels[entry["category_id"]] == "key" else ""
            name = Path(entry["source_file"]).stem
            assert files[entry["image_id"]] == (tmp_path / f"raw/JPEGImages/{folder}{name}.png").read_bytes()


def test_voc_lists_may_have_endings_and_paths(tmp_path: Path) -> None:
    voc(tmp_path / "raw")
    (tmp_path / "raw/ImageSets/Main").mkdir(parents=True)
    (tmp_path / "raw/ImageSets/Main/train.txt").write_text("\n".join(f"{n:02d}.png" for n in range(6)))
    (tmp_path / "raw/ImageSets/Main/val.txt").write_text("JPEGImages/06.png\n07 1\n")
    (tmp_path / "raw/ImageSets/Main/test.txt").write_text("08.xml\n")
    summary, _ = read(tmp_path / "raw", tmp_path / "out")
    assert summary["images"] == {"train": 6, "val": 2, "test": 1}
    assert noted(summary, "1 annotated images stand in no list of ImageSets/Main and are left out, e.g. 09")


@pytest.mark.parametrize(
    "size", ["<size><width>0</width><height>0</height></size>", "<size><width/><height/></size>", ""]
)
def test_a_size_that_is_not_stated_is_measured(tmp_path: Path, size: str) -> None:
    voc(tmp_path / "raw")
    (tmp_path / "raw/Annotations/00.xml").write_text(xml("00.png", size=size))
    read(tmp_path / "raw", tmp_path / "out")
    sizes = {(i["width"], i["height"]) for part in splits(tmp_path / "out").values() for i in part["images"]}
    assert sizes == {(64, 48)}


@pytest.mark.parametrize(("declared", "encoding"), [("utf8", "utf-8"), ("GBK", "gbk"), ("UTF-16", "utf-16")])
def test_xml_is_read_in_the_encoding_that_it_declares(tmp_path: Path, declared: str, encoding: str) -> None:
    voc(tmp_path / "raw")
    for file in (tmp_path / "raw/Annotations").iterdir():
        text = f'<?xml version="1.0" encoding="{declared}"?>' + xml(file.stem, OBJECT.format(label="茶杯"))
        file.write_bytes(text.encode(encoding))
    summary, boxes = read(tmp_path / "raw", tmp_path / "out")
    assert summary["classes"] == ["茶杯"] and all(boxes.values())


def test_an_unknown_encoding_of_xml_is_one_bad_row(tmp_path: Path) -> None:
    voc(tmp_path / "raw")
    (tmp_path / "raw/Annotations/00.xml").write_text('<?xml version="1.0" encoding="unicode"?>' + xml("00.png"))
    read(tmp_path / "raw", tmp_path / "out")
    (row,) = read_jsonl(tmp_path / "out/rejected.jsonl")
    assert "unknown encoding: unicode" in row["found"]


@pytest.mark.parametrize("wrap", ["namespace", "deeper"])
def test_objects_are_found_in_a_namespace_and_deeper(tmp_path: Path, wrap: str) -> None:
    voc(tmp_path / "raw")
    for file in (tmp_path / "raw/Annotations").iterdir():
        text = file.read_text()
        new = text.replace("<annotation>", '<annotation xmlns="http://a.b">')
        deeper = text.replace("<object>", "<objects><object>").replace("</object>", "</object></objects>")
        file.write_text(new if wrap == "namespace" else deeper)
    assert all(read(tmp_path / "raw", tmp_path / "out")[1].values())


def test_voc_without_any_object_is_refused(tmp_path: Path) -> None:
    voc(tmp_path / "raw")
    for file in (tmp_path / "raw/Annotations").iterdir():
        file.write_text(xml(file.stem, "<item><name>cup</name></item>"))
    with pytest.raises(SourceError, match=r"none of 10 annotation files has an <object>.*<item>"):
        read(tmp_path / "raw", tmp_path / "out")


@pytest.mark.parametrize("path", ["../raw", "ABSOLUTE", "."])
def test_yolo_path_of_data_yaml(tmp_path: Path, path: str) -> None:
    yolo(tmp_path / "raw")
    file = tmp_path / "raw/data.yaml"
    file.write_text(f"path: {path.replace('ABSOLUTE', str(tmp_path / 'raw'))}\n" + file.read_text())
    assert len(read(tmp_path / "raw", tmp_path / "out")[1]) == 12


def test_yolo_data_yaml_in_a_folder_of_its_own(tmp_path: Path) -> None:
    yolo(tmp_path / "raw")
    (tmp_path / "raw/config").mkdir()
    text = (tmp_path / "raw/data.yaml").read_text()
    (tmp_path / "raw/data.yaml").unlink()
    (tmp_path / "raw/config/data.yaml").write_text("path: ..\n" + text)
    assert len(read(tmp_path / "raw", tmp_path / "out")[1]) == 12


@pytest.mark.parametrize("start", ["", "./", "C:\\Users\\me\\", "/content/"])
def test_yolo_paths_of_windows_and_of_another_machine(tmp_path: Path, start: str) -> None:
    yolo(tmp_path / "raw")
    lines = "".join(f"{start}images\\train\\train{n}.png\n" for n in range(4)).replace("./", ".\\")
    (tmp_path / "raw/train.txt").write_text(lines)
    text = (tmp_path / "raw/data.yaml").read_text().replace("train: images/train", "train: train.txt")
    (tmp_path / "raw/data.yaml").write_text(text.replace("val: images/val", f"val: {start}images\\val"))
    summary, boxes = read(tmp_path / "raw", tmp_path / "out")
    assert len(boxes) == 12 and all(boxes.values())
    assert noted(summary, "of another machine") == (start not in ("", "./"))


def test_yolo_labels_with_a_mark_float_classes_and_endings_in_capitals(tmp_path: Path) -> None:
    yolo(tmp_path / "raw", line="{label}.0 0.5 0.5 0.25 0.5")
    for file in (tmp_path / "raw/labels/train").iterdir():
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
        file.rename(file.with_suffix(".TXT"))
    _, boxes = read(tmp_path / "raw", tmp_path / "out")
    assert all(box == [[24, 12, 16, 24]] for box in boxes.values())


def test_yolo_whose_val_is_its_train_has_no_split(tmp_path: Path) -> None:
    """As coco128.yaml has it."""
    yolo(tmp_path / "raw", count=12)
    file = tmp_path / "raw/data.yaml"
    file.write_text("train: images/train\nval: images/train\nnames: [cup, key]\n")
    summary, _ = read(tmp_path / "raw", tmp_path / "out")
    assert sum(summary["images"].values()) == 12 and all(summary["images"].values())
    assert noted(summary, "val names the same as train")


def test_yolo_labels_of_powershell_are_utf16(tmp_path: Path) -> None:
    yolo(tmp_path / "raw")
    for file in (tmp_path / "raw/labels/train").iterdir():
        file.write_text(file.read_text(), encoding="utf-16")
    assert all(read(tmp_path / "raw", tmp_path / "out")[1].values())


def test_yolo_folders_say_the_split_where_nothing_else_does(tmp_path: Path) -> None:
    yolo(tmp_path / "raw")
    (tmp_path / "raw/data.yaml").unlink()
    (tmp_path / "raw/classes.txt").write_text("cup\nkey\n")
    assert read(tmp_path / "raw", tmp_path / "out")[0]["images"] == {"train": 4, "val": 4, "test": 4}


def test_an_archive_among_what_was_found_is_told(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/set.zip").write_bytes(b"x")
    with pytest.raises(SourceError, match=r"set\.zip is an archive: unpack it"):
        read(tmp_path / "raw", tmp_path / "out")


@pytest.mark.parametrize("name", ["x" * 5000 + ".png", "a\0b.png", "y" * 300 + "/a.png"])
def test_names_that_no_file_can_have_are_missing(tmp_path: Path, name: str) -> None:
    yolo(tmp_path / "yolo")
    (tmp_path / "yolo/list.txt").write_text(f"{name}\nimages/train/train1.png\nimages/train/train2.png\n")
    file = tmp_path / "yolo/data.yaml"
    file.write_text(file.read_text().replace("train: images/train", "train: list.txt"))
    assert read(tmp_path / "yolo", tmp_path / "out")[0]["images"]["train"] == 3
    content = coco(tmp_path / "coco")
    content["images"][0]["file_name"] = name
    save(tmp_path / "coco", content)
    assert sum(read(tmp_path / "coco", tmp_path / "out2")[0]["images"].values()) == 12


def test_a_number_of_thousands_of_digits_is_no_json(tmp_path: Path) -> None:
    coco(tmp_path / "raw")
    (tmp_path / "raw/data.json").write_text(f'{{"images": [{"9" * 5000}], "annotations": [], "categories": []}}')
    with pytest.raises(SourceError, match=r"data\.json: no valid JSON"):
        read(tmp_path / "raw", tmp_path / "out")


@pytest.mark.parametrize("beside", [True, False])
def test_yolo_with_classes_txt_alone(tmp_path: Path, beside: bool) -> None:
    root = tmp_path / "raw"
    for folder in ("images", "labels"):
        (root / ("" if beside else folder)).mkdir(parents=True, exist_ok=True)
    for number in range(COUNT):
        picture(number).save(root / ("" if beside else "images") / f"{number}.png")
        (root / ("" if beside else "labels") / f"{number}.txt").write_text("1 0.5 0.5 0.25 0.5\n")
    (root / "classes.txt").write_text("cup\nkey\n")
    summary, boxes = read(root, tmp_path / "out")
    assert summary["classes"] == ["key"] and len(boxes) == COUNT and all(boxes.values())


def test_yolo_of_darknet_as_cvat_exports_it(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    (root / "obj_train_data").mkdir(parents=True)
    for number in range(COUNT):
        picture(number).save(root / f"obj_train_data/{number}.png")
        (root / f"obj_train_data/{number}.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    (root / "obj.names").write_text("cup\nkey\n")
    (root / "obj.data").write_text("classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")
    (root / "train.txt").write_text("".join(f"data/obj_train_data/{n}.png\n" for n in range(COUNT)))
    summary, boxes = read(root, tmp_path / "out")
    assert summary["classes"] == ["cup"] and len(boxes) == COUNT and all(boxes.values())


@pytest.mark.parametrize("kind", ["yolo", "voc"])
def test_folders_that_are_links_are_read(tmp_path: Path, kind: str) -> None:
    (yolo if kind == "yolo" else voc)(tmp_path / "disk")
    (tmp_path / "raw").mkdir()
    for entry in (tmp_path / "disk").iterdir():
        (tmp_path / "raw" / entry.name).symlink_to(entry)
    _, boxes = read(tmp_path / "raw", tmp_path / "out")
    assert len(boxes) == (12 if kind == "yolo" else COUNT) and all(boxes.values())


def test_a_single_file_describes_its_data_set(tmp_path: Path) -> None:
    save(tmp_path / "coco", coco(tmp_path / "coco"))
    assert len(read(tmp_path / "coco/data.json", tmp_path / "out")[1]) == 12
    yolo(tmp_path / "yolo")
    assert len(read(tmp_path / "yolo/data.yaml", tmp_path / "out2")[1]) == 12


# What must be refused, and pixels of more than 8 bits.


def test_a_split_or_a_set_without_a_box_is_refused(tmp_path: Path) -> None:
    yolo(tmp_path / "raw")
    for file in (tmp_path / "raw/labels/val").iterdir():
        file.unlink()
    prepare(tmp_path / "raw", tmp_path / "out", settings(), 7)
    (problem,) = checks.refuse(tmp_path / "out", settings())
    assert problem.startswith("the split 'val' has 4 images and no box")
    for part in splits(tmp_path / "out").values():
        part["annotations"].clear()
    for split in ("train", "test"):
        content = json.loads((tmp_path / f"out/{split}.json").read_text()) | {"annotations": []}
        (tmp_path / f"out/{split}.json").write_text(json.dumps(content))
    (problem,) = checks.refuse(tmp_path / "out", settings())
    assert problem.startswith("no image of the whole data set has a box")


@pytest.mark.parametrize(
    ("pixels", "white"),
    [
        (np.full((48, 64), 0.5, np.float32), "0 to 1"),
        (np.full((48, 64), 127.5, np.float32), "0 to 255"),
        (np.full((48, 64), 2048, np.uint16), "0 to 4095"),
        (np.full((48, 64), 32768, np.uint16), "0 to 65535"),
    ],
)
def test_deep_pictures_are_scaled_by_rule_as_the_server_does(tmp_path: Path, pixels: Any, white: str) -> None:
    from modalities.images.inputs.decode import decode

    content = coco(tmp_path / "raw")
    Image.fromarray(pixels).save(tmp_path / "raw/images/001.tif")
    content["images"][0]["file_name"] = "001.tif"
    save(tmp_path / "raw", content)
    summary, _ = read(tmp_path / "raw", tmp_path / "out")
    values = set(np.unique(decode(tmp_path / "out/images/001.png")))
    assert values == set(np.unique(decode(tmp_path / "raw/images/001.tif"))) and values <= {127, 128}
    assert noted(summary, f"1 images of more than 8 bits: {white} became black to white")
