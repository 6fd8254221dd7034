# PostgreSQL from Debian's packages, for a machine that reaches no registry: what docker/compose.yaml asks of the official
# image, and no more. docker/standins/build.sh makes BASE, which holds the packages.
# The folder of the socket has the owner and the rights that it has there: a new volume takes them over.
ARG BASE
# hadolint ignore=DL3006
FROM ${BASE}
COPY --chmod=755 postgres.sh /usr/local/bin/docker-entrypoint.sh
RUN mkdir -p /docker-entrypoint-initdb.d /var/lib/postgresql/data \
    && chown postgres:postgres /var/lib/postgresql/data \
    && install --directory --owner postgres --group postgres --mode 3777 /var/run/postgresql \
    && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/
ENV PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
# The package chooses the number.
# hadolint ignore=DL3066
USER postgres
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
