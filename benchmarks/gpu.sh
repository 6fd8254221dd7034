#!/usr/bin/env bash
# What a GPU gives, on a machine without a network, in at most 8 minutes. First where there is a network, and no GPU needed:
#
#   bash benchmarks/gpu.sh wheels [FOLDER]       what must be brought: names, versions, bytes; into FOLDER: fetch it
#   bash benchmarks/gpu.sh prepare FOLDER        the checkouts with the data that training reads; bring FOLDER along
#
# then where the GPU is, in a checkout of the same commit:
#
#   bash benchmarks/gpu.sh run FOLDER --out F    doctor, strict mode, training, ONNX Runtime; F is one JSON
#   bash benchmarks/gpu.sh table F               docs/gpu.md with the card's figures
#
# `prepare --cpu` and `run --cpu` try every step on a machine without a GPU, shortened; their figures go into no page.
# PYTHON names the interpreter; without it that of .venv, else python3.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
command -v "$python" >/dev/null || python=python3
case ${1:-} in
  wheels | prepare | run | table)
    export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
    exec "$python" -P -m "benchmarks.card.$1" "${@:2}"  # -P: not the benchmarks of the working directory
    ;;
esac
sed -n '/^# /s/^# //p' "$root/benchmarks/gpu.sh" >&2
exit 2
