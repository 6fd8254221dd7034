"""What the images hold, and above all what they do not: compilers, ways to more rights, secrets."""

from __future__ import annotations

import json
import os
import re
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from built import CPU, PLANTED, Built
from engine import Engine

COMPILER = re.compile(
    r"(?:[a-z0-9_]+-linux-gnu-)?(?:gcc|cc|g\+\+|c\+\+|clang|clang\+\+|tcc|cpp|ld|ld\.bfd|ld\.gold|as|c89|c99|gfortran)"
    r"(?:-\d+(?:\.\d+)?)?|g?make|cmake|ninja|rustc|cargo|go|nvcc|ptxas|protoc(?:-[\d.]+)?|pip3?(?:\.\d+)?|uv"
)
SECRET_NAMES = re.compile(r"\.env(\..*)?|\.git|\.netrc|\.pypirc|pip\.conf|\.aws|id_(rsa|ed25519|ecdsa)|secrets\.json")
SECRETS = (
    PLANTED.encode(),
    b"/run/secrets/ca.pem",  # in the pip.conf that docker/build.py writes
)
PRIVATE_KEY = re.compile(rb"\s*-----BEGIN [A-Z ]*PRIVATE KEY-----")
"""A file that is one; libraries hold such words, too."""
WRITABLE = {"serve": {"/tmp", "/home/stillhouse"}, "train-cpu": {"/tmp", "/home/stillhouse", "/workspace"}}
PROBE = """
import os
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys", "/dev")]
    for path in [folder, *(os.path.join(folder, name) for name in files)]:
        if os.access(path, os.W_OK) and not os.path.islink(path):
            print(path)
"""


@pytest.fixture(params=CPU)
def built(request: pytest.FixtureRequest, image: Callable[[str], Built]) -> Built:
    return image(request.param)


def files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        for name in names:
            yield Path(folder, name)


def test_no_compiler(engine: Engine, built: Built) -> None:
    with engine.mounted(built.tag) as root:
        found = [path for path in files(root) if path.parent.name in ("bin", "sbin") and COMPILER.fullmatch(path.name)]
        assert not found
        assert not list(root.glob("usr/lib/gcc*/*/*/cc1*"))
        assert not list(root.glob("opt/venv/lib/python*/site-packages/pip"))


def test_the_search_for_compilers_would_find_one() -> None:
    for name in ("gcc", "x86_64-linux-gnu-gcc-12", "cc", "g++-12", "ld", "make", "protoc-3.13.0.0", "pip3.11"):
        assert COMPILER.fullmatch(name), name


def test_no_setuid_beyond_the_base(engine: Engine, base: str, built: Built) -> None:
    def risen(image: str) -> set[str]:
        with engine.mounted(image) as root:
            special = stat.S_ISUID | stat.S_ISGID
            return {
                str(path.relative_to(root))
                for path in files(root)
                if not path.is_symlink() and path.is_file() and path.lstat().st_mode & special
            }

    of_base = risen(base)
    assert of_base  # or the search finds nothing at all
    assert risen(built.tag) <= of_base


def test_the_user_may_write_only_where_it_should(engine: Engine, built: Built) -> None:
    """Asked as that user in a container whose root is not read-only: the rights alone must forbid it."""
    found = engine.once(built.tag, "python", "-c", PROBE).splitlines()
    assert set(found) >= {"/tmp"}
    assert not [path for path in found if not any(f"{path}/".startswith(f"{at}/") for at in WRITABLE[built.name])]


def test_code_and_packages_belong_to_root_and_are_byte_compiled(engine: Engine, built: Built) -> None:
    with engine.mounted(built.tag) as root:
        for folder in (root / "app", root / "opt" / "venv"):
            for path in (folder, *folder.rglob("*")):
                status = path.lstat()
                assert (status.st_uid, status.st_gid) == (0, 0), path
                assert path.is_symlink() or not status.st_mode & 0o022, path
        for source in (root / "app").rglob("*.py"):
            assert (source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc").exists(), source


def test_no_secret_in_any_layer(engine: Engine, built: Built, tmp_path: Path) -> None:
    """In every layer, also in what a later layer hides, and in the image's own settings and history."""
    archive = tmp_path / "image.tar"
    engine.call("save", "--output", str(archive), built.tag)
    with tarfile.open(archive) as image:
        manifest = image.extractfile("manifest.json")
        assert manifest
        layers = set(json.load(manifest)[0]["Layers"])
        assert len(layers) >= 4
        for member in filter(tarfile.TarInfo.isfile, image):
            content = image.extractfile(member)
            assert content
            if member.name not in layers:
                assert not [secret for secret in SECRETS if secret in content.read()], member.name
                continue
            layers.remove(member.name)
            with tarfile.open(fileobj=content) as layer:
                for entry in layer:
                    path = Path(entry.name)
                    assert not SECRET_NAMES.fullmatch(path.name) or _of_a_package(path), f"{member.name}: {path}"
                    data = layer.extractfile(entry) if entry.isfile() else None
                    text = data.read() if data else b""
                    assert not [secret for secret in SECRETS if secret in text], f"{member.name}: {path}"
                    assert not PRIVATE_KEY.match(text[:200]) or _of_a_package(path), f"{member.name}: {path}"
    assert not layers


def _of_a_package(path: Path) -> bool:
    """Empty mount points of the build, and what a Python package ships under such a name."""
    return "site-packages" in path.parts


def test_the_planted_secrets_are_really_there(tree: Path) -> None:
    assert PLANTED in (tree / "core" / ".env").read_text()
    assert (tree / ".git").is_dir()


def test_labels_user_and_health_check(engine: Engine, base: str, tree: Path, built: Built) -> None:
    settings = engine.inspect(built.tag)["Config"]
    head = engine.run(["git", "-C", str(tree), "rev-parse", "HEAD"]).stdout.strip()
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in settings["Labels"].items()}
    assert labels["title"] == f"stillhouse-{built.name}"
    assert labels["revision"].removesuffix("-dirty") == head
    assert re.fullmatch(r"\d+\.\d+\.\d+", labels["version"])
    assert (labels["licenses"], labels["base.name"]) == ("MIT", base)
    assert settings["User"] == "10001:10001"
    assert settings["Healthcheck"]["Test"][0] == "CMD"
    for name in ("DO_NOT_TRACK", "ORT_DISABLE_TELEMETRY"):
        assert f"{name}=1" in settings["Env"]


def test_the_loader_looks_in_no_folder_of_the_users(engine: Engine, built: Built) -> None:
    """An empty entry of these lists would be the working folder, in which a user may write."""
    for entry in engine.inspect(built.tag)["Config"]["Env"]:
        name, _, value = entry.partition("=")
        if name in ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH"):
            assert all(part.startswith(("/opt/", "/usr/", "/bin", "/sbin")) for part in value.split(":")), entry


def test_the_server_image_is_small(image: Callable[[str], Built]) -> None:
    assert 0 < image("serve").added_mb <= 600


def test_the_server_image_has_no_torch(engine: Engine, image: Callable[[str], Built]) -> None:
    code = "import importlib.util as u, json; print(json.dumps([n for n in %r if u.find_spec(n)]))"
    names = ("torch", "mlflow", "prefect", "dvc", "onnxruntime", "stages", "pipelines", "serving")
    found = json.loads(engine.once(image("serve").tag, "python", "-c", code % (names,)))
    assert found == ["onnxruntime", "serving"]
