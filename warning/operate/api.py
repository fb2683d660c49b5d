"""``warning api``: what agencies, operators and the page read. It reads the topics itself and decides nothing.

It serves what it has: if the broker is away, the stored documents and the last picture, and ``/readyz`` says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from warning import __version__, facts
from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.operate import answers, bulletins, check, confirmed, decisions, resources, schema, subscriptions
from warning.operate import cash as cash_routes
from warning.operate.basemap import BaseMap
from warning.operate.desk import Desk, ProblemError
from warning.operate.health import Health
from warning.operate.reader import DAYS, Reader
from warning.operate.registry import Registry
from warning.operate.registry import address as address_of_sensors
from warning.operate.release import Gate
from warning.operate.sensor_watch import SensorWatch
from warning.operate.store import Store, address
from warning.operate.view import View
from warning.proof.cash_ledger import CashLedger
from warning.proof.guesses import Guesses
from warning.proof.register import Register
from warning.proof.signing import Signed
from warning.region import Region
from warning.tasks import ended

PAGE = Path(__file__).parent / "page"
HEADERS = {
    # Leaflet and uPlot place things through the CSSOM, which needs no 'unsafe-inline'.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_PROBLEM = "application/problem+json"

log = logging.getLogger(__name__)


def create_app(
    region: Region,
    deployment: Deployment,
    listen: facts.Listener = facts.nobody,
    *,
    health: Health | None = None,
    registry: CollectorRegistry | None = None,
    days: float = DAYS,
    clock: Callable[[], float] = time.time,
) -> FastAPI:
    """The application of one deployment; its lifespan opens the store and follows the topics.

    ``health`` must be among the listeners of ``listen`` (without one, the app keeps its own); ``registry`` is what ``/metrics`` shows.
    ``days``: how far back readings are read. ``clock``: Unix seconds.
    """
    own = health or Health(("broker", "log"))

    def tell(fact: facts.Fact) -> None:
        if health is None:
            own(fact)
        listen(fact)

    rooms = _Rooms(region, deployment, own, tell, days, clock)
    title = f"Flood warning: {region.id}"
    app = FastAPI(title=title, version=__version__, lifespan=rooms.lifespan, docs_url=None, redoc_url=None)
    _answers(app, tell)
    _errors(app)
    decisions.answers(app)
    for routes in rooms.routers():
        app.include_router(routes)
    app.include_router(router(own, registry or CollectorRegistry()))
    _page(app)
    return app


class _Rooms:
    """What the routes ask, made once; opened, followed and closed with the application."""

    def __init__(
        self, region: Region, deployment: Deployment, own: Health, tell: facts.Listener, days: float, clock: Callable[[], float]
    ) -> None:
        self._url, self._tell = address(deployment), tell
        self._view, self._store, self._gate = View(), Store(self._url), Gate(region, deployment)
        registry = Registry(address_of_sensors(deployment))
        self._watch = SensorWatch(region, self._view, registry, tell, lambda: self._desk.judged_ms)
        self._signed, self._codes = Signed(deployment, tell), Register(region, deployment)
        self._desk = Desk(region, deployment, self._view, self._store, own, BaseMap(region), self._gate, self._watch, self._signed, clock)
        self._office = decisions.Office(region, deployment, self._desk)
        self._agencies = subscriptions.Counter(self._desk, self._office.admission)
        self._replies = answers.Answers(deployment, self._desk, self._office.admission)
        self._cash = CashLedger(deployment.database, region, tell)
        self._reader = Reader(deployment, self._view, self._store, tell, days=days)

    def routers(self) -> Iterator[APIRouter]:
        yield bulletins.router(self._desk)
        yield resources.router(self._desk, self._office.admission)
        yield decisions.router(self._office)
        yield cash_routes.router(self._office, self._cash)
        yield subscriptions.router(self._agencies)
        yield confirmed.router(self._agencies)
        yield answers.router(self._replies)
        yield check.router(check.Counter(self._desk, self._codes, Guesses(time.monotonic), self._tell), self._signed)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        await _open(self._store, self._view, self._url)
        try:
            async with _following(self._reader, self._watch, self._agencies, self._tell):
                yield
        finally:
            for each in (self._gate, self._agencies, self._office, self._replies, self._cash, self._signed, self._codes, self._store):
                await each.close()


@contextlib.asynccontextmanager
async def _following(reader: Reader, watch: SensorWatch, agencies: subscriptions.Counter, tell: facts.Listener) -> AsyncIterator[None]:
    """The tasks beside the requests, while the application lives; one that ends by itself is told, for the page would stand still."""
    closing = asyncio.Event()
    tasks = [asyncio.create_task(each) for each in (reader.run(), watch.run(closing), agencies.released.run())]
    for task in tasks:
        task.add_done_callback(lambda task: None if closing.is_set() else _ended(task, tell))
    try:
        yield
    finally:
        closing.set()
        await ended((tasks[0], tasks[2]))
        await asyncio.gather(tasks[1], return_exceptions=True)


async def _open(store: Store, view: View, url: str) -> None:
    try:
        await store.open()
        for event in await store.newest():
            view.alert(event)
    except SQLAlchemyError as error:
        raise Unavailable(f"the store of documents {url.rsplit('@')[-1]} cannot be opened: {error}", reason="database") from error


def _ended(task: asyncio.Task[None], tell: facts.Listener) -> None:
    """What follows the log runs for ever; if it ended of itself, a bug ended it, and readiness must say so."""
    error = asyncio.CancelledError("cancelled by nobody of ours") if task.cancelled() else task.exception()
    log.critical("what follows the log ended", exc_info=error)
    tell(facts.Ready("log", False, f"what follows the log ended: {error!r}"))


def router(health: Health, registry: CollectorRegistry) -> APIRouter:
    """``/metrics``, ``/livez`` and ``/readyz`` for a FastAPI application."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    @routes.get("/livez")
    async def livez() -> JSONResponse:
        live, told = health.live()
        return JSONResponse(told, 200 if live else 503)

    @routes.get("/readyz")
    async def readyz() -> JSONResponse:
        ready, told = health.ready()
        return JSONResponse(told, 200 if ready else 503)

    return routes


