"""A local host that misbehaves on request: transfers that break off, ranges that it ignores, files that change."""

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
    ranges: ClassVar[list[str | None]] = []
    tag: ClassVar[str] = '"v1"'
    honours_ranges: ClassVar[bool] = True

    def do_GET(self) -> None:
        cls = type(self)
        cls.ranges.append(self.headers.get("Range"))
        if self.path not in cls.content:
            self.send_error(404)
            return
        content, start = cls.content[self.path], 0
        wanted = self.headers.get("Range")
        if wanted and cls.honours_ranges and self.headers.get("If-Range", cls.tag) == cls.tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", cls.tag)
        self.end_headers()
        end = start + cls.breaks.pop(0) if cls.breaks else len(content)
        self.wfile.write(content[start:end])

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def local_host() -> Iterator[str]:
    """The address of a host that serves `CONTENT` as `/a.bin`."""
    LocalHost.content, LocalHost.breaks, LocalHost.ranges = {"/a.bin": CONTENT}, [], []
    LocalHost.tag, LocalHost.honours_ranges = '"v1"', True
    with ThreadingHTTPServer(("127.0.0.1", 0), LocalHost) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
