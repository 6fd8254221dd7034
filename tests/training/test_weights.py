"""Initial weights: both formats, what fits and what does not, what is refused, and what is noted of them."""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "ops"))
from sources import Server

from core import task
from core.errors import SourceError
from core.files import sha256
from core.params import ModelParams
from training import weights

CLASSES = {"classes.json": json.dumps({"classes": [{"id": 1, "name": "cell"}]}).encode()}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    return tmp_path


def net(width: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 2))


def written(path: Path, values: dict[str, Tensor], under: str | None = None) -> Path:
    if path.suffix == ".safetensors":
        save_file(values, path)
    else:
        torch.save({"epoch": 3, under: values} if under else values, path)
    return path


def context(place: Path | str, digest: str | None = None) -> Any:
    params = ModelParams(weights=str(place), weights_sha256=digest)
    return SimpleNamespace(task="toy", params=SimpleNamespace(model=params, data=SimpleNamespace(allow_private=True)))


@pytest.mark.parametrize(
    ("name", "under"),
    [
        ("a.safetensors", None),
        ("a.pt", None),
        ("a.ckpt", "state_dict"),
        ("a.bin", "model"),
        ("a.pth", "model_state_dict"),
    ],
)
def test_a_model_starts_from_a_file(folder: Path, name: str, under: str | None) -> None:
    saved, model = net(), net()
    path = written(folder / name, saved.state_dict(), under)
    noted = weights.start(context(path), None, model)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), saved.state_dict().values(), strict=True))
    counts = {"loaded": 9, "absent": 0, "other_shape": 0, "unused": 0}
    assert noted == {"source": str(path), "sha256": sha256(path), "license": None, **counts}


def test_what_does_not_fit_stays_as_it_was_and_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    given = {"0.weight": torch.ones(4, 3), "2.weight": torch.ones(5, 4)}
    given |= {f"head.{i}": torch.ones(1) for i in range(4)} | {"\x1b[2J": torch.ones(1)}
    noted = weights.start(context(written(folder / "a.pt", given)), None, model)
    assert {key: noted[key] for key in ("loaded", "absent", "other_shape", "unused")} == {
        "loaded": 1, "absent": 7, "other_shape": 1, "unused": 5,
    }  # fmt: skip
    after = model.state_dict()
    assert torch.equal(after["0.weight"], torch.ones(4, 3))
    assert all(torch.equal(after[name], before[name]) for name in before if name != "0.weight")
    told = capsys.readouterr().out
    assert (
        "1 of 9 tensors taken; not in the file: 0.bias, 1.weight, 1.bias and 4 more; of another shape: 2.weight" in told
    )
    assert "\x1b" not in told


def test_half_precision_becomes_the_models_own(folder: Path) -> None:
    model = net()
    written(folder / "a.safetensors", {"0.weight": torch.full((4, 3), 0.5, dtype=torch.float16)})
    weights.start(context("a.safetensors"), None, model)
    assert model[0].weight.dtype == torch.float32 and (model[0].weight == 0.5).all()


def test_a_url_is_fetched_from_a_server_and_noted(folder: Path) -> None:
    saved, model = net(), net()
    content = written(folder / "a.safetensors", saved.state_dict()).read_bytes()
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        digest = server.offer("a.safetensors", content).sha256
        noted = weights.start(context(server.url("a.safetensors"), digest), None, model)
        server.shutdown()
    assert noted["sha256"] == digest and noted["loaded"] == 9
    assert torch.equal(model[0].weight, saved[0].weight)


def test_the_secrets_of_an_address_are_written_nowhere(folder: Path) -> None:
    content = written(folder / "a.safetensors", net().state_dict()).read_bytes()
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        digest = server.offer("a.safetensors?sig=hunter2", content).sha256
        asked = context(server.url("a.safetensors?sig=hunter2"), digest)
        noted = weights.start(asked, None, net())
        with pytest.raises(SourceError) as caught:
            weights.start(context(server.url("b.safetensors?sig=hunter2"), "0" * 64), None, net())
        server.shutdown()
    assert noted["source"] == server.url("a.safetensors") and noted["loaded"] == 9
    assert "hunter2" not in f"{noted} {caught.value} {asked.params.model.model_dump()}"


