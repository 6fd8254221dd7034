"""The server against bare ONNX Runtime, its limits, and other servers: `python -m benchmarks.serving`."""