def _answers(app: FastAPI, tell: facts.Listener) -> None:
    """Headers and facts of every answer."""

    @app.middleware("http")
    async def around(request: Request, following: Callable[[Request], Awaitable[Response]]) -> Response:
        begin = time.monotonic()
        status = 500
        try:
            response = await following(request)
            status = response.status_code
        finally:
            route = getattr(request.scope.get("route"), "path", "none")
            tell(facts.Answered(route, status, time.monotonic() - begin))
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def _errors(app: FastAPI) -> None:
    """Every error as a problem document."""

    @app.exception_handler(ProblemError)
    async def problem(_: Request, error: ProblemError) -> Response:
        response = _problem(error.problem)
        if error.retry_after_s is not None:
            response.headers["Retry-After"] = str(error.retry_after_s)
        return response

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        return _problem(schema.Problem(title=str(error.detail), status=error.status_code, detail=str(error.detail)))

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        field = str(first["loc"][-1])
        detail = str(first["msg"]).removeprefix("Value error, ")
        return _problem(schema.Problem(title="Wrong parameter", status=422, detail=f"{field}: {detail}", field=field))

    @app.exception_handler(SQLAlchemyError)
    async def away(_: Request, error: SQLAlchemyError) -> Response:
        log.error("the store of documents failed: %s", error)
        response = _problem(schema.Problem(title="Away", status=503, detail="The store of documents does not answer; try again."))
        response.headers["Retry-After"] = "5"
        return response

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> Response:
        return _problem(schema.Problem(title="Our fault", status=500, detail="The API failed; its log says why."))


def _problem(problem: schema.Problem) -> Response:
    return JSONResponse(problem.model_dump(exclude_none=True), problem.status, media_type=_PROBLEM)


def _page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/page", StaticFiles(directory=PAGE), name="page")


@contextlib.asynccontextmanager
async def serve(app: FastAPI, host: str, port: int) -> AsyncIterator[int]:
    """Serves while the context lasts; yields the port (``port`` 0: the system chooses). Raises ``Unavailable`` if the address is taken."""
    settings = uvicorn.Config(
        app, host=host, port=port, log_level="warning", access_log=False, server_header=False, lifespan="on", timeout_graceful_shutdown=3
    )
    server = uvicorn.Server(settings)
    try:
        listening = settings.bind_socket()
    except SystemExit as error:  # uvicorn's way to say that it cannot
        raise Unavailable(f"{host}:{port} for the API is taken or not ours", reason="address") from error
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started:
            if task.done():
                raise Unavailable("the API did not start; its log says why", reason="start") from task.exception()
            await asyncio.sleep(0.01)
        yield int(listening.getsockname()[1])
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
        listening.close()
