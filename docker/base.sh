#!/bin/sh
# Makes a base image from Debian's packages, for machines that reach no image registry (tests, CI): Debian 12 with its own
# Python 3.11. Needs root, mmdebstrap and docker or podman. About 50 s; with the image there already, nothing.
#   sh docker/base.sh [NAME]    default: localhost/stillhouse-base:bookworm
set -eu
name=${1:-localhost/stillhouse-base:bookworm}
engine=${ENGINE:-$(if docker info >/dev/null 2>&1; then echo docker; else echo podman; fi)}
if "$engine" image inspect "$name" >/dev/null 2>&1; then
    echo "$name is there already; '$engine rmi $name' first makes it anew"
    exit 0
fi
tar=$(mktemp --suffix .tar)
trap 'rm -f "$tar"' EXIT
mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$tar"
"$engine" import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'CMD ["/bin/bash"]' "$tar" "$name"
