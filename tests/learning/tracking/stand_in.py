"""A stand-in for the W&B server on loopback: as much of it as the client asks for, and every way to fail.

The client speaks GraphQL to /graphql, posts the curves to /files/…/file_stream, and uploads files to the
addresses that it is given.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY = "team"
KEY = "0" * 40
"""An API key of the right form."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class StandIn:
    """Serves until it is closed. What came is in its attributes.

    Args:
        trouble: what happens to requests after the first `healthy` ones of a run that has begun:
            "error": status 500; "refuse": status 403; "hang": no answer; None: nothing.
        healthy: how many curves are taken before that.
    """

    def __init__(self, trouble: str | None = None, healthy: int = 0):
        self.trouble, self.healthy = trouble, healthy
        self.runs: dict[str, dict[str, Any]] = {}
        self.upserts: list[dict[str, Any]] = []
        self.streamed: dict[str, dict[str, dict[int, str]]] = {}
        self.ended: dict[str, int] = {}
        self.uploads: dict[str, bytes] = {}
        self.artifacts: list[dict[str, Any]] = []
        self.used: list[str] = []
        self.alerts: list[dict[str, Any]] = []
        self.views: list[dict[str, Any]] = []
        self.unknown: list[str] = []
        self.log: list[str] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()

    def environment(self) -> dict[str, str]:
        """What points the client here."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY, "WANDB_MODE": "online"}

    def history(self, run: str) -> list[dict[str, Any]]:
        """The run's logged steps."""
        return [json.loads(line) for _, line in sorted(self.streamed[run]["wandb-history.jsonl"].items())]

    def summary(self, run: str) -> dict[str, Any]:
        lines = self.streamed[run]["wandb-summary.json"]
        return json.loads(lines[max(lines)])

    # --- answers ----------------------------------------------------------------------------------

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Status and JSON content."""
        if path == "/graphql":
            request = json.loads(body)
            name = request["query"].split("(")[0].split("{")[0].split()[1]
            variables = request.get("variables") or {}
            answer = getattr(self, f"_{name}", None)
            if answer is None:
                self.unknown.append(f"{name} {request['query']} {variables}")
                return 200, {"data": {}}
            return 200, {"data": answer(variables)}
        if path.endswith("/file_stream"):
            self._stream(path.split("/")[-2], json.loads(body))
            return 200, {}
        if method == "PUT":
            self.uploads[path.removeprefix("/upload/")] = body
            return 200, {}
        if path.startswith("/sdk/otel/"):  # the client's own telemetry
            return 200, {}
        self.unknown.append(f"{method} {path}")
        return 404, {}

    def _stream(self, run: str, content: dict[str, Any]) -> None:
        files = self.streamed.setdefault(run, {})
        for name, chunk in (content.get("files") or {}).items():
            lines = files.setdefault(name, {})
            lines.update({chunk["offset"] + i: line for i, line in enumerate(chunk["content"])})
        if content.get("complete"):
            self.ended[run] = content["exitcode"]

    def _Viewer(self, _: Any) -> Any:
        user = {"id": "user", "entity": ENTITY, "username": "u", "flags": "{}"}
        return {"viewer": user | {"teams": {"edges": [{"node": {"name": ENTITY}}]}}}

    def _ServerFeaturesQuery(self, _: Any) -> Any:
        return {"serverInfo": {"features": []}}

    def _OrganizationCoreWeaveOrganizationID(self, _: Any) -> Any:
        return {"entity": {"organization": {"coreWeaveOrganizationId": None}}}

    def _UpsertBucket(self, given: dict[str, Any]) -> Any:
        self.upserts.append(given)
        new = given["name"] not in self.runs
        run = self.runs.setdefault(given["name"], {})
        run.update({key: value for key, value in given.items() if value is not None})
        return {"upsertBucket": {"bucket": self._bucket(given["name"]), "inserted": new}}

    def _bucket(self, name: str) -> dict[str, Any]:
        run = self.runs[name]
        return {
            "id": f"id-{name}",
            "name": name,
            "displayName": run.get("displayName"),
            "description": None,
            "config": run.get("config", "{}"),
            "sweepName": None,
            "project": {"id": "p", "name": run["project"], "entity": {"id": "e", "name": ENTITY}},
            "historyLineCount": len(self.streamed.get(name, {}).get("wandb-history.jsonl", ())),
        }

    def _RunResumeStatus(self, given: dict[str, Any]) -> Any:
        if given["name"] not in self.runs:
            return {"model": None}
        bucket, files = self._bucket(given["name"]), self.streamed.get(given["name"], {})
        history, events = (sorted(files.get(f"wandb-{f}.jsonl", {}).items()) for f in ("history", "events"))
        summary = files.get("wandb-summary.json", {0: "{}"})
        state = {
            "summaryMetrics": summary[max(summary)],
            "logLineCount": len(files.get("output.log", {})),
            "eventsLineCount": len(events),
            "historyTail": json.dumps([line for _, line in history[-1:]]),
            "eventsTail": json.dumps([line for _, line in events[-1:]]),
            "tags": self.runs[given["name"]].get("tags"),
            "notes": None,
            "wandbConfig": "{}",
        }
        entity = bucket["project"]["entity"]
        return {"model": {"id": "p", "name": given["project"], "entity": entity, "bucket": bucket | state}}

    def _ArtifactType(self, _: Any) -> Any:
        return {"project": {"artifact": None}}

    def _CreateArtifact(self, given: dict[str, Any]) -> Any:
        self.artifacts.append(given["input"])
        artifact = {"id": f"artifact-{len(self.artifacts) - 1}", "state": "PENDING"}
        return {"createArtifact": {"artifact": artifact | {"artifactSequence": {"latestArtifact": None}}}}

    def _CreateArtifactManifest(self, given: dict[str, Any]) -> Any:
        url = f"{self.url}/upload/{given['artifactID']}/{given['name']}"
        file = {"id": "file", "uploadUrl": url, "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": given["artifactID"], "file": file}}}

    def _UpdateArtifactManifest(self, given: dict[str, Any]) -> Any:
        url = f"{self.url}/upload/{given['artifactManifestID']}/wandb_manifest.json"
        file = {"id": "file", "uploadUrl": url, "uploadHeaders": []}
        manifest = {"id": given["artifactManifestID"], "file": file}
        return {"updateArtifactManifest": {"artifactManifest": manifest}}

    def _CreateArtifactFiles(self, given: dict[str, Any]) -> Any:
        nodes = [
            {
                "id": "file",
                "name": file["name"],
                "displayName": file["name"],
                "uploadUrl": f"{self.url}/upload/{file['artifactID']}/{file['name']}",
                "uploadHeaders": [],
                "uploadMultipartUrls": None,
                "storagePath": file["name"],
                "artifact": {"id": file["artifactID"]},
            }
            for file in given["input"]["artifactFiles"]
        ]
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}

    def _CommitArtifact(self, given: dict[str, Any]) -> Any:
        self.artifacts[int(given["artifactID"].split("-")[1])]["committed"] = True
        return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": "d"}}}

    def _UseArtifact(self, given: dict[str, Any]) -> Any:
        self.used.append(given)
        return {"useArtifact": {"artifact": {"id": "artifact"}}}

    def _NotifyScriptableRunAlert(self, given: dict[str, Any]) -> Any:
        self.alerts.append(given)
        return {"notifyScriptableRunAlert": {"success": True}}

    def _UpsertView2(self, given: dict[str, Any]) -> Any:
        self.views.append(given)
        return {"upsertView": {"view": {"id": "view", "name": given["name"]}, "inserted": True}}

    def _CreateRunFiles(self, given: dict[str, Any]) -> Any:
        files = [{"name": f, "uploadUrl": f"{self.url}/upload/{given['run']}/{f}"} for f in given["files"]]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}

    # --- the server -------------------------------------------------------------------------------

    def _in_trouble(self, path: str) -> bool:
        if self.trouble is None:
            return False
        if path.endswith("/file_stream"):
            self.healthy -= 1
        return self.healthy < 0

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with outer._lock:
                    outer.log.append(f"{self.command} {self.path} {body[:300]!r}")
                    ill = outer._in_trouble(self.path)
                    status, content = (500, {}) if ill else outer.answer(self.command, self.path, body)
                if ill and outer.trouble == "hang":
                    outer._stop.wait()
                if ill and outer.trouble == "refuse":
                    status = 403
                out = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

            do_GET = do_POST = do_PUT = handle_any

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
