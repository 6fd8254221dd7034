#!/bin/sh
# Makes a base image from Debian's packages, for machines that reach no image registry (tests, CI): Debian 12 with its own
# Python 3.11. Needs root, mmdebstrap and podman. About 50 s; with the image there already, nothing.
#   sh docker/base.sh [NAME]    default: localhost/stillhouse-base:bookworm
set -eu
name=${1:-localhost/stillhouse-base:bookworm}
if podman image exists "$name"; then
    echo "$name is there already; 'podman rmi $name' first makes it anew"
    exit 0
fi
tar=$(mktemp --suffix .tar)
trap 'rm -f "$tar"' EXIT
mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$tar"
podman import --quiet --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'CMD ["/bin/bash"]' "$tar" "$name"
