"""The HTTP server for packaged models (`python -m serving`); imports no torch."""
