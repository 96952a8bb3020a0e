"""`lowtide serve`: the daemon itself."""

from __future__ import annotations

import gc
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.cli.output import USAGE, fail
from daemon.cli.settings import ConfigOption, load_or_fail

if TYPE_CHECKING:
    from fastapi import FastAPI

    from daemon.settings import Settings

log = logging.getLogger(__name__)

OTHERS = stat.S_IRWXO  # database and run directories hold what patients' data taught: whatever the group may do, others may not


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; instead of server.host.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="TCP port, 0 for a free one; instead of server.port.")] = None,
) -> None:
    """Run the daemon: the API, and the tick that plans, starts and accounts for jobs."""
    gc.disable()  # until everything is imported and made: the collector would look through it again and again
    calculate_on_one_core()
    settings = load_or_fail(config, _overrides(host=host, port=port)).settings
    _check_exposure(settings)
    from daemon.logs import configure_logging

    os.umask(os.umask(0) | OTHERS)
    configure_logging(settings.logs.level, settings.logs.format, _secrets(settings))
    if settings.uses_default_site:
        log.warning("world-zone", extra={"remedy": 'write your site into lowtide.toml: [[sites]] name = "...", zone = "DE"'})
    _run(settings)


def calculate_on_one_core() -> None:
    """Keep matrix products to one thread, unless the environment says how many. Works only before numpy is imported.

    Threads that share their cores with running jobs mostly wait for each other: a forecast's daily lesson took 13 s beside two busy
    processes on two cores, 2.5 s by one thread.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _run(settings: Settings) -> None:
    from daemon.api.server import CannotListen, listen, serve_until_stopped, url_of

    try:
        bound = listen(settings.server.host, settings.server.port)
    except CannotListen as problem:
        fail(str(problem))
    facts = {
        "url": url_of(bound),
        "database": settings.database.rpartition("@")[2],
        "sites": ",".join(site.name for site in settings.sites),
    }
    with ending_with_a_sentence(), ExitStack() as until_stopped:
        serve_until_stopped(partial(_open, settings, until_stopped), bound, lambda: log.info("serve-started", extra=facts))
    log.info("serve-stopped")


def _open(settings: Settings, until_stopped: ExitStack) -> FastAPI:
    """The daemon's app; the daemon itself is closed with `until_stopped`. The socket answers before all this is imported."""
    from daemon.api.app import create_app
    from daemon.compose import open_daemon

    daemon = until_stopped.enter_context(open_daemon(settings))
    app = create_app(daemon.service, settings, daemon.metrics)
    gc.freeze()
    gc.enable()
    return app


@contextmanager
def ending_with_a_sentence() -> Iterator[None]:
    """What keeps a daemon or its database from opening ends the command with one sentence instead of a traceback."""
    try:
        yield
    except Exception as problem:
        if not isinstance(problem, _foreseen()):
            raise
        fail(str(problem))


def _foreseen() -> tuple[type[Exception], ...]:
    from daemon.domain.errors import LowtideError
    from daemon.store import StoreError
    from jobs.energy.hardware import UnreadableProfile

    return LowtideError, StoreError, UnreadableProfile


def _overrides(**server: Any) -> dict[str, Any]:
    given = {key: value for key, value in server.items() if value is not None}
    return {"server": given} if given else {}


def _check_exposure(settings: Settings) -> None:
    from daemon.api.loopback import is_loopback

    if not settings.server.tokens and not is_loopback(settings.server.host):
        fail(
            f"server.host {settings.server.host!r} is reachable by others, but no token is configured: "
            "add [[server.tokens]] with name, token and scopes, or listen on 127.0.0.1",
            USAGE,
        )


def _secrets(settings: Settings) -> Iterator[str]:
    """What must never be logged."""
    provider = settings.electricity_maps
    for secret in (provider.token, *provider.tokens.values(), *(token.token for token in settings.server.tokens)):
        if secret is not None:
            yield secret.get_secret_value()
