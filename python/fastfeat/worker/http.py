"""What can be asked of a running worker: /metrics, /livez, /healthz, /readyz. A thread and a loop of its own."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable
from typing import Any, Final

__all__ = ["Server"]

START_SECONDS_MAX: Final = 10.0


class Server:
    """Starts at once; `port` is where it listens. With a token, everything but /livez asks for it."""

    def __init__(
        self, host: str, port: int, *, token: str | None, collector: Any, health: Callable[[], tuple[bool, bool, Any]]
    ) -> None:
        """`health` gives whether the worker is healthy, whether it is ready, and what to say about it."""
        import uvicorn
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from starlette.applications import Starlette
        from starlette.requests import Request
        from starlette.responses import JSONResponse, PlainTextResponse, Response
        from starlette.routing import Route

        registry = CollectorRegistry()
        registry.register(collector)

        def guarded(answer: Callable[[], Response]) -> Callable[[Request], Response]:
            def endpoint(request: Request) -> Response:
                given = request.headers.get("authorization", "")
                if token is not None and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
                    return PlainTextResponse("a token is needed: Authorization: Bearer ...\n", 401)
                return answer()

            return endpoint

        def metrics() -> Response:
            return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

        def healthz() -> Response:
            healthy, _, about = health()
            return JSONResponse(about, 200 if healthy else 503)

        def readyz() -> Response:
            _, ready, about = health()
            return JSONResponse(about, 200 if ready else 503)

        def livez(_: Request) -> Response:
            return PlainTextResponse("ok\n")

        routes = [Route(f"/{one.__name__}", guarded(one)) for one in (metrics, healthz, readyz)]
        application = Starlette(routes=[*routes, Route("/livez", livez)])
        config = uvicorn.Config(application, host=host, port=port, log_config=None, access_log=False, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="fastfeat-http", daemon=True)
        self._thread.start()
        begun = time.monotonic()
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() - begun > START_SECONDS_MAX:
                raise OSError(f"nothing can listen on {host}:{port}; is the port taken?")
            time.sleep(0.01)
        self.port = int(self._server.servers[0].sockets[0].getsockname()[1])

    def stop(self) -> None:
        """Stops listening."""
        self._server.should_exit = True
        self._thread.join(5)
