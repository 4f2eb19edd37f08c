"""The HTTP interface: a text in, handwriting out; each mistake a JSON object that says what is wrong.

POST /write gives a page or its points, POST /stream the points as they are drawn (server-sent events).
"""

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from graves_lm.data.alphabet import Alphabet
from graves_lm.runtime.errors import UserError
from graves_lm.serving.asked import Asked, asked
from graves_lm.serving.description import description, page
from graves_lm.serving.desk import Desk, Drawn, Full, Job, Stroke, said
from graves_lm.writing.handwriting import Handwriting
from graves_lm.writing.pen import warnings
from graves_lm.writing.placing import WrittenLine

_SEND_EVERY = 0.05  # seconds: of a stream's points


@dataclass(frozen=True)
class Limits:
    """What a client may take.

    Args:
        longest: characters of a text.
        seconds: from a request's first byte to its answer's last.
        token: that it must show; None: none.
    """

    longest: int = 1000
    seconds: float = 60.0
    token: str | None = None

    @property
    def body(self) -> int:
        """Bytes of a request: each character may be escaped as a surrogate pair."""
        return 4096 + 12 * self.longest


class Refused(HTTPException):
    """A request that is not served, and why."""


def application(desk: Desk, alphabet: Alphabet, limits: Limits) -> Any:
    """The ASGI application."""

    async def write(request: Request) -> Response:
        wanted = await _asked(request, limits)
        lines = wanted.lines(alphabet)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Drawn] | Exception] = loop.create_future()

        def settle(found: list[Drawn] | Exception) -> None:
            if not answer.done():
                answer.set_result(found)

        def done(found: list[Drawn] | Exception) -> None:
            loop.call_soon_threadsafe(settle, found)

        job = Job(lines, wanted.hand, wanted.seed, done)
        _put(desk, job)
        gone = asyncio.create_task(_disconnected(request))
        try:
            waited: set[asyncio.Future[Any]] = {answer, gone}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise ClientDisconnect
            found = answer.result()
        finally:
            job.gone = True
            gone.cancel()
        if isinstance(found, Exception):
            raise Refused(400 if isinstance(found, UserError) else 500, said(found))
        return await asyncio.to_thread(_answer, wanted, found)

    async def stream(request: Request) -> Response:
        wanted = await _asked(request, limits)
        lines = wanted.lines(alphabet)
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Stroke | list[Drawn] | Exception] = asyncio.Queue()

        def tell(event: Any) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        job = Job(lines, wanted.hand, wanted.seed, tell, tell)
        _put(desk, job)

        async def sent() -> AsyncIterator[str]:
            try:
                yield _event("lines", [line.text for line in lines])
                while True:
                    points, last = [await events.get()], None
                    await asyncio.sleep(_SEND_EVERY)
                    while not events.empty():
                        points.append(events.get_nowait())
                    if not isinstance(points[-1], tuple):
                        last = points.pop()
                    if points:
                        yield _event("points", points)
                    if isinstance(last, Exception):
                        yield _event("error", {"error": said(last)})
                    if last is not None:
                        yield _event("end", {})
                        return
            finally:
                job.gone = True

        return StreamingResponse(
            sent(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def health(request: Request) -> Response:
        return JSONResponse({"waiting": desk.waiting})

    described = description(limits.longest, limits.token is not None)

    async def openapi(request: Request) -> Response:
        return JSONResponse(described)

    async def front(request: Request) -> Response:
        return HTMLResponse(page(described))

    routes = [
        Route("/", front),
        Route("/openapi.json", openapi),
        Route("/health", health),
        Route("/write", write, methods=["POST"]),
        Route("/stream", stream, methods=["POST"]),
    ]
    handlers: dict[Any, Callable[..., Any]] = {HTTPException: _refusal, UserError: _mistake}
    return _timed(Starlette(routes=routes, exception_handlers=handlers), limits.seconds)


async def _asked(request: Request, limits: Limits) -> Asked:
    """What a request asks for, its body read as far as it may go."""
    if limits.token is not None:
        shown = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(shown.encode(), limits.token.encode()):
            raise Refused(401, "the token is missing or another: send Authorization: Bearer TOKEN")
    # Of another kind, a page of any site could send it without being asked for.
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "send JSON, with Content-Type: application/json")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > limits.body:
            raise Refused(
                413, f"more than {limits.body:,} bytes; a text has {limits.longest:,} characters at most"
            )
    return asked(body, limits.longest)


def _put(desk: Desk, job: Job) -> None:
    try:
        desk.put(job)
    except Full:
        raise Refused(503, "as many requests wait as may; try again later", {"Retry-After": "5"}) from None


async def _disconnected(request: Request) -> None:
    """Returns when the client is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _answer(wanted: Asked, found: list[Drawn]) -> Response:
    doubts = [text for n, (line, _, report) in enumerate(found, 1) for text in warnings(n, line.text, report)]
    written = Handwriting(
        [WrittenLine(line.text, ink, line.blank, line.look) for line, ink, _ in found], wanted.settings
    )
    if wanted.format == "svg":
        return Response(written.svg(), media_type="image/svg+xml")
    points = msgspec.json.decode(written.json())
    return JSONResponse({**points, "doubts": doubts})


def _event(name: str, content: Any) -> str:
    return f"event: {name}\ndata: {msgspec.json.encode(content).decode()}\n\n"


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _mistake(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def _timed(app: Any, seconds: float) -> Any:
    """The application, each of whose requests ends in time: also one whose client does not send or read."""

    async def timed(scope: Any, receive: Any, send: Any) -> None:
        begun = False

        async def noted(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(seconds):
                await app(scope, receive, noted)
        except TimeoutError:
            if begun:  # the server cuts what is not whole
                return
            await JSONResponse({"error": f"not done in {seconds:g} seconds; try later"}, 504)(
                scope, receive, send
            )
        except ClientDisconnect:
            pass

    return timed
