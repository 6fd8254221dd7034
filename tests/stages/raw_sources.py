"""Small valid raw data sets in every format that a task reads.

A source is a dictionary: path below its root -> bytes of a file, or `Link`, `PIPE`, `FOLDER`.
"""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 12, 10


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


PIPE, FOLDER = "a pipe", "a folder"
Entry = bytes | Link | str
Source = dict[str, Entry]


class Kind(NamedTuple):
    """A format of a task."""

    task: str
    format: str
    """As `data.format` names it."""
    make: Callable[[], Source]
    settings: Mapping[str, Any] = MappingProxyType({})
    """Of the section `data`."""


# Valid sources.


def picture(seed: int, ending: str = "png") -> bytes:
    """A photograph of noise, of a kind and mode that goes with its number."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
    options: dict[str, Any] = {}
    if ending == "png" and seed % 3 == 1:
        image = Image.fromarray(rng.integers(0, 4000, (HEIGHT, WIDTH)).astype(np.uint16))
    elif ending == "png" and seed % 3 == 2:
        image = image.quantize(8)
    elif ending == "jpg":
        turned = Image.Exif()
        turned[0x0112] = 1 + seed % 8
        options["exif"] = turned
    buffer = io.BytesIO()
    image.save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(ending, ending.upper()), **options)
    return buffer.getvalue()


ENDINGS = ("png", "jpg", "png", "bmp", "png", "gif", "webp", "tif")
COUNT = 9
CLASSES = ("cat", "dog")


def files(count: int = COUNT) -> list[tuple[str, bytes]]:
    """Names and bytes of pictures."""
    endings = [ENDINGS[number % len(ENDINGS)] for number in range(count)]
    return [(f"{number:03d}.{ending}", picture(number, ending)) for number, ending in enumerate(endings)]


def size(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as image:
        return image.size


def coco_content(named: list[tuple[str, bytes]]) -> bytes:
    content: dict[str, Any] = {"images": [], "annotations": []}
    content["categories"] = [{"id": 3, "name": "cat"}, {"id": 9, "name": "dog"}]
    for number, (name, made) in enumerate(named, 1):
        width, height = size(made)
        content["images"].append({"id": number, "file_name": name, "width": width, "height": height})
        box = {"id": number, "image_id": number, "category_id": (3, 9)[number % 2], "bbox": [1, 2, 5, 4]}
        content["annotations"].append(box | {"area": 20, "iscrowd": 0})
    return json.dumps(content).encode()


def coco() -> Source:
    return {"data.json": coco_content(files()), **{f"images/{name}": made for name, made in files()}}


def coco_splits() -> Source:
    found: Source = {}
    for split, start in (("train", 0), ("valid", 3), ("test", 6)):
        part = files()[start : start + 3]
        found[f"{split}/_annotations.coco.json"] = coco_content(part)
        found |= {f"{split}/{name}": made for name, made in part}
    return found


def voc_file(name: str, number: int) -> bytes:
    boxes = "".join(
        f"<object><name>{CLASSES[(number + i) % 2]}</name><difficult>0</difficult><bndbox><xmin>{1 + i}</xmin>"
        f"<ymin>2</ymin><xmax>{6 + i}</xmax><ymax>7</ymax></bndbox></object>"
        for i in range(1 + number % 2)
    )
    head = f"<filename>{name}</filename><size><width>0</width><height>0</height><depth>3</depth></size>"
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotation>{head}{boxes}</annotation>\n'.encode()


def voc() -> Source:
    found: Source = {}
    for number, (name, made) in enumerate(files()):
        found[f"JPEGImages/{name}"] = made
        found[f"Annotations/{name[:3]}.xml"] = voc_file(name, number)
    lines = [f"{number:03d}\n" for number in range(COUNT)]
    found["ImageSets/Main/train.txt"] = "".join(lines[:5]).encode()
    found["ImageSets/Main/val.txt"] = "".join(lines[5:7]).encode()
    found["ImageSets/Main/test.txt"] = "".join(lines[7:]).encode()
    return found


def voc_beside() -> Source:
    """As Roboflow exports it."""
    found: Source = {}
    for number, (name, made) in enumerate(files()):
        folder = ("train", "valid", "test")[number // 3]
        found[f"{folder}/{name}"] = made
        found[f"{folder}/{name[:3]}.xml"] = voc_file(name, number)
    return found


def yolo_line(number: int) -> str:
    box = f"{number % 2} 0.5 0.5 0.4 0.{3 + number % 4}\n"
    polygon = f"{(number + 1) % 2} 0.2 0.2 0.6 0.2 0.{5 + number % 4} 0.7\n"
    return box + polygon * (number % 3 == 0)


def yolo() -> Source:
    found: Source = {"data.yaml": b"path: .\ntrain: images/train\nval: images/val\nnc: 2\nnames: [cat, dog]\n"}
    for number, (name, made) in enumerate(files()):
        folder = "val" if number > 5 else "train"
        found[f"images/{folder}/{name}"] = made
        found[f"labels/{folder}/{name[:3]}.txt"] = yolo_line(number).encode()
    return found


def yolo_lists() -> Source:
    """Lists of paths, of another machine in part; key points."""
    head = b"train: train.txt\nval: [val.txt]\ntest: test.txt\nkpt_shape: [2, 2]\nnames:\n  0: cat\n  1: dog\n"
    found: Source = {"data.yaml": head}
    for number, (name, made) in enumerate(files()):
        found[f"images/{name}"] = made
        found[f"labels/{name[:3]}.txt"] = f"{number % 2} 0.5 0.5 0.4 0.{3 + number % 4} 0.4 0.4 0.6 0.5\n".encode()
    lines = [f"{('./', '/home/me/set/', '')[i % 3]}images/{name}\n" for i, (name, _) in enumerate(files())]
    for split, start in (("train", 0), ("val", 3), ("test", 6)):
        found[f"{split}.txt"] = "".join(lines[start : start + 3]).encode()
    return found


def darknet() -> Source:
    found: Source = {"obj.data": b"classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n"}
    found["obj.names"] = b"cat\ndog\n"
    for number, (name, made) in enumerate(files()):
        found[f"obj_train_data/{name}"] = made
        found[f"obj_train_data/{name[:3]}.txt"] = yolo_line(number).encode()
    found["train.txt"] = "".join(f"data/obj_train_data/{name}\n" for name, _ in files()).encode()
    return found


def yolo_classes() -> Source:
    found: Source = {"classes.txt": b"cat\ndog\n"}
    for number, (name, made) in enumerate(files()):
        found[name] = made
        found[f"{name[:3]}.txt"] = yolo_line(number).encode()
    return found


def folders() -> Source:
    return {f"{CLASSES[i % 2]}/{name}": made for i, (name, made) in enumerate(files())}


def folders_splits() -> Source:
    splits = ("train", "validation", "test")
    return {f"set/{splits[i // 3]}/{CLASSES[i % 2]}/{name}": made for i, (name, made) in enumerate(files())}


def manifest_csv() -> Source:
    rows = [f"images/{name},{CLASSES[i % 2]},\r\n" for i, (name, _) in enumerate(files())]
    table = "path,label,split\r\n" + "".join(rows)
    return {"labels.csv": table.encode(), **{f"images/{name}": made for name, made in files()}}


def manifest_tsv() -> Source:
    """A table for each split."""
    found: Source = {f"images/{name}": made for name, made in files()}
    for split, start in (("train", 0), ("val", 3), ("test", 6)):
        rows = [f"{name}\t{CLASSES[i % 2]}\n" for i, (name, _) in enumerate(files()[start : start + 3])]
        found[f"{split}.tsv"] = ("filename\tclass\n" + "".join(rows)).encode()
    return found


def manifest_jsonl() -> Source:
    """Several labels a picture."""
    rows = [
        {"file": name, "labels": [CLASSES[i % 2], *CLASSES[: i % 3]], "split": ("train", "val", "test")[i // 3]}
        for i, (name, _) in enumerate(files())
    ]
    return {"labels.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode()} | dict(files())


ENGLISH = [
    f"{word} eats fish {number}"
    for number, word in enumerate(["she", "he", "it", "who", "Tom", "Ann", "Bob", "the_cat"] * 2)
]
JAPANESE = [
    f"{word}は魚を食べる{number}"
    for number, word in enumerate(["彼女", "彼", "それ", "誰", "太郎", "花子", "次郎", "猫"] * 2)
]
PAIRS = list(zip(ENGLISH, JAPANESE, strict=True))


def text() -> Source:
    found: Source = {}
    for split, start, end in (("train", 0, 8), ("dev", 8, 12), ("test", 12, 16)):
        for language, side in (("en", ENGLISH), ("ja", JAPANESE)):
            found[f"{split}.{language}"] = "".join(line + "\n" for line in side[start:end]).encode()
    return found


def text_gzip() -> Source:
    return {
        f"corpus/all.{tag}.txt.gz": gzip.compress("\n".join(side).encode(), mtime=0)
        for tag, side in (("src", ENGLISH), ("trg", JAPANESE))
    }


def text_folders() -> Source:
    sides = (("eng", ENGLISH), ("Japanese", JAPANESE))
    return {f"{tag}/{name}.txt": "\r\n".join(side).encode() for tag, side in sides for name in ("all", "more")}


def tsv() -> Source:
    return {"pairs.tsv": ("ja\tid\ten\n" + "".join(f"{j}\t{i}\t{e}\n" for i, (e, j) in enumerate(PAIRS))).encode()}


def tsv_bare() -> Source:
    found = "".join(f"{e}\t{j}\tCC-BY 2.0 (France)\n" for e, j in PAIRS)
    return {"train.tsv": found.encode(), "README.md": b"# pairs\n"}


def tsv_quoted() -> Source:
    rows = [f'"{e} ""ok"""\t"{j}"\n' for e, j in PAIRS]
    return {"pairs.tsv": ('"source"\t"target"\n' + "".join(rows)).encode()}


