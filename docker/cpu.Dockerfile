# Written by `scripts/image dockerfiles` from ../Dockerfile, for builders that take a path but no arguments.
# podworker's image; docs/image.md explains it. VARIANT chooses the engine: cuda11.8 (Turing to Ada), cuda12.8 (Hopper,
# Blackwell) or cpu. docker/*.Dockerfile are this file with another VARIANT: edit this one, then run
# `scripts/image dockerfiles`.
ARG VARIANT=cpu
# A model to put into the image, such as Qwen/Qwen3-8B-GGUF:Q4_K_M.
ARG MODEL=

# What it is built from. A base image may be pinned by digest, or be one that you keep yourself.
ARG BASE_IMAGE=docker.io/library/debian:bookworm-slim
ARG UV_IMAGE=ghcr.io/astral-sh/uv:0.13.9
# The CUDA toolkit that compiles the engine, and the engine itself: stages of this file, or images of yours.
ARG TOOLKIT_IMAGE=toolkit-${VARIANT}
ARG ENGINE_IMAGE=engine-${VARIANT}

FROM ${UV_IMAGE} AS uv

# --- The system: Debian's own Python 3.11, OpenMP for the engine, and an init of 30 kB that reaps orphans.
FROM ${BASE_IMAGE} AS base
SHELL ["/bin/sh", "-eu", "-c"]
RUN export DEBIAN_FRONTEND=noninteractive; \
  apt-get update; \
  apt-get install -y --no-install-recommends ca-certificates libgomp1 libstdc++6 python3.11 tini; \
  rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*; \
  useradd --uid 1000 --create-home podworker; \
  install -d -o podworker -g podworker /home/podworker/.cache

# --- Python packages, exactly those of the lock. Nothing of podworker yet: this layer stays until the lock changes.
# Their libraries are stripped of debugging symbols, a fifth of the whole, and loaded once to see that they still can be.
FROM base AS dependencies
COPY --from=uv /uv /usr/local/bin/uv
RUN export DEBIAN_FRONTEND=noninteractive; apt-get update; apt-get install -y --no-install-recommends binutils
ENV UV_PROJECT_ENVIRONMENT=/opt/podworker UV_PYTHON=/usr/bin/python3.11 UV_PYTHON_DOWNLOADS=never \
  UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_NO_DEV=1
WORKDIR /source
RUN --mount=type=cache,target=/root/.cache/uv \
  --mount=type=bind,source=pyproject.toml,target=/source/pyproject.toml \
  --mount=type=bind,source=uv.lock,target=/source/uv.lock \
  uv sync --locked --extra otlp --no-install-project --no-install-package xllamacpp; \
  find /opt/podworker -name '*.so' -exec strip --strip-unneeded {} +; \
  find /opt/podworker -name '*.so' -exec /opt/podworker/bin/python -c \
    'import ctypes, sys; [ctypes.CDLL(library) for library in sys.argv[1:]]' {} +

# --- podworker itself, without the packages around it.
FROM dependencies AS project
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY src src
RUN --mount=type=cache,target=/root/.cache/uv \
  uv sync --locked --extra otlp --no-editable --no-install-package xllamacpp; \
  packages=opt/podworker/lib/python3.11/site-packages; \
  mkdir -p /project/opt/podworker/bin /project/$packages; \
  cp /opt/podworker/bin/podworker /project/opt/podworker/bin/; \
  cp -r /$packages/podworker* /project/$packages/

