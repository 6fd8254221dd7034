"""Open MLflow's UI on the store that the stages log to: `python -m pipelines.ui [--port 5000]`."""

from __future__ import annotations

import argparse
import os
import sys

from ops import tracking


def main() -> None:
    parser = argparse.ArgumentParser(description="MLflow's UI on the runs made here.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5000)
    arguments = parser.parse_args()
    uri = tracking.uri()
    if not uri.startswith("sqlite:"):
        print(f"MLFLOW_TRACKING_URI names a server, open it in a browser: {uri}")
        return
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    os.execv(sys.executable, [*command, "--host", arguments.host, "--port", str(arguments.port)])  # noqa: S606 - our own interpreter, no user text


if __name__ == "__main__":
    main()