def csv() -> Source:
    rows = [f'{i},"{e}, {i}",{j}\n' for i, (e, j) in enumerate(PAIRS)]
    return {"pairs.csv": ("id,English,Japanese\n" + "".join(rows)).encode()}


def jsonl() -> Source:
    forms = (
        lambda e, j: {"en": e, "ja": j},
        lambda e, j: {"source": e, "target": j, "id": 7},
        lambda e, j: {"translation": {"en": e, "ja": j}},
    )
    rows = [json.dumps(forms[i % 3](*pair), ensure_ascii=i % 2 == 0) + "\n" for i, pair in enumerate(PAIRS)]
    return {"pairs.jsonl": "".join(rows).encode()}


def json_array() -> Source:
    rows = [{"en": e, "ja": j} for e, j in PAIRS]
    train = {"version": 1, "data": rows[4:]}
    return {"train.json": json.dumps(train).encode(), "test.json": json.dumps(rows[:4]).encode()}


def tmx() -> Source:
    units = [
        f'<tu tuid="{i}"><tuv xml:lang="en-US"><seg>{e}</seg></tuv>'
        f'<tuv xml:lang="ja"><seg>{j}<ph>x</ph></seg></tuv></tu>'
        for i, (e, j) in enumerate(PAIRS)
    ]
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4"><header srclang="en"/>'
    return {"memory.tmx": f"{head}<body>{''.join(units)}</body></tmx>\n".encode()}


