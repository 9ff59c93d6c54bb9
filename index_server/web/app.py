"""What can be asked over HTTP.

/         the status page
/status   the same as JSON
/metrics  for Prometheus
/healthz  200 as long as the server turns to anybody at all
/readyz   200 once everything on disk can be found, else 503
"""

from __future__ import annotations

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from index_server.admin.standing import Standing
from index_server.commands import Desk
from index_server.web.metrics import METRICS_TYPE, Metrics
from index_server.web.page import STYLE_HASH, page

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src '{STYLE_HASH}'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def make_app(desk: Desk, standing: Standing) -> Starlette:
    metrics = Metrics(desk)

    async def status_page(_request: Request) -> Response:
        return HTMLResponse(page(await standing.view()), headers=HEADERS)

    async def status(_request: Request) -> Response:
        body = msgspec.json.encode(await standing.view())
        return Response(body, media_type="application/json", headers=HEADERS)

    async def figures(_request: Request) -> Response:
        return Response(metrics.text(await standing.view()), media_type=METRICS_TYPE, headers=HEADERS)

    async def healthy(_request: Request) -> Response:
        return PlainTextResponse("well\n", headers=HEADERS)

    async def ready(_request: Request) -> Response:
        is_ready = (await standing.view()).ready
        text = "ready\n" if is_ready else "reading from disk what people offer\n"
        return PlainTextResponse(text, 200 if is_ready else 503, headers=HEADERS)

    return Starlette(
        routes=[
            Route("/", status_page),
            Route("/status", status),
            Route("/metrics", figures),
            Route("/healthz", healthy),
            Route("/readyz", ready),
        ]
    )
