# Two images: the product (worker and web: `q2c <part>`), which is what `docker build .` makes, and the sandbox that
# stands in for Dynamics (`--target sandbox`). Neither holds a server of Temporal, a test, or the other one's packages.
FROM python:3.11.14-slim-bookworm AS base
# Private keys have folders of their own, so that a process is given only the ones it may use (docker-compose.yml).
RUN useradd --system --uid 10001 --home-dir /var/lib/q2c --create-home q2c \
    && install --directory --owner=q2c --mode=0700 /var/lib/q2c-signing /var/lib/q2c-auditing
ENV PATH=/opt/q2c/bin:$PATH PYTHONUNBUFFERED=1
STOPSIGNAL SIGTERM

FROM base AS build
RUN pip install --no-cache-dir uv==0.9.11
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PROJECT_ENVIRONMENT=/opt/q2c
WORKDIR /src
COPY pyproject.toml uv.lock ./

FROM build AS sandbox-build
RUN uv sync --frozen --only-group sandbox

FROM base AS sandbox
COPY --from=sandbox-build /opt/q2c /opt/q2c
COPY sandbox /srv/sandbox
USER q2c
WORKDIR /srv
ENTRYPOINT ["python", "-m", "sandbox"]

FROM build AS product-build
# Dependencies first: they change far less often than the code.
RUN uv sync --frozen --no-default-groups --all-extras --no-install-project
COPY README.md LICENSE ./
COPY activities activities
COPY assistant assistant
COPY cleansing cleansing
COPY cli cli
COPY domain domain
COPY dynamics dynamics
COPY ledger ledger
COPY notices notices
COPY policies policies
COPY runs runs
COPY virtual virtual
COPY web web
COPY workers workers
COPY workflows workflows
RUN uv sync --frozen --no-default-groups --all-extras --no-editable

FROM base AS product
COPY --from=product-build /opt/q2c /opt/q2c
ENV Q2C_STATE_DIR=/var/lib/q2c
USER q2c
WORKDIR /var/lib/q2c
ENTRYPOINT ["q2c"]