SEVERAL = {"multilabel": True}
HOURS = {"time": "time", "id": "place", "targets": ["load"], "window": 3, "horizon": 2, "season": 2, "stride": 1}


def numbers() -> list[dict[str, str | float]]:
    """Hours of two places."""
    rows: list[dict[str, str | float]] = []
    for hour in range(20):
        for place in ("a", "b"):
            told = {"load": round(20 + 3.5 * (hour % 4), 2), "wind": round(hour / 7, 3)}
            rows.append({"time": f"2024-05-{1 + hour // 24:02d} {hour % 24:02d}:00", "place": place, **told})
    return rows


def numbers_csv() -> Source:
    lines = [",".join(map(str, row.values())) for row in numbers()]
    return {"hours.csv": ("\n".join(["time,place,load,wind", *lines]) + "\n").encode()}


def numbers_jsonl() -> Source:
    return {"hours.jsonl": "".join(json.dumps(row) + "\n" for row in numbers()).encode()}


KINDS = {
    "coco": Kind("detection", "coco", coco),
    "coco splits": Kind("detection", "coco", coco_splits),
    "voc": Kind("detection", "voc", voc),
    "voc beside": Kind("detection", "voc", voc_beside),
    "yolo": Kind("detection", "yolo", yolo),
    "yolo lists": Kind("detection", "yolo", yolo_lists),
    "darknet": Kind("detection", "yolo", darknet),
    "yolo classes": Kind("detection", "yolo", yolo_classes),
    "folders": Kind("classification", "folders", folders),
    "folders splits": Kind("classification", "folders", folders_splits),
    "manifest csv": Kind("classification", "manifest", manifest_csv),
    "manifest tsv": Kind("classification", "manifest", manifest_tsv),
    "manifest jsonl": Kind("classification", "manifest", manifest_jsonl, SEVERAL),
    "text": Kind("translation", "text", text),
    "text gzip": Kind("translation", "text", text_gzip),
    "text folders": Kind("translation", "text", text_folders),
    "tsv": Kind("translation", "tsv", tsv),
    "tsv bare": Kind("translation", "tsv", tsv_bare),
    "tsv quoted": Kind("translation", "tsv", tsv_quoted),
    "csv": Kind("translation", "tsv", csv),
    "jsonl": Kind("translation", "jsonl", jsonl),
    "json array": Kind("translation", "jsonl", json_array),
    "tmx": Kind("translation", "tmx", tmx),
    "numbers csv": Kind("series", "csv", numbers_csv, HOURS),
    "numbers jsonl": Kind("series", "jsonl", numbers_jsonl, HOURS),
}


_made: dict[str, Source] = {}


def valid(name: str) -> Source:
    if name not in _made:
        _made[name] = KINDS[name].make()
    return _made[name]


def write(source: Source, folder: Path) -> None:
    """Write a source; what has no room any more, such as a file below a file, is left out."""
    folder.mkdir(parents=True)
    (folder.parent / "outside.txt").write_text("outside\n")
    for name, entry in source.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(entry, Link):
                path.symlink_to(entry.target)
            elif entry == PIPE:
                os.mkfifo(path)
            elif entry == FOLDER:
                path.mkdir(exist_ok=True)
            else:
                assert isinstance(entry, bytes)
                path.write_bytes(entry)
        except OSError:
            continue
