"""What is given to Kubernetes, against the schemas of its API: the oldest and the newest that the library has.

They are strict: a field that the API does not know is refused, where a server would only warn and leave it out.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.deploy import pools
from pipelines.deploy.declared import KubernetesPool

schemas = pytest.importorskip("kubernetes_validate", reason="requirements/containers.lock is not installed")

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ("1.25", "1.37")
DOCUMENTS = list(yaml.safe_load_all((ROOT / "docs" / "kubernetes.yaml").read_text(encoding="utf-8")))
PREFECTS = ("completions", "parallelism")
"""Of the pod, where Prefect's worker asks for them; Kubernetes knows them a level above, and these are its defaults."""


def job(**more: Any) -> dict[str, Any]:
    """The manifest of a run, as Prefect's worker fills it in."""
    declared = {"type": "kubernetes", "image": "stillhouse-train:latest", **more}
    pool = KubernetesPool.model_validate(declared)
    manifest: dict[str, Any] = copy.deepcopy(pools.template(pool)["job_configuration"]["job_manifest"])
    pod = manifest["spec"]["template"]["spec"]
    assert pod["containers"][0]["env"] == "{{ env }}"
    pod["containers"][0]["env"] = [{"name": "DO_NOT_TRACK", "value": "1"}]
    manifest["metadata"]["generateName"] = "prefect-job-"
    return manifest


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", DOCUMENTS, ids=[document["kind"] for document in DOCUMENTS])
def test_the_servers_manifests_are_kubernetes_own(document: dict[str, Any], version: str) -> None:
    assert schemas.validate(document, version, strict=True) == version


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "pool",
    [
        {},
        {
            "gpus": 1,
            "memory": "32g",
            "shared_memory": "512m",
            "cpus": "0.5",
            "namespace": "ml",
            "service_account": "trainer",
            "pull": "Always",
            "keep": "2d",
        },
    ],
    ids=["least", "most"],
)
def test_a_pools_job_is_kubernetes_own_but_for_what_prefect_wants(pool: dict[str, Any], version: str) -> None:
    manifest = job(**pool)
    assert schemas.validate(manifest, version, strict=False) == version
    for name in PREFECTS:
        assert manifest["spec"]["template"]["spec"].pop(name) == 1
    assert schemas.validate(manifest, version, strict=True) == version


def test_what_is_wrong_would_be_found() -> None:
    wrong = copy.deepcopy(next(document for document in DOCUMENTS if document["kind"] == "Deployment"))
    wrong["spec"]["template"]["spec"]["containers"][0]["resource"] = {}
    with pytest.raises(schemas.ValidationError, match="resource"):
        schemas.validate(wrong, VERSIONS[-1], strict=True)
