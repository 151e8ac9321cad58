"""A stand-in for W&B's server on loopback: what the real client sends of runs and artifacts is kept for tests to read.

It is not W&B. An operation or a field that it does not know is a GraphQL error, never empty data.
"""

import gzip
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0" * 40
PROJECT = {"id": "p", "name": "engram", "entity": {"id": "e", "name": "team"}}


@dataclass
class Received:
    """What the server received of a run."""

    variables: dict[str, Any] = field(default_factory=dict)
    """The variables of its last upsert: groupName, jobType, displayName, tags, ..."""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    alerts: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class ReceivedArtifact:
    """What the server received of an artifact; it is whole only when it is committed."""

    variables: dict[str, Any]
    """Those of its creation: artifactCollectionName, artifactTypeName, aliases, ..."""
    files: list[str] = field(default_factory=list)
    """The paths in the artifact that were announced."""
    committed: bool = False


@dataclass
class StandIn:
    """The server's address, and what it received."""

    address: str
    runs: dict[str, Received] = field(default_factory=dict)
    artifacts: list[ReceivedArtifact] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    """Path of an upload -> its content: `run/<id>/<file>`, `artifact/<number>/<file>`."""
    operations: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Every GraphQL operation with its variables."""
    refused: list[str] = field(default_factory=list)
    """The errors that were answered."""
    broken: bool = False
    """Whether everything is answered with an error from now on."""

    def artifact_files(self, name: str) -> dict[str, bytes]:
        """The files of the committed versions of an artifact that arrived."""
        return {
            file: self.uploads[path]
            for number, artifact in enumerate(self.artifacts)
            if artifact.committed and artifact.variables["artifactCollectionName"] == name
            for file in artifact.files
            if (path := f"artifact/{number}/{file}") in self.uploads
        }


Answering = Callable[[StandIn, dict[str, Any]], dict[str, Any]]
ANSWERS: dict[str, Answering] = {}
"""Operation -> what answers it, from the server and the operation's variables, with every field that may be asked."""


class Refused(Exception):
    """A GraphQL error."""


def answers(function: Answering) -> Answering:
    """Register the function that answers the operation of its name, which is written in snake case."""
    ANSWERS["".join(word.title() for word in function.__name__.split("_"))] = function
    return function


def describe_run(name: str, run: Received) -> dict[str, Any]:
    """A run as the server answers it."""
    unknown = ("description", "commit", "createdAt", "heartbeatAt", "historyKeys")
    return dict.fromkeys(unknown) | {
        "id": f"id-{name}",
        "name": name,
        "projectId": "1",
        "displayName": run.variables.get("displayName") or name,
        "group": run.variables.get("groupName"),
        "jobType": run.variables.get("jobType"),
        "state": {None: "running", 0: "finished"}.get(run.exit_code, "failed"),
        "readOnly": False,
        "user": {"name": "team", "username": "team"},
        "systemMetrics": "{}",
        "notes": run.variables.get("notes"),
        "sweepName": run.variables.get("sweep"),
        "tags": run.variables.get("tags") or [],
        "project": PROJECT,
        "config": json.dumps({key: {"value": value} for key, value in run.config.items()}),
        "summaryMetrics": json.dumps(run.summary),
        "historyLineCount": len(run.history),
        "eventsLineCount": 0,
        "logLineCount": 0,
        "historyTail": json.dumps([json.dumps(row) for row in run.history[-1:]]),
        "eventsTail": "[]",
        "wandbConfig": json.dumps({"t": 1}),
    }


@answers
def upsert_bucket(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """A run is opened or changed."""
    name = variables["name"]
    inserted = name not in server.runs
    run = server.runs.setdefault(name, Received())
    run.variables |= {key: value for key, value in variables.items() if value is not None}
    run.config |= {key: entry["value"] for key, entry in json.loads(variables.get("config") or "{}").items()}
    run.summary |= json.loads(variables.get("summaryMetrics") or "{}")
    bucket = describe_run(name, run) | {"historyLineCount": 0}
    return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}


