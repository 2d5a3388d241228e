# Soulcaster's image: every process of a server, and every command but `run` and `bench`.
#
#   docker build --tag soulcaster .
#   docker run --read-only --tmpfs /tmp soulcaster --help
#
# Behind a mirror or a proxy of your own: --secret id=pip,src=pip.conf --secret id=ca,src=ca.crt, where pip.conf may say
# `cert = /run/secrets/ca`. docs/deploy.md says more.

# Any Debian with Python 3.11 or newer and its venv serves. `make image` builds here with one made by mmdebstrap.
ARG BASE=docker.io/library/python:3.13.15-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285

FROM ${BASE} AS builder
WORKDIR /src
RUN python3 -m venv /opt/build && python3 -m venv /opt/soulcaster
COPY deploy/image/build.lock deploy/image/requirements.lock deploy/image/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    /opt/build/bin/pip install --no-cache-dir --only-binary :all: --require-hashes -r deploy/image/build.lock \
    && /opt/soulcaster/bin/pip install --no-cache-dir --only-binary :all: --require-hashes -r deploy/image/requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY soulcaster soulcaster
COPY agents agents
COPY tables tables
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /dist . \
    && /opt/soulcaster/bin/pip install --no-cache-dir --no-deps --no-index /dist/*.whl \
    && /opt/soulcaster/bin/pip uninstall --yes pip

FROM ${BASE} AS soulcaster
# Fixed ids: whoever mounts a folder can give it to them.
RUN groupadd --gid 10001 soulcaster \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin soulcaster \
    && install -d -o 10001 -g 10001 -m 700 /var/lib/soulcaster
COPY --from=builder /opt/soulcaster /opt/soulcaster
COPY --chmod=755 deploy/image/health.py /usr/local/bin/soulcaster-health
# Nothing is written but to /tmp and, where a setting says so, below /var/lib/soulcaster.
ENV PATH=/opt/soulcaster/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SOULCASTER_HOST=0.0.0.0 \
    SOULCASTER_METRICS_HOST=0.0.0.0 \
    SOULCASTER_METRICS_PORT=9464
WORKDIR /var/lib/soulcaster
USER 10001:10001
EXPOSE 8080 9464
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 CMD ["soulcaster-health"]
ENTRYPOINT ["soulcaster"]
CMD ["--help"]
# Last, because the revision changes with every commit.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Soulcaster" \
      org.opencontainers.image.description="Turns a stream of user feedback into a short, ranked list of real problems." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
