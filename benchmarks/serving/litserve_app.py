"""A package behind LitServe, written as its documentation suggests: `python -m ... PACKAGE PORT THREADS WORKERS`."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import litserve

from core import task
from core.files import read_json


class Api(litserve.LitAPI):
    def __init__(self, package: Path, threads: int, batch: int) -> None:
        super().__init__(max_batch_size=batch, batch_timeout=0.002)
        self.package, self.threads = package, threads

    def setup(self, device: str) -> None:
        name = read_json(self.package / "model" / "model.json")["task"]
        self.predictor = task.load(name, "predict").Predictor(self.package / "model", threads=self.threads)

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # LitServe reads an annotation as a schema
        return base64.b64decode(request["image"]) if "image" in request else request["text"]

    def predict(self, inputs: Any) -> Any:
        """LitServe hands over a list only where batches may be larger than one."""
        return self.predictor(inputs) if isinstance(inputs, list) else self.predictor([inputs])[0]

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"output": output}


def main() -> None:
    package, port, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    batch = task.load(read_json(package / "model" / "model.json")["task"], "serve").MAX_BATCH
    server = litserve.LitServer(Api(package, threads, batch), accelerator="cpu", workers_per_device=int(sys.argv[4]))
    server.run(host="127.0.0.1", port=port, log_level="warning", generate_client_file=False, num_api_servers=1)


if __name__ == "__main__":
    main()
