"""Stages in containers: `make flow ARGS="--in docker"`, or podman (docs/containers.md).

DVC runs on this side, as for stages here, and owns order, cache and dvc.lock; the command of a stage runs in an image.
`engine` is who runs containers, `images` what they are made of, `mounts` what they see of the checkout. `place` starts
stages; beside each of them, as the process that DVC takes for its command, `supervisor` holds its container.
"""