@answers
def run_resume_status(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """What the server has of a run that is opened again."""
    run = server.runs.get(variables["name"])
    return {"model": PROJECT | {"bucket": run and describe_run(variables["name"], run)}}


@answers
def server_features_query(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """No optional features."""
    return {"serverInfo": {"features": []}}


@answers
def viewer(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """Who is logged in."""
    account = {"id": "1", "entity": "team", "username": "team", "email": "", "flags": "{}", "admin": False}
    return {"viewer": account | {"name": "team", "teams": {"edges": []}}}


@answers
def get_default_entity(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """Whose projects are meant where nobody is named."""
    return viewer(server, variables)


@answers
def runs(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """All runs of the project, on one page."""
    edges = [{"node": describe_run(name, run), "cursor": name} for name, run in server.runs.items()]
    page = {"edges": edges, "pageInfo": {"endCursor": None, "hasNextPage": False}}
    known = {"internalId": "1", "runCount": len(edges), "readOnly": False, "runs": page}
    return {"project": known if variables["project"] == PROJECT["name"] else None}


@answers
def run_files(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """Where the files of a run are."""
    edges = []
    for name in variables["fileNames"]:
        address, content = (
            f"{server.address}/run/{variables['name']}/{name}",
            server.uploads[f"run/{variables['name']}/{name}"],
        )
        node = {"id": name, "name": name, "url": address, "directUrl": address, "sizeBytes": len(content)}
        edges.append({"node": node | dict.fromkeys(("mimetype", "updatedAt", "md5")), "cursor": name})
    files = {"edges": edges, "pageInfo": {"endCursor": None, "hasNextPage": False}}
    return {"project": {"internalId": "1", "run": {"fileCount": len(edges), "files": files}}}


@answers
def artifact_type(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """The type of an artifact of that name: there is none."""
    return {"project": {"artifact": None}}


@answers
def create_run_files(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """Where a run's files are to be put."""
    run = variables["run"]
    files = [{"name": file, "uploadUrl": f"{server.address}/run/{run}/{file}"} for file in variables["files"]]
    return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": files}}


@answers
def notify_scriptable_run_alert(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """An alert of a run."""
    server.runs[variables["runName"]].alerts.append(variables)
    return {"notifyScriptableRunAlert": {"success": True}}


@answers
def create_artifact(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """A new artifact: manifest, files and the commit are still to come."""
    server.artifacts.append(ReceivedArtifact(variables["input"]))
    number = str(len(server.artifacts) - 1)
    artifact = {"id": number, "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
    return {"createArtifact": {"artifact": artifact}}


@answers
def create_artifact_manifest(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """Where the list of an artifact's files is to be put."""
    number = variables["artifactID"]
    file = {"id": f"manifest-{number}", "uploadUrl": f"{server.address}/manifest/{number}", "uploadHeaders": []}
    return {"createArtifactManifest": {"artifactManifest": {"id": f"manifest-{number}", "file": file}}}


@answers
def update_artifact_manifest(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """The list of an artifact's files is known now."""
    number = variables["artifactManifestID"].removeprefix("manifest-")
    file = {"id": f"manifest-{number}", "uploadUrl": f"{server.address}/manifest/{number}", "uploadHeaders": []}
    return {"updateArtifactManifest": {"artifactManifest": {"id": f"manifest-{number}", "file": file}}}


@answers
def create_artifact_files(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """Where an artifact's files are to be put."""
    nodes = []
    for entry in variables["input"]["artifactFiles"]:
        number, name = entry["artifactID"], entry["name"]
        server.artifacts[int(number)].files.append(name)
        node = {"storagePath": name, "uploadHeaders": [], "uploadMultipartUrls": None, "artifact": {"id": number}}
        nodes.append({"node": node | {"uploadUrl": f"{server.address}/artifact/{number}/{name}"}})
    return {"createArtifactFiles": {"files": {"edges": nodes}}}


@answers
def commit_artifact(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """An artifact is complete."""
    server.artifacts[int(variables["artifactID"])].committed = True
    return {"commitArtifact": {"artifact": {"id": variables["artifactID"], "digest": "digest"}}}


def answer(server: StandIn, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    """The answer to one GraphQL operation: its data, or an error."""
    operation = re.findall(r"(?:query|mutation)\s+(\w+)", query)[0]
    server.operations.append((operation, variables))
    try:
        if operation not in ANSWERS:
            raise Refused(f"unknown operation {operation}")
        data = ANSWERS[operation](server, variables)
        check_fields(data, parse_fields(query))
    except Refused as error:
        server.refused.append(str(error))
        return {"errors": [{"message": str(error)}], "data": None}
    return {"data": data}


Fields = dict[str, "Fields"]


def parse_fields(query: str) -> Fields:
    """The fields that an operation asks for, nested, under their aliases where they have one."""
    query = re.sub(r'"[^"]*"|@\w+', "", query)
    while "(" in query:
        query = re.sub(r"\([^()]*\)", "", query)
    fragments, text = {}, ""
    for part in re.split(r"^\s*(?=query\b|mutation\b|fragment\b)", query, flags=re.MULTILINE):
        head, _, body = part.rpartition("}")[0].partition("{")
        if head.startswith("fragment"):
            fragments[head.split()[1]] = body
        else:
            text += body
    while spreads := set(re.findall(r"\.\.\.\s*(?!on\b)(\w+)", text)):
        for name in spreads:
            text = re.sub(rf"\.\.\.\s*{name}\b", lambda _, name=name: fragments[name], text)
    words = iter(re.findall(r"\.\.\.|\w+\s*:|\w+|[{}]", text))

    def read() -> Fields:
        fields: Fields = {}
        name = ""
        for word in words:
            if word == "}":
                break
            if word == "...":  # on a type
                _, _, _ = next(words), next(words), next(words)
                fields |= read()
            elif word == "{":
                fields[name] = read()
            else:
                name = word.rstrip(" :")
                fields[name] = {}
                if word.endswith(":"):
                    next(words)
        return fields

    return read()


def check_fields(data: Any, fields: Fields) -> None:
    """Refuse a field that the answer does not have."""
    for entry in data if isinstance(data, list) else [data]:
        if not isinstance(entry, dict):
            continue
        for name, inner in fields.items():
            if name not in entry and name != "__typename":
                raise Refused(f"unknown field {name}")
            check_fields(entry.get(name), inner)


@contextmanager
def serving() -> Iterator[StandIn]:
    """A server while this lasts."""
    server: StandIn

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.read()
            if server.broken:
                self.reply({"error": "broken"}, code=503)
                return
            stream = re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path)
            if stream:
                self.receive(server.runs.setdefault(stream[1], Received()), json.loads(body))
                self.reply({})
            elif self.path == "/graphql":
                query = json.loads(body)
                self.reply(answer(server, query["query"], query.get("variables") or {}))
            else:
                self.reply({}, code=404)

        def do_PUT(self) -> None:
            server.uploads[self.path.removeprefix("/")] = self.read()
            self.reply({})

        def do_GET(self) -> None:
            content = server.uploads.get(self.path.removeprefix("/"))
            self.reply({} if content is None else content, code=200 if content is not None or self.path == "/" else 404)

        def read(self) -> bytes:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

        def receive(self, run: Received, stream: dict[str, Any]) -> None:
            for name, chunk in (stream.get("files") or {}).items():
                if name.endswith("history.jsonl"):
                    run.history[chunk["offset"] :] = [json.loads(line) for line in chunk["content"]]
                elif name.endswith("summary.json"):
                    run.summary |= json.loads(chunk["content"][-1])
            if stream.get("complete"):
                run.exit_code = stream.get("exitcode")

        def reply(self, body: dict[str, Any] | bytes, *, code: int = 200) -> None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
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
