# stillhouse-train: everything a pipeline stage needs, with torch and ONNX Runtime for CUDA 13, and the tools of the stack
# (Prefect, MLflow, DVC); no compiler. `python docker/build.py train` builds it.
# stillhouse-train-cpu is this file with another base and lock: `python docker/build.py train-cpu`.
#
#   BASE         apt-based. One without Python 3.11 (nvidia/cuda on Ubuntu 24.04 has 3.12) gets PYTHON's /usr/local.
#                CUDA 13.0 as torch's wheels have it, so that both ask for the same driver (580 or newer).
#   PYTHON       where that comes from; a base that has Python 3.11 is named here too, so that no other image is needed.
#   LOCK         one of requirements/*.lock; one without torch gets that of requirements/torch.txt
#   TORCH_INDEX  the index for that torch, if not pip's own: PyTorch's site names one for builds without CUDA
# Tags with the digests of their indexes of all architectures, as other public Dockerfiles have them.
ARG BASE=nvidia/cuda:13.0.2-runtime-ubuntu24.04@sha256:6a0e31b59e70890446f2c17356d6efc0d54260090a8c63d6ca7c2ad049db95d2
ARG PYTHON=python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d

# Filled by `--build-context wheels=FOLDER`: wheels for a machine without an index. Empty otherwise.
FROM scratch AS wheels

# hadolint ignore=DL3006
FROM ${PYTHON} AS python

