"""A package as an MLflow model: loaded and served far from this repository, it predicts what `Predictor` does."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import packages_tiny
import pytest
import toy_package
import yaml
from warm import Warm

from core import params
from core.files import write_json
from ops import tracking
from ops.tracking import carried, model

pytestmark = pytest.mark.models

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]
LOAD = """
import base64, json, sys
from pathlib import Path
import mlflow, pandas
loaded = mlflow.pyfunc.load_model(sys.argv[1])
files = [path.read_bytes() for path in sorted(Path(sys.argv[2]).glob("*.png"))]
texts = [base64.b64encode(file).decode() for file in files]
forms = files, texts, pandas.DataFrame({"image": files}), pandas.Series(texts), [base64.encodebytes(files[0]), files[1]]
torch = sorted(name for name in sys.modules if name.partition(".")[0] in ("torch", "lightning", "onnx"))
print(json.dumps([[loaded.predict(form) for form in forms], sys.modules["core"].__file__, torch]))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`package` and `mlflow` of a toy detector."""
    folder = tmp_path_factory.mktemp("made")
    package = toy_package.make(folder / "package")
    model.save(package, folder / "mlflow", "detection", (package / "golden" / "0.png").read_bytes(), batch=1)
    return folder


def expected(made: Path) -> list[Any]:
    samples = json.loads((made / "package" / "golden" / "samples.json").read_text())
    return [sample["output"] for sample in samples]


@pytest.fixture
def run(warm: Warm) -> Run:
    """A program in a process that knows nothing of this repository but the libraries."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def ran(program: str, *arguments: object, folder: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = warm.run([sys.executable, "-c", program, *map(str, arguments)], cwd=folder, env=environment)
        assert not check or done.returncode == 0, done.stderr
        return done

    return ran


def test_it_predicts_elsewhere_what_the_package_promised(run: Run, made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "mlflow", tmp_path / "moved")
    done = run(LOAD, "moved", made / "package" / "golden", folder=tmp_path)
    results, core, torch = json.loads(done.stdout)
    assert results == [expected(made)] * 5
    assert Path(core) == tmp_path / "moved" / "code" / "core" / "__init__.py"
    assert torch == []
    assert "Warning" not in done.stderr


@pytest.mark.parametrize(("given", "words"), [(["%%%"], "base64"), ([base64.b64encode(b"no image").decode()], "image")])
def test_what_is_no_image_is_told_and_no_text_is_a_path(run: Run, made: Path, given: list[str], words: str) -> None:
    program = "import json, sys, mlflow; mlflow.pyfunc.load_model(sys.argv[1]).predict(json.loads(sys.argv[2]))"
    done = run(program, made / "mlflow", json.dumps(given), folder=made, check=False)
    assert "core.errors.DataError: input 0: " in done.stderr and words in done.stderr.splitlines()[-1]
    path = str(made / "package" / "golden" / "0.png")
    done = run(program, made / "mlflow", json.dumps([path]), folder=made, check=False)
    assert "core.errors.DataError: input 0: expected bytes or base64 text of a file" in done.stderr


def test_a_damaged_package_is_not_loaded(run: Run, made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "mlflow", tmp_path / "mlflow")
    card = tmp_path / "mlflow" / "artifacts" / "package" / "MODEL_CARD.md"
    card.write_text(card.read_text() + "!")
    done = run("import mlflow; mlflow.pyfunc.load_model('mlflow')", folder=tmp_path, check=False)
    assert "core.errors.ModelError" in done.stderr and "MODEL_CARD.md was changed" in done.stderr


