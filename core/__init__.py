"""The ground every stage stands on: params, errors, files, tracking. A change here re-runs everything."""

import os

# ONNX Runtime sends usage data to its maker, from 1.31 on Linux too, unless it is told not to before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
