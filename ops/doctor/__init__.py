"""What of driver, CUDA, cuDNN, torch and ONNX Runtime is here, and whether it fits: `python -m ops.doctor`.

Nothing here imports torch, onnx or pydantic at its top: the doctor works in the server's image, too.
"""
