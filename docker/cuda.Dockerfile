# CUDA image: docker build -f docker/cuda.Dockerfile -t graves_lm:cuda .    and run it with --gpus all
# BASE may be any image with Python 3.11 or newer and pip.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS wheel
WORKDIR /source
COPY . .
RUN python3 -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM ${BASE}
# PyTorch's wheels bring CUDA; the host needs the NVIDIA driver and the container toolkit.
ARG TORCH_INDEX=https://pypi.org/simple
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
