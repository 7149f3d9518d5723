# The entitlement sidecar: no compiler, no shell needed, not root, nothing written outside of
# /var/lib/sidecar (counters, logs) and /tmp.
#
#   docker build -t mozaiks-sidecar .
#   docker run -p 127.0.0.1:8377:8377 -e SIDECAR_INSECURE=true mozaiks-sidecar

FROM python:3.12-slim-bookworm AS build
WORKDIR /build
COPY helm/build.lock helm/image.lock ./
RUN python -m pip install --no-cache-dir --require-hashes --only-binary=:all: -r build.lock \
 && python -m venv --without-pip /opt/sidecar \
 && python -m pip --python /opt/sidecar/bin/python install --no-cache-dir --no-deps \
      --require-hashes --only-binary=:all: -r image.lock
COPY pyproject.toml README.md CHANGELOG.md LICENSE ./
COPY sidecar ./sidecar
COPY policies ./policies
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
 && python -m pip --python /opt/sidecar/bin/python install --no-cache-dir --no-deps dist/*.whl \
 && /opt/sidecar/bin/python -m compileall -q /opt/sidecar/lib

FROM python:3.12-slim-bookworm
RUN groupadd --system --gid 65532 sidecar \
 && useradd --system --uid 65532 --gid sidecar --home-dir /var/lib/sidecar --create-home sidecar
COPY --from=build /opt/sidecar /opt/sidecar
COPY policies /etc/sidecar/shipped
ENV PATH=/opt/sidecar/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /var/lib/sidecar
VOLUME /var/lib/sidecar
EXPOSE 8377
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["python", "-m", "sidecar.alive", "http://127.0.0.1:8377/healthz"]
ENTRYPOINT ["sidecar"]
CMD ["serve", "--host", "0.0.0.0", "--log-format", "json"]
