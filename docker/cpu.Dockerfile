# CPU image:  docker build -f docker/cpu.Dockerfile -t graves_lm:cpu .
# BASE may be any image with Python 3.11 or newer and pip.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS wheel
WORKDIR /source
COPY . .
RUN python3 -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM ${BASE}
# Where PyTorch's build without CUDA comes from: a fifth of the size of the one with it.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY --from=wheel /wheels /wheels
RUN python3 -m venv /opt/graves_lm \
    && /opt/graves_lm/bin/pip install --no-cache-dir --extra-index-url "${TORCH_INDEX}" /wheels/*.whl \
    && useradd --create-home --uid 1000 graves \
    && mkdir -p /runs/data /runs/logs \
    && chown -R graves /runs
ENV PATH=/opt/graves_lm/bin:$PATH PYTHONUNBUFFERED=1
USER 1000
WORKDIR /runs
VOLUME ["/runs/data", "/runs/logs"]
HEALTHCHECK --interval=5m --timeout=60s CMD ["python", "-m", "graves_lm.doctor"]
# docker run IMAGE VERB ARGUMENTS is python -m graves_lm.VERB ARGUMENTS; without a verb it says what it finds.
COPY --chmod=755 docker/entrypoint.sh /usr/local/bin/graves_lm
ENTRYPOINT ["graves_lm"]
CMD ["doctor"]
