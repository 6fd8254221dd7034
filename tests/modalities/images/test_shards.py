"""Pictures in shards are what they are as files: to the byte, through every stage, and out again."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import classification_tiny as tiny
import numpy as np
import pytest
from PIL import Image

from core import parallel
from core.errors import DataError
from core.files import read_json, sha256, write_json
from modalities.images import augment as augmentation
from modalities.images import data
from modalities.images.checks import labels, near, pictures
from modalities.images.data import pixels as kept
from modalities.images.data.pixels import Pixels
from modalities.images.data.samplers import WINDOW, Shuffled
from modalities.images.inputs import shards
from modalities.images.inputs.canonical import read_split
from modalities.images.inputs.decode import decode
from modalities.images.predict.pictures import inputs, pixels
from modalities.images.prepare import canonical, coco, folders, looks, voc
from modalities.splits import SPLITS
from pipelines import datasets

FORMATS = {"coco": coco, "voc": voc, "folders": folders}
Prepared = Callable[..., Path]


@pytest.fixture(autouse=True)
def two_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    parallel.use(2)
    yield
    parallel.use(0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """60 pictures of two classes: noise, one with transparency, one that is damaged, one that stands twice."""
    root = tmp_path / "raw"
    rng = np.random.default_rng(5)
    for i in range(60):
        path = root / "ab"[i % 2] / f"{i:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 24, 4 if i == 7 else 3)).astype(np.uint8)).save(path)
    (root / "a" / "010.png").write_bytes((root / "a" / "010.png").read_bytes()[:900])
    shutil.copyfile(root / "a" / "020.png", root / "a" / "again.png")
    return root


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """(source, name, whether in shards) -> the canonical dataset."""

    def make(source: Path, name: str, sharded: bool = True) -> Path:
        monkeypatch.setattr(shards, "FOLDER", 5 if sharded else 10_000)
        monkeypatch.setattr(shards, "PICTURES", 8)
        data = {"format": "auto", "classes": None, "kind": "path", "splits": SimpleNamespace(val=0.2, test=0.2)}
        settings = SimpleNamespace(data=SimpleNamespace(**data), validation=SimpleNamespace(max_pixels=10**6))
        canonical.prepare(source, tmp_path / name, settings, 7, FORMATS)
        return tmp_path / name

    return make


def plain(dataset: Path) -> dict[str, Any]:
    """All that a dataset says, but for where pictures lie; and the bytes of each."""
    found: dict[str, Any] = {}
    for split in (split for split in SPLITS if (dataset / f"{split}.json").exists()):
        content = read_json(dataset / f"{split}.json")
        for image in content["images"]:
            found[image["file_name"]] = shards.source(dataset, image).read_bytes()
            for key in shards.PLACE:
                image.pop(key, None)
        found[split] = content
    return found


def tars(dataset: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted((dataset / "images").iterdir())}


def test_a_dataset_in_shards_is_that_of_files(source: Path, prepared: Prepared, tmp_path: Path) -> None:
    files, packed = prepared(source, "files", sharded=False), prepared(source, "packed")
    assert plain(files) == plain(packed)
    assert len(tars(files)) == 61 and list(tars(packed)) == [f"{i:05d}.tar" for i in range(8)]
    tables = [labels.tables(folder, 10**6)["images"] for folder in (files, packed)]
    assert tables[0].equals(tables[1]) and (tables[0]["content"] != "an image").sum() == 1
    bad = {"images": set(tables[0]["id"][tables[0]["content"] != "an image"])}
    for folder in (files, packed):
        counts = labels.clean(folder, bad, tmp_path / f"clean-{folder.name}")
        write_json(folder / "counts.json", [counts, pictures.refuse(tmp_path / f"clean-{folder.name}", "image")])
    assert read_json(files / "counts.json") == read_json(packed / "counts.json")
    assert plain(tmp_path / "clean-files") == plain(tmp_path / "clean-packed")
    changed = tars(packed).items() ^ tars(tmp_path / "clean-packed").items()
    assert len({name for name, _ in changed}) == 1  # the shard of the picture in quarantine


def test_a_shard_is_a_plain_tar(source: Path, prepared: Prepared, tmp_path: Path) -> None:
    packed = prepared(source, "packed")
    for path in (packed / "images").iterdir():
        with tarfile.open(path) as file:
            file.extractall(tmp_path / "out", filter="data")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        name: data for name, data in plain(packed).items() if name not in SPLITS
    }
    long = "x" * 200 + ".png"
    (place,) = shards.write(tmp_path / "long.tar", [(long, b"abc")])
    assert shards.Member(tmp_path / "long.tar", long, *place).read_bytes() == b"abc"
    with tarfile.open(tmp_path / "long.tar") as file:
        assert file.getnames() == [long]


def test_one_picture_changes_its_shard_alone(source: Path, prepared: Prepared) -> None:
    before = prepared(source, "before")
    shutil.rmtree(".stillhouse", ignore_errors=True)
    list(pictures.probed(before, 10**6))
    known = set(Path(".stillhouse/pictures").iterdir())
    assert len(known) == 8
    Image.new("RGB", (24, 20), "red").save(source / "b" / "033.png")
    (source / "b" / "001.png").unlink()
    after = prepared(source, "after")
    changed = {name for name, _ in tars(before).items() ^ tars(after).items()}
    assert changed == {shards.shard("033.png", 8), shards.shard("001.png", 8)}
    prepare_knows = set(Path(".stillhouse/pictures").iterdir())
    list(pictures.probed(after, 10**6))
    known |= prepare_knows
    assert len(set(Path(".stillhouse/pictures").iterdir()) - known) == len(changed)


def test_a_source_that_is_as_it_was_is_not_looked_at_again(
    source: Path, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(path: Path | None, max_pixels: int) -> Any:
        with Path("asked.txt").open("a") as file:  # of other processes
            file.write(f"{path}\n")
        return one(path, max_pixels)

    def prepare(name: str, tick: int) -> int:
        monkeypatch.setattr(looks, "TICK_NS", tick)
        Path("asked.txt").write_text("")
        prepared(source, name)
        return len(Path("asked.txt").read_text().splitlines())

    one = looks._one
    monkeypatch.setattr(looks, "_one", asked)
    assert prepare("first", 10**12) == prepare("second", 0) == 61  # what has only just been written is not trusted
    assert prepare("third", 0) == 0 and plain(Path("first")) == plain(Path("third"))
    path = source / "b" / "033.png"
    before, data = path.stat(), path.read_bytes()
    path.write_bytes(data[:-1] + b"\0")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert 1 <= prepare("fourth", 0) < 20 and plain(Path("fourth")) != plain(Path("third"))


def test_what_was_found_of_a_shard_is_asked_for_by_its_content(source: Path, prepared: Prepared) -> None:
    packed = prepared(source, "packed")
    shutil.rmtree(".stillhouse", ignore_errors=True)
    first = list(pictures.probed(packed, 10**6))
    for path in Path(".stillhouse/pictures").iterdir():
        rows = read_json(path)
        path.write_text("damaged" if rows[0][1] == 24 else "")
    assert list(pictures.probed(packed, 10**6)) == first
    assert {row[3].content for row in pictures.probed(packed, 100)} == {
        "decompression bomb: 24x20 pixels, more than 100"
    }


def test_copies_of_shards_are_those_of_files(source: Path, prepared: Prepared, tmp_path: Path) -> None:
    (source / "a" / "010.png").unlink()
    made = tiny.settings(augment={"copies": 2})
    summaries = []
    for name, sharded in (("files", False), ("packed", True)):
        folder = prepared(source, name, sharded)
        summaries.append(augmentation.augment(folder, tmp_path / f"{name}-augmented", made, 7))
    one, other = (plain(tmp_path / f"{name}-augmented" / "dataset") for name in ("files", "packed"))
    assert one == other and summaries[0] == summaries[1] and len(one) > 100
    sheets = [(tmp_path / f"{name}-augmented" / "contact_sheet.png").read_bytes() for name in ("files", "packed")]
    assert sheets[0] == sheets[1]
    assert any(name.startswith("augmented-") for name in tars(tmp_path / "packed-augmented" / "dataset"))


def test_a_predictor_reads_a_member_as_a_file(source: Path, prepared: Prepared) -> None:
    packed = prepared(source, "packed")
    member = next(member for member in inputs(packed, "train") if member.name != "010.png")
    assert (pixels(member, "input 0") == decode(member.read_bytes())).all()
    path = packed / "images" / read_json(packed / "train.json")["images"][0]["shard"]
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(DataError, match=r"input 1: .*\.tar: .*ends within .*: it is damaged"):
        for picture in inputs(packed, "train"):
            pixels(picture, "input 1")


def test_training_sees_the_same_batches(source: Path, prepared: Prepared) -> None:
    (source / "a" / "010.png").unlink()
    made, seen = tiny.settings(train={"workers": 0, "mixup": 0.2}), []
    for folder in (prepared(source, "files", sharded=False), prepared(source, "packed")):
        loaders = data.loaders(folder, folder, made, 7, None)
        batches = [batch for _ in range(2) for loader in (loaders.train, loaders.val) for batch in loader]
        seen.append([(batch["images"].numpy(), batch["targets"].numpy(), batch["positions"]) for batch in batches])
    assert len(seen[0]) == len(seen[1]) > 8
    for one, other in zip(*seen, strict=True):
        assert all(np.array_equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))


def test_the_number_of_shards_seldom_changes() -> None:
    assert shards.count(shards.FOLDER, 10**12) == 0
    counts = [shards.count(pictures, pictures * 3000) for pictures in range(10_001, 100_000, 7)]
    assert set(counts) == {4, 8, 16, 32} and sorted(counts) == counts
    assert shards.count(20_000, 80 * 10**9) * shards.BYTES >= 80 * 10**9
    names = [f"{i}.jpg" for i in range(20_000)]
    sizes = np.unique([shards.shard(name, 8) for name in names], return_counts=True)[1]
    assert len(sizes) == 8 and sizes.max() < 1.1 * sizes.min()


def test_few_shards_are_shuffled_as_one_folder_and_many_one_after_another() -> None:
    def order(count: int) -> list[int]:
        named = [f"{i % count}.tar" for i in range(400)] if count else []
        return [index for _, index in Shuffled(400, 3, named)]

    assert order(0) == order(1) == order(WINDOW) == np.random.default_rng((3, 0)).permutation(400).tolist()
    many = order(4 * WINDOW)
    assert sorted(many) == list(range(400)) and many == order(4 * WINDOW)
    read = [index % (4 * WINDOW) for index in many]
    first, last = ([position for position, shard in enumerate(read) if shard == read[i]] for i in (0, -1))
    assert first[-1] < 130 and last[0] > 270


def test_the_order_hangs_on_shards_only_where_not_all_pictures_are_kept(
    source: Path, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = read_split(prepared(source, "packed"), "train")[0]
    assert Pixels(records).shards == []
    monkeypatch.setattr(kept, "CACHE_BYTES", 1000)
    assert Pixels(records).shards == [record["file"].shard.name for record in records]
    assert set(Pixels(read_split(prepared(source, "files", sharded=False), "train")[0]).shards) == {""}


@pytest.mark.parametrize("form", ["coco", "voc", "folders"])
def test_plain_files_and_back(source: Path, prepared: Prepared, tmp_path: Path, form: str) -> None:
    (source / "a" / "010.png").unlink()
    packed = prepared(source, "packed")
    if form != "folders":  # of which whole pictures have no labels
        for split in SPLITS:
            content = read_json(packed / f"{split}.json")
            for number, entry in enumerate(content["annotations"]):
                entry |= {
                    "bbox": [0.1 + number, 2.0, 3.3, 4.0],
                    "area": 3.3 * 4.0,
                    "iscrowd": number % 2 * (form == "coco"),
                }
            write_json(packed / f"{split}.json", content)
    datasets.export(packed, tmp_path / form, form)
    again = prepared(tmp_path / form, "again")
    for split in SPLITS:
        (one, names), (other, others) = read_split(packed, split), read_split(again, split)
        assert names == others and len(one) == len(other)
        there = {record["file"].name: record for record in other}
        for record in one:
            same = there[record["file"].name]
            assert record["file"].read_bytes() == same["file"].read_bytes()
            assert np.allclose(record["boxes"], same["boxes"], rtol=0, atol=0 if form == "coco" else 1e-12)
            for key in ("labels", "crowd", "whole"):
                assert np.array_equal(record[key], same[key]), key
    with pytest.raises(DataError, match="exists"):
        datasets.export(packed, tmp_path / form, form)


def test_what_a_form_cannot_hold_is_refused(source: Path, prepared: Prepared, tmp_path: Path) -> None:
    packed = prepared(source, "packed")
    with pytest.raises(DataError, match="no plain box"):
        datasets.export(packed, tmp_path / "voc", "voc")
    with pytest.raises(DataError, match="cannot be written as 'text'; valid: coco, voc, folders"):
        datasets.export(packed, tmp_path / "text", "text")
    assert not (tmp_path / "voc").exists()


def test_what_is_looked_up_by_bands_is_what_all_comparisons_find(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    seeds = rng.integers(0, 1 << 63, 300).astype(np.uint64)

    def hashes(count: int) -> Any:
        made = seeds[rng.integers(0, len(seeds), count)]
        for _ in range(6):
            bits = np.uint64(1) << rng.integers(0, 64, count).astype(np.uint64)
            made = made ^ np.where(rng.random(count) < 0.6, bits, np.uint64(0))
        return near.Looks([], made, np.zeros((count, near.SIDE**2), np.uint8))

    one, other = hashes(1500), hashes(900)
    monkeypatch.setattr(near, "DENSE", 0)
    banded = near.pairs(one, other)
    monkeypatch.setattr(near, "DENSE", 10**9)
    assert banded == near.pairs(one, other) and len(banded[0]) > 100