class Malicious:
    def __reduce__(self) -> Any:
        return os.system, ("touch hacked",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_refused(folder: Path, zipped: bool, protocol: int) -> None:
    """docs/faults.md 71."""
    path = folder / "a.pt"
    if zipped:
        torch.save({"0.weight": torch.ones(4, 3), "x": Malicious()}, path, pickle_protocol=protocol)
    else:
        path.write_bytes(pickle.dumps({"0.weight": Malicious()}, protocol=protocol))
    with pytest.raises(SourceError, match=r"^toy\.model\.weights .*would run code when it is loaded, and was refused"):
        weights.start(context(path), None, net())
    assert not (folder / "hacked").exists()


def test_a_module_that_was_pickled_whole_is_refused_with_what_to_do(folder: Path) -> None:
    torch.save(nn.Linear(2, 2), folder / "a.pt")
    with pytest.raises(
        SourceError, match=r"holds torch\.nn\.modules\.linear\.Linear, .*torch.save\(model.state_dict\(\)"
    ):
        weights.start(context("a.pt"), None, net())


@pytest.mark.parametrize("cut", [0, 5, 100, 300])
@pytest.mark.parametrize("name", ["a.safetensors", "a.pt"])
def test_a_damaged_file_is_told_as_such(folder: Path, name: str, cut: int) -> None:
    path = written(folder / name, net().state_dict())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SourceError, match="neither safetensors nor a state dict of torch, or damaged"):
        weights.start(context(path), None, net())


@pytest.mark.parametrize("junk", [b"hello world this is junk", b"\x80\x02K\x01.", b"<html>404</html>", b"GIF89a" * 9])
def test_junk_is_no_weights(folder: Path, junk: bytes) -> None:
    (folder / "a.pt").write_bytes(junk)
    with pytest.raises(SourceError, match=r"neither safetensors|holds no tensors|was refused"):
        weights.start(context("a.pt"), None, net())


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {"layer1.weight": torch.ones(2)},
            r"no tensor fits .* the file holds layer1.weight, the model has 0.weight, 0.bi",
        ),
        ({"0.weight": torch.ones(7, 3)}, "no tensor fits by name and shape"),
        ({"0.weight": torch.full((4, 3), torch.nan)}, "values are not finite in 0.weight"),
    ],
)
def test_weights_of_another_model_and_broken_ones_are_refused(folder: Path, values: Any, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        weights.start(context(written(folder / "a.pt", values)), None, net())


def test_what_is_not_trained_must_be_in_the_file(folder: Path) -> None:
    """A detector keeps its backbone's statistics, and trains none of its first blocks."""
    role = task.load("detection", "model")
    sizes = {"arch": "fcos", "backbone": "efficientnet_lite0", "image_size": [64, 96], "width": 8, "tower": 1}
    sizes |= {"weights": "a.safetensors"}
    decoding = {"score_threshold": 0.05, "nms_iou": 0.6, "max_detections": 20}
    params = SimpleNamespace(model=SimpleNamespace(**sizes | decoding), train=SimpleNamespace(freeze_blocks=2))
    arch = role.architecture(params, CLASSES)
    assert not arch["pretrained"] and arch["freeze_blocks"] == 2
    whole = role.build(arch).state_dict()
    backbone = {name: value.contiguous() for name, value in whole.items() if name.startswith("backbone.")}
    written(folder / "a.safetensors", backbone)
    noted = weights.start(context("a.safetensors"), role, role.build(arch, initial=True))
    assert noted["loaded"] == len(backbone) and noted["absent"] == len(whole) - len(backbone)
    lacking = {name: value for name, value in backbone.items() if name != "backbone.blocks.9.project_norm.running_var"}
    written(folder / "a.safetensors", lacking)
    with pytest.raises(
        SourceError, match=r"lacks backbone\.blocks\.9\.project_norm\.running_var, which training leaves"
    ):
        weights.start(context("a.safetensors"), role, role.build(arch, initial=True))


def test_packaged_weights_are_noted_with_their_licence() -> None:
    role = task.load("detection", "model")
    noted = weights.start(context("packaged"), role, net())
    path, license_ = role.packaged()
    assert noted == {"source": "packaged", "sha256": sha256(path), "license": license_}
    assert "Apache-2.0" in license_


def test_nothing_is_noted_of_random_weights() -> None:
    assert weights.start(context("none"), None, net()) == {"source": "none"}


def test_under_dvc_a_file_that_was_not_noted_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained on it, DVC would take the result for that of the file that was noted."""
    path = written(folder / "a.pt", net().state_dict())
    monkeypatch.setenv("DVC_STAGE", "train@toy")
    with pytest.raises(SourceError, match=r"toy\.weights\.json tells DVC of None: run `python -m pipelines.sources`"):
        weights.start(context(path), None, net())
    (folder / "data" / "sources").mkdir(parents=True)
    (folder / "data" / "sources" / "toy.weights.json").write_text(json.dumps({"sha256": sha256(path)}))
    assert weights.start(context(path), None, net())["loaded"] == 9
