# The build stage installs into three folders, which the final stage, a plain Python, takes over one by one: a
# change of the code ships its own few megabytes, a change of the lock not torch again.
# Any Python 3.11 of Debian 12. The digest is that of the index of all platforms; docs/operations.md renews it.
ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM $BASE AS build

# PyPI's torch for Linux on x86-64 brings several GB of CUDA. PyTorch's own index has the CPU build of the
# same version; leave it empty where pip is set up to find one, or name a CUDA index for a GPU image, whose
# torch brings libraries that are not locked (TORCH_DEPS=).
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG TORCH_DEPS=--no-deps
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# For the native step, which is compiled below; only this stage has it. Leave it empty to do without: torch
# computes the network then.
ARG COMPILER=g++
RUN if [ -n "$COMPILER" ]; then apt-get update -q && apt-get install -yq --no-install-recommends "$COMPILER"; fi

# What lies in the other two folders is installed for this Python too, and pip knows of it.
RUN python -m venv /opt/demur && \
    for folder in torch code; do \
      echo /opt/$folder > "$(/opt/demur/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/$folder.pth"; \
    done

WORKDIR /src
COPY requirements.lock requirements-hashed.lock ./
RUN /opt/demur/bin/pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} --constraint requirements.lock \
      $TORCH_DEPS --target /opt/torch torch
RUN /opt/demur/bin/pip install --no-deps --require-hashes --requirement requirements-hashed.lock

COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY models models
COPY probes probes
COPY app app
COPY docs/findings docs/findings
RUN /opt/demur/bin/pip install --no-deps --target /opt/code .


FROM $BASE

COPY --from=build /opt/torch /opt/torch
COPY --from=build /opt/demur /opt/demur
COPY --from=build /opt/code /opt/code

# Nothing is written outside /tmp, and no model is ever looked for on a hub.
# USER names the uid for libraries that ask who they run as: it has no entry in /etc/passwd.
ENV PATH=/opt/code/bin:/opt/demur/bin:$PATH \
    DEMUR_HOST=0.0.0.0 DEMUR_PORT=8000 \
    HOME=/tmp USER=demur \
    MPLCONFIGDIR=/tmp/matplotlib \
    HF_HUB_OFFLINE=1 \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 10001:10001

EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"DEMUR_PORT\"]}/health/ready', timeout=2)"]
ENTRYPOINT ["demur"]
CMD ["serve"]

# Last, so that another revision of the same code changes no layer.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="demur" \
      org.opencontainers.image.description="A sampling service for language models that know when they are unsure" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