# --- The engine of the CPU image: llama.cpp as the locked wheel, without its debugging symbols (a fifth of the size).
FROM dependencies AS engine-cpu
RUN --mount=type=cache,target=/root/.cache/uv \
  --mount=type=bind,source=pyproject.toml,target=/source/pyproject.toml \
  --mount=type=bind,source=uv.lock,target=/source/uv.lock \
  uv sync --locked --extra otlp --no-install-project; \
  packages=opt/podworker/lib/python3.11/site-packages; \
  strip --strip-unneeded /$packages/xllamacpp/*.so; \
  mkdir -p /engine/$packages; \
  mv /$packages/xllamacpp* /engine/$packages/

# --- The engine of the CUDA images: llama-server, compiled from the same release; the locked sdist carries its source.
FROM dependencies AS source
COPY docker/engine-source.py /
RUN --mount=type=bind,source=uv.lock,target=/source/uv.lock python3.11 /engine-source.py uv.lock /llama.cpp

FROM docker.io/nvidia/cuda:11.8.0-devel-ubuntu22.04 AS toolkit-cuda11.8

FROM docker.io/nvidia/cuda:12.8.1-devel-ubuntu22.04 AS toolkit-cuda12.8

FROM ${TOOLKIT_IMAGE} AS engine-cuda
RUN export DEBIAN_FRONTEND=noninteractive; \
  apt-get update && apt-get install -y --no-install-recommends cmake ninja-build
COPY --from=source /llama.cpp /llama.cpp
COPY docker/build-engine /usr/local/bin/
ARG VARIANT
# As CMake's CUDA_ARCHITECTURES; `all`; or empty, for as few as do: see docker/build-engine.
ARG ARCHITECTURES=
# How many compilers run at a time; empty: one for each CPU.
ARG JOBS=
RUN build-engine /llama.cpp "$VARIANT" "$ARCHITECTURES" /engine/opt/engine

FROM engine-cuda AS engine-cuda11.8

FROM engine-cuda AS engine-cuda12.8

FROM ${ENGINE_IMAGE} AS built-engine

# --- The engine alone, to be kept in a registry and used again: `--target engine`, then --build-arg ENGINE_IMAGE=….
FROM scratch AS engine
COPY --from=built-engine /engine /engine

# --- What runs: packages, user, environment. No compiler, no cache, no package manager but Debian's.
FROM base AS runtime
COPY --from=dependencies /opt/podworker /opt/podworker
COPY docker/entrypoint /usr/local/bin/podworker-entrypoint
COPY docker/uv-override.txt /opt/podworker/
# HOME: the same models for every user that the container may be started as. NVIDIA_*: what its container runtime gives.
# UV_*, VIRTUAL_ENV: where an image built on this one installs packages, and that it does not bring the engine again.
ENV PATH=/opt/podworker/bin:$PATH HOME=/home/podworker PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
  NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility \
  VIRTUAL_ENV=/opt/podworker UV_OVERRIDE=/opt/podworker/uv-override.txt UV_COMPILE_BYTECODE=1
WORKDIR /app
USER 1000:1000
# -s: orphans are reaped also where another init is process 1, as with `docker run --init`.
ENTRYPOINT ["tini", "-s", "--", "podworker-entrypoint"]
CMD ["podworker", "serve"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=10m CMD ["podworker", "health"]

# --- A model in the image: --build-arg MODEL=org/repo:Q4_K_M, and for a private one --secret id=HF_TOKEN,env=HF_TOKEN.
FROM runtime AS model
COPY --from=project /project /
ARG MODEL
RUN --mount=type=secret,id=HF_TOKEN,uid=1000 \
  mkdir -p "$HOME/.cache/podworker"; \
  if [ -n "$MODEL" ]; then \
    if [ -e /run/secrets/HF_TOKEN ]; then HF_TOKEN=$(cat /run/secrets/HF_TOKEN); export HF_TOKEN; fi; \
    podworker models pull "$MODEL"; \
  fi

# --- For handlers that need no language model: `--target handler`. Not the last stage, so never built by default.
FROM runtime AS handler
COPY --from=project /project /
COPY *.py ./
LABEL org.opencontainers.image.title="podworker, without an engine" org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.description="Base of RunPod Serverless workers: handlers in Python, without a language model."

# --- The worker. What changes most comes last: an edited handler.py makes one new layer of a few hundred bytes.
FROM runtime AS worker
COPY --from=engine /engine /
COPY --from=model --chown=1000:1000 /home/podworker/.cache /home/podworker/.cache
COPY --from=project /project /
ARG MODEL
ENV MODEL=$MODEL
COPY *.py ./
LABEL org.opencontainers.image.title="podworker" org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.description="A RunPod Serverless worker for any GGUF language model, with llama.cpp."
