"""Puts the HTTP API together: endpoints, problem documents, documentation without any foreign server."""

from __future__ import annotations

from fastapi import Depends, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from daemon import __version__
from daemon.api import problems
from daemon.api.auth import Guard
from daemon.api.doorway import HEALTHY
from daemon.api.middleware import BodyLimit, Observe
from daemon.api.routes import v1_router
from daemon.api.service import ServiceApi
from daemon.metrics import Metrics
from daemon.settings.schema import Settings


def create_app(service: ServiceApi, settings: Settings, metrics: Metrics) -> FastAPI:
    app = FastAPI(
        title="Lowtide",
        version=__version__,
        description="Carbon-aware scheduling of latent diffusion model jobs. Errors are problem documents (RFC 9457).",
        docs_url=None,
        redoc_url=None,
    )
    guard = Guard(settings.server)
    problems.install(app)
    app.include_router(v1_router(service, guard))
    _add_operations(app, service, guard, metrics)
    _add_documentation(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(Observe, metrics=metrics)
    return app


def _add_operations(app: FastAPI, service: ServiceApi, guard: Guard, metrics: Metrics) -> None:
    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """The process is alive and answers."""
        return HEALTHY.decode()

    @app.get("/readyz", include_in_schema=True)
    def readyz() -> Response:
        """The daemon can do its work: 200, or 503 with the problems."""
        readiness = service.readiness()
        return JSONResponse(readiness.model_dump(), 200 if readiness.ready else 503)

    @app.get("/metrics", dependencies=[Depends(guard.needs("read")), Depends(guard.sees_all)], response_class=PlainTextResponse)
    async def show_metrics(request: Request) -> Response:
        """Metrics for Prometheus, as OpenMetrics where the scraper accepts it."""
        body, content_type = metrics.exposition(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type})


def _add_documentation(app: FastAPI) -> None:
    """/docs with Swagger UI served from the installed package: the page fetches nothing from outside."""
    app.mount("/docs/assets", StaticFiles(packages=[("fastapi_offline", "static")]))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Lowtide API",
            swagger_js_url="/docs/assets/swagger-ui-bundle.js",
            swagger_css_url="/docs/assets/swagger-ui.css",
            swagger_favicon_url="/docs/assets/favicon.png",
        )

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("/docs")
