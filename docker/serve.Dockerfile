# stillhouse-serve: ONNX Runtime and the model server; no torch, no compiler. `python docker/build.py serve` builds it.
# stillhouse-serve-gpu is this file with a CUDA base and another lock: `python docker/build.py serve-gpu`.
#
#   BASE    apt-based. One without Python 3.11 (nvidia/cuda on Ubuntu 24.04 has 3.12) gets PYTHON's /usr/local.
#   PYTHON  where that comes from; a base that has Python 3.11 is named here too, so that no other image is needed.
#   LOCK    one of requirements/*.lock
# Tags with the digests of their indexes of all architectures, as other public Dockerfiles have them.
ARG BASE=python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d
ARG PYTHON=python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d

# Filled by `--build-context wheels=FOLDER`: wheels for a machine without an index. Empty otherwise.
FROM scratch AS wheels

# hadolint ignore=DL3006
FROM ${PYTHON} AS python

# hadolint ignore=DL3006
FROM ${BASE} AS ground
ARG PYTHON
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# The interpreter copied onto a base without it needs the libraries named, in the distribution's versions, with its security
# updates; the import fails the build when one lacks.
# hadolint ignore=DL3008
RUN --mount=type=bind,from=python,source=/usr/local,target=/python \
    set -eu; \
    export DEBIAN_FRONTEND=noninteractive; \
    if ! command -v python3.11 >/dev/null; then \
        apt-get update; \
        apt-get install -y --no-install-recommends \
            ca-certificates libbz2-1.0 libexpat1 libffi8 liblzma5 libsqlite3-0 libssl3 libuuid1 zlib1g; \
        rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log; \
        cp -a /python/bin/python3* /usr/local/bin/; \
        find /python/lib -maxdepth 1 -name 'libpython3*' -exec cp -a {} /usr/local/lib/ \;; \
        cp -a /python/lib/python3.11 /usr/local/lib/; \
        rm -rf /usr/local/lib/python3.11/site-packages/*; \
        ldconfig; \
    fi; \
    python3.11 -c "import bz2, ctypes, lzma, sqlite3, ssl, uuid, zlib"; \
    groupadd --gid 10001 stillhouse; \
    useradd --uid 10001 --gid 10001 --create-home --no-log-init --shell /usr/sbin/nologin stillhouse; \
    chmod 755 /var/tmp /run/lock

FROM ground AS builder
ARG LOCK=serve.lock
# Copied, not mounted: not every engine makes a layer again when what a mount holds has changed.
COPY requirements/${LOCK} /requirements/
# pip's own settings (an index, a certificate) come as secrets, which are in no layer; a plain internet needs none.
# --no-compile: byte code is written at the end, valid whatever a copy does to modification times.
# The cache is a mount, in no layer.
# hadolint ignore=DL3042
RUN --mount=type=bind,from=wheels,target=/wheels \
    --mount=type=secret,id=pip,target=/run/secrets/pip.conf \
    --mount=type=secret,id=ca,target=/run/secrets/ca.pem \
    --mount=type=cache,target=/cache/pip \
    set -eu; \
    export PIP_CONFIG_FILE=/run/secrets/pip.conf PIP_CACHE_DIR=/cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1; \
    python3.11 -m venv /opt/venv; \
    pip install --no-compile --require-hashes --no-deps --find-links /wheels -r "/requirements/${LOCK}"; \
    pip check; \
    pip uninstall --yes setuptools pip; \
    find /opt/venv -name __pycache__ -prune -exec rm -rf {} +; \
    python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

FROM ground AS code
COPY docker/sbom.py LICENSE /app/
COPY core /app/core
COPY modalities /app/modalities
COPY ops /app/ops
COPY tasks /app/tasks
COPY serving /app/serving
RUN python3.11 -m compileall -q --invalidation-mode unchecked-hash /app

FROM ground
# What changes seldom comes first: a change of code makes the last few layers again, in seconds.
COPY --from=builder /opt/venv /opt/venv
# CUDA's libraries come from wheels (serve-gpu.lock). ONNX Runtime loads them by name; torch, whose import would load
# them first, is not here, so the loader is told where they are. Folders that are not there are passed over.
# ONNX Runtime 1.31 sends usage data to its maker unless it is told not to before it starts.
ENV HOME=/home/stillhouse \
    PYTHONUNBUFFERED=1 \
    DO_NOT_TRACK=1 \
    ORT_DISABLE_TELEMETRY=1 \
    LD_LIBRARY_PATH=/opt/venv/lib/python3.11/site-packages/nvidia/cu13/lib:/opt/venv/lib/python3.11/site-packages/nvidia/cudnn/lib:/usr/local/nvidia/lib:/usr/local/nvidia/lib64
COPY --from=code /app /app
WORKDIR /app
ARG NAME=stillhouse-serve
ARG BASE
ARG VERSION=unknown
ARG COMMIT=unknown
RUN python /app/sbom.py --name "${NAME}" --version "${VERSION}" --commit "${COMMIT}" "/usr/share/sbom/${NAME}.cdx.json"
LABEL org.opencontainers.image.title="${NAME}" \
      org.opencontainers.image.description="HTTP server of packaged ONNX models" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.base.name="${BASE}"
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/v2/health/live', timeout=4)"]
# Later arguments win: `--host=::` or another port may follow. A port of its own needs a health check of its own.
ENTRYPOINT ["python", "-m", "serving", "--host=0.0.0.0"]
CMD ["--help"]
