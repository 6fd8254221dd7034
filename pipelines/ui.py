"""Open MLflow's UI on the store that the stages log to: `python -m pipelines.ui [--port 5000]`.

It listens on the loopback and stands behind `pipelines.gate`, for it asks nobody who they are: another machine is not
answered, nor a page of another site. Everybody on this machine is.
"""

from __future__ import annotations

import argparse
import os
import sys

from core import paths
from core.errors import StillhouseError
from ops import tracking
from pipelines import gate

HOST = "127.0.0.1"


def main() -> None:
    parser = argparse.ArgumentParser(description="MLflow's UI on the runs made here.")
    parser.add_argument("--port", type=int, default=5000)
    port = parser.parse_args().port
    uri = tracking.uri()
    if not uri.startswith("sqlite:"):
        print(f"MLFLOW_TRACKING_URI names a server, open it in a browser: {tracking.place()}")
        return
    try:
        tracking.bring_home()
    except StillhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    hosts = gate.loopback(port)
    os.environ |= {
        gate.HOSTS: hosts,
        gate.FOLDER: str(paths.STATE / "mlflow" / "gate"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # evaluations by language models: 1 GB that nobody here asks for
    }
    os.environ.pop(gate.PASSWORD, None)
    own = f"http://{HOST}:{port}"
    arguments = ["mlflow", "server", "--backend-store-uri", uri, "--host", HOST, "--port", str(port), "--workers", "1"]
    gate.main([*arguments, "--allowed-hosts", hosts, "--cors-allowed-origins", own])


if __name__ == "__main__":
    main()
