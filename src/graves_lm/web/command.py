"""The page command: to a file, or to a local address."""

import gzip
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from omegaconf import DictConfig

from graves_lm.runtime import files
from graves_lm.runtime.errors import UserError
from graves_lm.web.html import page

_LOCAL = "127.0.0.1"


def run(cfg: DictConfig) -> None:
    """Write the page and print its path, or serve it until Ctrl-C.

    Raises UserError for a path that cannot be written, a checkpoint of another task, a port that is taken.
    """
    output = Path(cfg.output)
    if not cfg.serve:
        files.check(output)
    html = page(str(cfg.ckpt), cfg.weights).encode()
    if cfg.serve:
        _serve(html, cfg.port)
        return
    files.write(output, html)
    print(output)


def _serve(html: bytes, port: int) -> None:
    compressed = gzip.compress(html, 6)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/":
                self.send_error(404)
                return
            small = "gzip" in self.headers.get("Accept-Encoding", "")
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            if small:
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(compressed if small else html)))
            self.end_headers()
            self.wfile.write(compressed if small else html)

        def log_message(self, *args: object) -> None:
            """Nobody reads them."""

    try:
        server = ThreadingHTTPServer((_LOCAL, port), Handler)
    except OSError as error:
        raise UserError(f"port={port}: {error.strerror}; give another port") from error
    with server:
        print(f"http://{_LOCAL}:{server.server_port}/  (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(file=sys.stderr)
