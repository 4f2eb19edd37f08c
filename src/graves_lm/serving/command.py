"""The serve command: an address at which texts are written by hand, until Ctrl-C."""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import suppress

import uvicorn
from omegaconf import DictConfig

from graves_lm.runtime.errors import UserError
from graves_lm.sampling.protocols import DrawsHandwriting
from graves_lm.serving.app import Limits, application
from graves_lm.serving.desk import Desk, Job, Stroke
from graves_lm.trained.samplers import make_sampler
from graves_lm.writing.pen import Pen
from graves_lm.writing.writer import Writer, load

_MORE = 16  # connections beside those that wait and are drawn: of who is refused, or asks how it is


def run(cfg: DictConfig) -> None:
    """Serve what conf/serve.yaml says. Raises UserError for an address that is not to be had."""
    if cfg.token is None and not is_loopback(cfg.host):
        raise UserError(
            f"host={cfg.host}: others can reach it, so give token=SECRET, which clients must show"
        )
    writer = load(cfg.ckpt or "synthesis")
    sampler: DrawsHandwriting = make_sampler(writer.trained.config["sampler"], cfg.sampler, DrawsHandwriting)
    desk = desk_of(writer, sampler, cfg.hand, cfg.waiting)
    app = application(desk, writer.trained.alphabet, Limits(cfg.longest, cfg.seconds, cfg.token))
    with listening(cfg.host, cfg.port) as listener:
        host, port = listener.getsockname()[:2]
        print(f"http://{f'[{host}]' if ':' in host else host}:{port}/  (Ctrl-C ends it)", flush=True)
        with suppress(KeyboardInterrupt):  # its own end is what it is for
            server(app, cfg.waiting).run(sockets=[listener])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listening(host: str, port: int) -> socket.socket:
    """The address, taken. Raises UserError where it cannot be."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise UserError(f"host={host} port={port}: {error.strerror}; give another port or host") from error


def server(app: object, waiting: int) -> uvicorn.Server:
    """What listens, for so many clients and no more."""
    return uvicorn.Server(
        uvicorn.Config(
            app,  # type: ignore[arg-type]
            log_level="error",
            access_log=False,
            limit_concurrency=2 * waiting + _MORE,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=3,
            server_header=False,
        )
    )


def desk_of(writer: Writer, sampler: DrawsHandwriting, hand: int | None, waiting: int) -> Desk:
    """The thread that draws, with the pens that it is asked for."""
    pens: dict[int | None, Pen] = {}

    def pen(number: int | None, seed: int | None) -> Pen:
        number = hand if number is None else number
        if seed is not None:
            return writer.pen(hand=number, seed=seed, sampler=sampler)
        if number not in pens:
            pens[number] = writer.pen(hand=number, sampler=sampler)
        return pens[number]

    def stream(job: Job) -> Iterator[Stroke]:
        text = "\n".join(line.text for line in job.lines)
        number = hand if job.hand is None else job.hand
        points = writer.stream(text, hand=number, seed=job.seed or 0, width=10_000, sampler=sampler)
        for line, (dx, dy, up) in points:
            yield line, round(float(dx), 2), round(float(dy), 2), float(up)

    return Desk(pen, stream, getattr(sampler, "batch_size", 1), waiting)