# hadolint ignore=DL3006
FROM ${BASE} AS ground
ARG PYTHON
ENV PATH=/opt/venv/bin:/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# git: DVC and the worker's clones; tini: init, for the many processes of a run. Versions are the distribution's, with its
# security updates. The interpreter copied needs the libraries named; the import fails the build when one lacks.
# hadolint ignore=DL3008
RUN --mount=type=bind,from=python,source=/usr/local,target=/python \
    set -eu; \
    export DEBIAN_FRONTEND=noninteractive; \
    apt-get update; \
    apt-get install -y --no-install-recommends ca-certificates git tini; \
    if ! command -v python3.11 >/dev/null; then \
        apt-get install -y --no-install-recommends \
            libbz2-1.0 libexpat1 libffi8 liblzma5 libsqlite3-0 libssl3 libuuid1 zlib1g; \
        cp -a /python/bin/python3* /usr/local/bin/; \
        find /python/lib -maxdepth 1 -name 'libpython3*' -exec cp -a {} /usr/local/lib/ \;; \
        cp -a /python/lib/python3.11 /usr/local/lib/; \
        rm -rf /usr/local/lib/python3.11/site-packages/*; \
        ldconfig; \
    fi; \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log; \
    python3.11 -c "import bz2, ctypes, lzma, sqlite3, ssl, uuid, zlib"; \
    groupadd --gid 10001 stillhouse; \
    useradd --uid 10001 --gid 10001 --create-home --no-log-init --shell /bin/sh stillhouse; \
    install -d -o 10001 -g 10001 /workspace; \
    chmod 755 /var/tmp /run/lock

FROM ground AS builder
ARG LOCK=train.lock
ARG TORCH_INDEX=
# Copied, not mounted: not every engine makes a layer again when what a mount holds has changed.
COPY requirements/${LOCK} requirements/torch.txt /requirements/
# pip's own settings (an index, a certificate) come as secrets, which are in no layer; a plain internet needs none.
# --no-compile: byte code is written at the end, valid whatever a copy does to modification times.
# The cache is a mount, in no layer.
# hadolint ignore=DL3042
RUN --mount=type=bind,from=wheels,target=/wheels \
    --mount=type=secret,id=pip,target=/run/secrets/pip.conf \
    --mount=type=secret,id=ca,target=/run/secrets/ca.pem \
    --mount=type=cache,target=/cache/pip \
    set -eu; \
    export PIP_CONFIG_FILE=/run/secrets/pip.conf PIP_CACHE_DIR=/cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1; \
    python3.11 -m venv /opt/venv; \
    pip install --require-hashes --no-deps --find-links /wheels -r "/requirements/${LOCK}"; \
    if ! grep -q '^torch==' "/requirements/${LOCK}"; then \
        pip install --find-links /wheels ${TORCH_INDEX:+--index-url "${TORCH_INDEX}"} -r /requirements/torch.txt; \
    fi; \
    pip check
# Left out: pip, C headers, torch's tools (a protoc among them), and packages' own tests but those of numpy, which its
# code imports. A few packages carry templates that are no Python, at which compileall ends with 1.
WORKDIR /opt/venv/lib/python3.11/site-packages
RUN set -eu; \
    python -m pip uninstall --yes pip; \
    rm -rf torch/include torch/test pyarrow/include; \
    find torch/bin -mindepth 1 ! -name torch_shm_manager -delete; \
    find matplotlib pandas pyarrow scipy sklearn sympy -type d -name tests -prune -exec rm -rf {} +; \
    find /opt/venv -name __pycache__ -prune -exec rm -rf {} +; \
    python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib || true; \
    echo /app > stillhouse.pth

FROM ground AS code
COPY docker/sbom.py LICENSE /app/
COPY compression /app/compression
COPY core /app/core
COPY devices /app/devices
COPY ops /app/ops
COPY evaluation /app/evaluation
COPY modalities /app/modalities
COPY pipelines /app/pipelines
COPY presets /app/presets
COPY serving /app/serving
COPY stages /app/stages
COPY tasks /app/tasks
COPY training /app/training
COPY validation /app/validation
COPY params.yaml matrix.yaml dvc.yaml /app/
RUN python3.11 -m compileall -q --invalidation-mode unchecked-hash /app

FROM ground
# What changes seldom comes first: a change of code makes the last few layers again, in seconds.
# /app is the last place where modules are looked for (stillhouse.pth): a clone in /workspace runs its own code, and in an
# empty one `python -m ops.doctor` still works.
COPY --from=builder /opt/venv /opt/venv
# CUDA's libraries come from wheels (train.lock), on which torch and onnxruntime-gpu agree. torch finds them by itself; ONNX
# Runtime when torch was imported before, after onnxruntime.preload_dlls(), or, as here, when the loader is told where
# they are. The wheels come before the base's own copies. Folders that are not there are passed over.
# ONNX Runtime 1.31 sends usage data to its maker unless it is told not to before it starts; so do the others.
ENV HOME=/home/stillhouse \
    PYTHONUNBUFFERED=1 \
    LD_LIBRARY_PATH=/opt/venv/lib/python3.11/site-packages/nvidia/cu13/lib:/opt/venv/lib/python3.11/site-packages/nvidia/cudnn/lib:/usr/local/nvidia/lib:/usr/local/nvidia/lib64 \
    DVC_SITE_CACHE_DIR=/tmp/dvc \
    DO_NOT_TRACK=1 \
    DVC_NO_ANALYTICS=1 \
    GX_ANALYTICS_ENABLED=false \
    MLFLOW_DISABLE_TELEMETRY=true \
    ORT_DISABLE_TELEMETRY=1 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false
COPY --from=code /app /app
# What must be writable, besides /tmp. With a read-only root: HOME=/tmp, or a volume over /home/stillhouse.
WORKDIR /workspace
VOLUME /workspace
ARG NAME=stillhouse-train
ARG BASE
ARG VERSION=unknown
ARG COMMIT=unknown
RUN python /app/sbom.py --name "${NAME}" --version "${VERSION}" --commit "${COMMIT}" "/usr/share/sbom/${NAME}.cdx.json"
LABEL org.opencontainers.image.title="${NAME}" \
      org.opencontainers.image.description="Stages of the pipeline, and the tools of its stack" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.base.name="${BASE}"
USER 10001:10001
# Of whatever runs here: the interpreter starts, and a stage could write. A service of the stack has a check of its own.
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import tempfile as t; [t.TemporaryFile(dir=d).write(b'0') for d in ('/tmp', '/workspace')]"]
ENTRYPOINT ["tini", "-g", "--"]
CMD ["python", "-m", "ops.doctor"]
