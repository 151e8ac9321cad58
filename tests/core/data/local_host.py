"""A local host whose transfers break off on request."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

CONTENT = bytes(range(256)) * 2_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class LocalHost(BaseHTTPRequestHandler):
    """Serves `content`; `breaks` says after how many bytes each of the coming answers breaks off."""

    content: ClassVar[dict[str, bytes]] = {}
    breaks: ClassVar[list[int]] = []
    requests: ClassVar[int] = 0

    def do_GET(self) -> None:
        cls = type(self)
        cls.requests += 1
        if self.path not in cls.content:
            self.send_error(404)
            return
        content = cls.content[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: cls.breaks.pop(0)] if cls.breaks else content)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def local_host() -> Iterator[str]:
    """The address of a host that serves `CONTENT` as `/a.bin`."""
    LocalHost.content, LocalHost.breaks, LocalHost.requests = {"/a.bin": CONTENT}, [], 0
    with ThreadingHTTPServer(("127.0.0.1", 0), LocalHost) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
