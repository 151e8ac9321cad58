"""A stand-in for W&B's server on loopback: what the real client sends of runs is kept for tests to read.

It is not W&B. It answers the few questions that the client asks when a run starts, resumes and ends, and takes uploads.
"""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0" * 40


@dataclass
class Received:
    """What the server received of a run."""

    variables: dict[str, Any] = field(default_factory=dict)
    """The variables of its last upsert: groupName, jobType, displayName, tags, ..."""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None


@dataclass
class StandIn:
    """The server's address, and the runs it received."""

    address: str
    runs: dict[str, Received] = field(default_factory=dict)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    """Operations that were answered with nothing."""
    broken: bool = False
    """Whether everything is answered with an error from now on."""


def bucket(name: str) -> dict[str, Any]:
    """A run as the server answers it."""
    project = {"id": "p", "name": "engram", "entity": {"id": "e", "name": "team"}}
    return {"id": f"id-{name}", "name": name, "displayName": name, "project": project, "historyLineCount": 0}


def answer(server: StandIn, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    """The data of one GraphQL operation."""
    operation = next(iter(re.findall(r"(?:query|mutation)\s+(\w+)", query)), "")
    name = variables.get("name") or variables.get("run") or ""
    if operation == "UpsertBucket":
        run = server.runs.setdefault(name, Received())
        run.variables |= {key: value for key, value in variables.items() if value is not None}
        if variables.get("config"):
            held = json.loads(variables["config"])
            run.config |= {key: entry["value"] for key, entry in held.items()}
        if variables.get("summaryMetrics"):
            run.summary |= json.loads(variables["summaryMetrics"])
        return {"upsertBucket": {"bucket": bucket(name), "inserted": True}}
    if operation == "RunResumeStatus":
        run = server.runs.get(name)
        if run is None:
            return {"model": {"id": "p", "name": "engram", "entity": {"id": "e", "name": "team"}, "bucket": None}}
        held = bucket(name) | {
            "historyLineCount": len(run.history),
            "eventsLineCount": 0,
            "logLineCount": 0,
            "historyTail": json.dumps([json.dumps(row) for row in run.history[-1:]]),
            "eventsTail": "[]",
            "summaryMetrics": json.dumps(run.summary),
            "config": json.dumps({key: {"value": value} for key, value in run.config.items()}),
            "tags": run.variables.get("tags"),
            "wandbConfig": json.dumps({"t": 1}),
        }
        return {"model": {"id": "p", "name": "engram", "entity": {"id": "e", "name": "team"}, "bucket": held}}
    if operation == "CreateRunFiles":
        files = [{"name": file, "uploadUrl": f"{server.address}/upload/{file}"} for file in variables.get("files", [])]
        return {"createRunFiles": {"runID": name, "uploadHeaders": [], "files": files}}
    if operation == "CreateArtifact":
        # Committed already: nothing of it is uploaded.
        server.artifacts.append(variables.get("input") or variables)
        sequence = {"id": "s", "latestArtifact": None}
        held = {"id": f"a{len(server.artifacts)}", "state": "COMMITTED", "artifactSequence": sequence}
        return {"createArtifact": {"artifact": held}}
    server.unknown.append(operation)
    return {}


@contextmanager
def serving() -> Iterator[StandIn]:
    """A server while this lasts."""
    server: StandIn

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if server.broken:
                self.reply({"error": "broken"}, code=503)
                return
            stream = re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path)
            if stream:
                self.receive(server.runs.setdefault(stream[1], Received()), json.loads(body))
                self.reply({})
            elif self.path == "/graphql":
                query = json.loads(body)
                self.reply({"data": answer(server, query["query"], query.get("variables") or {})})
            else:
                self.reply({})

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.reply({})

        def receive(self, run: Received, stream: dict[str, Any]) -> None:
            for name, chunk in (stream.get("files") or {}).items():
                rows = [json.loads(line) for line in chunk["content"]]
                if name.endswith("history.jsonl"):
                    run.history[chunk["offset"] :] = rows
                elif name.endswith("summary.json"):
                    run.summary |= rows[-1]
            if stream.get("complete"):
                run.exit_code = stream.get("exitcode")

        def reply(self, body: dict[str, Any], *, code: int = 200) -> None:
            content = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server = StandIn(f"http://127.0.0.1:{listening.server_port}")
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
