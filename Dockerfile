# One image for worker, web and sandbox: `q2c <part>`.
FROM python:3.11.14-slim-bookworm AS build
RUN pip install --no-cache-dir uv==0.9.11
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PROJECT_ENVIRONMENT=/opt/q2c
WORKDIR /src
# Dependencies first: they change far less often than the code.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --no-install-project
COPY README.md LICENSE ./
COPY activities activities
COPY cli cli
COPY demo demo
COPY domain domain
COPY dynamics dynamics
COPY ledger ledger
COPY policies policies
COPY runs runs
COPY sandbox sandbox
COPY web web
COPY workers workers
COPY workflows workflows
RUN uv sync --frozen --no-dev --no-editable

FROM python:3.11.14-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/q2c --create-home q2c
COPY --from=build /opt/q2c /opt/q2c
ENV PATH=/opt/q2c/bin:$PATH PYTHONUNBUFFERED=1 Q2C_STATE_DIR=/var/lib/q2c
USER q2c
WORKDIR /var/lib/q2c
STOPSIGNAL SIGTERM
ENTRYPOINT ["q2c"]