def test_it_carries_what_it_needs_and_nothing_of_this_machine(made: Path) -> None:
    folder = made / "mlflow"
    # whoever has predicted with it has compiled it there
    files = [path for path in (folder / "code").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    code = {path.relative_to(folder / "code").as_posix() for path in files}
    assert code >= {"ops/passport/graph.py", "tasks/detection/predict.py", "tasks/__init__.py", "LICENSE"}
    allowed = (
        "core/",
        "ops/__init__.py",
        "ops/passport/",
        "modalities/",
        "tasks/__init__.py",
        "tasks/detection/predict.py",
        "tasks/detection/score/",
        "LICENSE",
    )
    assert not {name for name in code if not name.startswith(allowed)}
    assert not {name for name in code if name.startswith(("ops/tracking", "core/stage", "core/checkpoint"))}
    assert not list(folder.rglob("*.pkl"))
    description = yaml.safe_load((folder / "MLmodel").read_text())
    assert description["flavors"]["python_function"]["model_code_path"] == "model_code.py"
    assert str(ROOT) not in (folder / "MLmodel").read_text()


def test_its_libraries_are_pinned_as_in_the_lock(made: Path) -> None:
    lines = (made / "mlflow" / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in lines} == {"mlflow", "numpy", "onnxruntime", "pillow"}
    lock = (ROOT / "requirements" / "dev.lock").read_text()
    assert all(f"\n{line} " in f"\n{lock}" for line in lines), lines


def test_it_says_what_it_takes_and_shows_an_example(made: Path) -> None:
    description = yaml.safe_load((made / "mlflow" / "MLmodel").read_text())
    assert json.loads(description["signature"]["inputs"]) == [{"type": "binary", "required": True}]
    (example,) = json.loads((made / "mlflow" / "serving_input_example.json").read_text())["inputs"]
    assert base64.b64decode(example) == (made / "package" / "golden" / "0.png").read_bytes()


def test_reached_code_is_found_in_functions_but_not_behind_type_checking(tmp_path: Path) -> None:
    files = {
        "a/__init__.py": "",
        "a/start.py": "import numpy\nfrom a import near\nif TYPE_CHECKING:\n    import a.types\n    import torch\n"
        "def f():\n    from a.deep import late\n    import pandas\n",
        "a/near.py": "import json, yaml\n",
        "a/deep/late.py": "from a.start import f\n",
        "a/types.py": "",
        "a/other.py": "import scipy\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    found = carried.code(["a.start"], tmp_path)
    assert [path.as_posix() for path in found] == ["a/__init__.py", "a/deep/late.py", "a/near.py", "a/start.py"]
    needed = carried.requirements(found, tmp_path)
    assert [line.partition("==")[0] for line in needed] == ["PyYAML", "numpy"]


def test_the_registered_version_is_a_model_that_loads(run: Run, made: Path, store: Path) -> None:
    head, tasks = params.load()
    with tracking.start("publish@detection", head, tasks["detection"]) as started:
        started.register(made / "mlflow", "detection", "champion")
    from mlflow import MlflowClient

    client = MlflowClient(tracking.uri())
    champion = client.get_model_version_by_alias("detection", "champion")
    assert client.get_run(champion.run_id).data.tags["stillhouse.key"] == started.key
    program = LOAD.replace("loaded =", f"mlflow.set_tracking_uri({tracking.uri()!r}); loaded =")
    done = run(program, "models:/detection@champion", made / "package" / "golden", folder=made)
    assert json.loads(done.stdout)[0] == [expected(made)] * 5


@pytest.fixture
def address(made: Path, tmp_path: Path) -> Iterator[str]:
    """`mlflow models serve` of the toy detector."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(made / "mlflow")]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.5)
            else:
                raise AssertionError((tmp_path / "log").read_text())
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            os.killpg(process.pid, 15)
            process.wait(30)


@pytest.mark.slow
def test_mlflows_server_gives_the_same_predictions(made: Path, address: str) -> None:
    files = sorted((made / "package" / "golden").glob("*.png"))
    texts = [base64.b64encode(path.read_bytes()).decode() for path in files]
    example = json.loads((made / "mlflow" / "serving_input_example.json").read_text())
    table = {"columns": ["image"], "data": [[text] for text in texts]}

    def ask(body: dict[str, Any]) -> Any:
        request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["predictions"]

    for body in ({"inputs": texts}, {"instances": texts}, {"dataframe_split": table}):
        assert ask(body) == expected(made), list(body)
    assert ask(example) == expected(made)[:1]
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask({"inputs": ["%%%"]})


@pytest.mark.slow
def test_models_of_two_tasks_live_in_one_process(run: Run, tmp_path: Path) -> None:
    """The second finds `core` and `tasks` imported from the first one's code, which lacks its task."""
    for name, make in (("detection", packages_tiny.detection), ("translation", packages_tiny.translation)):
        package = make(tmp_path / name)
        first = json.loads((package / "golden" / "samples.json").read_text(encoding="utf-8"))[0]
        example = (package / "golden" / first["file"]).read_bytes() if "file" in first else first["input"]
        model.save(package, tmp_path / f"mlflow_{name}", name, example, batch=8)
        write_json(tmp_path / f"{name}.json", first["output"])
    program = (
        "import json, mlflow\n"
        "for name in ('detection', 'translation'):\n"
        "    example = json.load(open(f'mlflow_{name}/serving_input_example.json'))['inputs']\n"
        "    assert mlflow.pyfunc.load_model(f'mlflow_{name}').predict(example) == [json.load(open(f'{name}.json'))]\n"
    )
    run(program, folder=tmp_path)
