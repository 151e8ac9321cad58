"""A stand-in for W&B's server with runs to read, on loopback; it answers `wandb.Api().runs`. It is not W&B."""

import gzip
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ACCOUNT = {"id": "1", "entity": "team", "username": "team", "email": "", "flags": "{}", "teams": {"edges": []}}


def node(name: str, config: dict[str, Any], summary: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A run as the server returns it."""
    run = {"id": name, "name": name, "displayName": name, "state": "finished", "group": None, "jobType": "train"}
    run |= {"tags": [], "config": json.dumps({key: {"value": value} for key, value in config.items()})}
    run |= {"summaryMetrics": json.dumps(summary), "systemMetrics": "{}", "projectId": "1", "historyLineCount": 0}
    return {**run, "user": {"name": "team", "username": "team"}, "readOnly": False, **changes}


@contextmanager
def serving(nodes: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The address of a server that holds these runs in every project but `team/none`."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            # The client also sends usage figures elsewhere, which nobody here wants.
            asked = json.loads(body) if self.path == "/graphql" else {}
            data: dict[str, Any] = {"viewer": ACCOUNT, "project": None}
            if asked.get("variables", {}).get("project") != "none":
                edges = [{"node": one, "cursor": str(place)} for place, one in enumerate(nodes)]
                page = {"endCursor": None, "hasNextPage": False}
                data["project"] = {"internalId": "1", "runCount": len(nodes), "readOnly": False}
                data["project"]["runs"] = {"edges": edges, "pageInfo": page}
            answer = json.dumps({"data": data}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *said: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
