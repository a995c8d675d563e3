# The image: `docker build .` for NVIDIA GPUs, `docker build --build-arg VARIANT=cpu .` without.
# See docs/image.md. There is no "# syntax" line, because its frontend would have to be downloaded.
ARG BASE_IMAGE=debian:bookworm-slim
ARG VARIANT=cuda

FROM ${BASE_IMAGE} AS python
# Security fixes of a stable release matter more than pinned versions.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin

FROM python AS tools
# hadolint ignore=DL3008,DL3009
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-pip \
    && python3 -m venv --without-pip /opt/venv
# Another package index; pip reads it.
ARG PIP_INDEX_URL

FROM tools AS lock-cpu
COPY requirements.txt /lock/requirements.txt

FROM tools AS lock-cuda
COPY requirements-gpu.txt /lock/requirements.txt

# hadolint ignore=DL3006
FROM lock-${VARIANT} AS packages
COPY requirements-insightface.txt /lock/
# Wheels only: nothing is compiled. --no-deps: the locks are complete, except for colliding packages.
# For a proxy with its own certificate, use --secret id=ca_bundle,src=FILE.
RUN --mount=type=secret,id=ca_bundle --mount=type=cache,target=/root/.cache/pip \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi; \
    for lock in requirements.txt requirements-insightface.txt; do \
        python3 -m pip --python /opt/venv install --quiet --disable-pip-version-check \
            --no-deps --only-binary :all: --require-hashes -r "/lock/$lock" || exit 1; \
    done

FROM packages AS program
WORKDIR /opt
COPY app app
COPY models models
COPY scripts/entrypoint.sh scripts/
COPY serve ./
# The model pack in the image. Weights in the checkout are used if their hash is right; others are
# downloaded. No other pack replaces it: if its publisher is unreachable, build with MODELS=dlib.
ARG MODELS=open
# Runs with the system's Python, which has pip, and with the packages of the image.
RUN --mount=type=secret,id=ca_bundle --mount=type=cache,target=/root/.cache/pip \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi; \
    export PYTHONDONTWRITEBYTECODE=1; \
    PYTHONPATH=$(echo /opt/venv/lib/python3*/site-packages) python3 -m app.cli models fetch "$MODELS" --no-substitute \
    && find models -mindepth 1 -maxdepth 1 ! -name "$MODELS" -exec rm -rf {} + \
    && python3 -m compileall -q --invalidation-mode unchecked-hash app \
    && chmod -R a+rX,go-w app models scripts serve

FROM python AS base-cpu

FROM python AS base-cuda
# 8-bit weights are for CPUs: CUDA has no kernels for them, and this older runtime cannot load them.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video \
    FACE_BLUR_PRECISION=float

# hadolint ignore=DL3006
FROM base-${VARIANT} AS image
COPY --from=packages /opt/venv /opt/venv
# CUDA and cuDNN are wheels: tell the loader where their libraries are.
RUN find /opt/venv -type d -path '*/nvidia/*/lib' >/etc/ld.so.conf.d/face-blur.conf \
    && ldconfig \
    && useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin face-blur
COPY --from=program /opt/models /opt/models
COPY --from=program /opt/app /opt/app
COPY --from=program /opt/scripts /opt/scripts
COPY --from=program /opt/serve /opt/serve
ARG MODELS=open
ARG REVISION=unknown
# ONNX Runtime would send telemetry, and SVT-AV1 always writes to stderr. Only the container's own
# network reaches the service; the host publishes its port or does not.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    ORT_DISABLE_TELEMETRY=1 \
    SVT_LOG=1 \
    FACE_BLUR_HOST=0.0.0.0 \
    FACE_BLUR_MODELS=${MODELS}
LABEL org.opencontainers.image.title="face-blur" \
      org.opencontainers.image.description="Hide chosen people's faces in video" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}" \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port="true"
# 0 for Processing jobs, whose folders belong to root: docs/decisions/processing-user.md
ARG USER_ID=10001
USER ${USER_ID}:${USER_ID}
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["python3", "-c", \
    "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('SAGEMAKER_BIND_TO_PORT', '8080') + '/ping', timeout=4)"]
ENTRYPOINT ["/opt/scripts/entrypoint.sh"]
CMD ["--help"]
