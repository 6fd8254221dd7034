"""What a host's fork server imports besides DVC (`pipelines.flow.preload`): what its attempts need of others."""

from __future__ import annotations

import importlib
from contextlib import suppress

for module in ("dvc_s3", "s3fs", "aiobotocore.session", "botocore.parsers", "pipelines.flow.hosts.attempt"):
    with suppress(ImportError):
        importlib.import_module(module)
