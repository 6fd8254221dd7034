"""docs/kubernetes.yaml says what the server understands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from running import Running

from serving import cores
from serving.settings import parse

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS: dict[str, Any] = {
    document["kind"]: document for document in yaml.safe_load_all((ROOT / "docs" / "kubernetes.yaml").read_text())
}
POD = DOCUMENTS["Deployment"]["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]
POD_PACKAGES = next(mount["mountPath"] for mount in CONTAINER["volumeMounts"] if mount["name"] == "packages")


def test_its_flags_are_the_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server finds the CPU limit itself, see `test_ways`: as many threads compute."""
    limit = int(CONTAINER["resources"]["limits"]["cpu"])
    monkeypatch.setattr(cores, "available", lambda: limit)
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    arguments = [word.replace("/token/token", str(token)) for word in CONTAINER["args"]]
    settings, _ = parse(arguments)
    assert settings.packages == {"packages": Path(POD_PACKAGES)}
    assert settings.drain_s + settings.drain_delay_s < POD["terminationGracePeriodSeconds"]
    assert settings.way.workers * settings.way.instances * settings.way.threads == limit
    assert settings.token == "0123456789abcdef"


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_its_probes_are_answered(server: Running, probe: str) -> None:
    assert server.http.get(CONTAINER[probe]["httpGet"]["path"]).status_code == 200


def test_an_empty_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(DOCUMENTS["Secret"]["stringData"]["token"])
    with pytest.raises(SystemExit):
        parse(["package", "--token-file", str(tmp_path / "token")])
