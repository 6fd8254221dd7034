#!/bin/sh
# Registers the stack's pool and deployment as /source declares them, then takes runs.
set -eu

if ! [ -r /source/params.yaml ] || ! [ -r /source/.git/HEAD ]; then
    # Not `chmod -R` on the checkout that the stack was started from: docker/.env holds every password.
    echo "error: STACK_SOURCE is no checkout that user $(id -u) may read; clone it to where this user may" >&2
    echo "  (umask 022; git clone . /srv/stillhouse) and write STACK_SOURCE=/srv/stillhouse into docker/.env" >&2
    exit 1
fi
rm -rf "$TMPDIR" # clones of runs that ended with this container
mkdir -p "$TMPDIR" "$STILLHOUSE_DVC_CACHE" "$DVC_SITE_CACHE_DIR"
cd /source
python -m pipelines.deploy --file docker/stack/deployments.yaml
python -m pipelines.deploy.crashed stack
cd /workspace
exec prefect worker start --pool stack --type process --name stack --with-healthcheck
