"""A real schema registry, Apicurio's, from its archive: fetched by Maven once, started in about four seconds.

Where Maven does not have it, a small one in this process stands in, and a warning says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import threading
import time
import urllib.request
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from kafka import java
from kafka.broker import CACHE, free_port

VERSION = "2.6.13.Final"
FOLDER = CACHE.with_name(f"apicurio-{VERSION}")
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
START_SECONDS_MAX = 60


def fetched():
    """The folder of its jars; None where it cannot be had."""
    if any(FOLDER.glob("*-runner.jar")):
        return FOLDER
    if shutil.which("mvn") is None:
        return None
    part = FOLDER.with_name(f"{FOLDER.name}.{os.getpid()}.part")
    artifact = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
    done = subprocess.run(
        ["mvn", "-q", "-B", COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={part}"],
        capture_output=True,
        check=False,
        env=java.environment(),
    )
    archive = part / f"apicurio-registry-app-{VERSION}-all.tar.gz"
    if done.returncode != 0 or not archive.exists():
        shutil.rmtree(part, ignore_errors=True)
        return None
    with tarfile.open(archive) as tar:
        tar.extractall(part)
    archive.unlink()
    if FOLDER.exists():
        shutil.rmtree(part)
    else:
        part.rename(FOLDER)
    return FOLDER


class Apicurio:
    """`stop` ends it; what it knew is gone with it."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/apis/ccompat/v7"
        # Small and quick to start, as the broker.
        options = ["-Xmx300m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dquarkus.http.host=127.0.0.1"]
        (jar,) = folder.glob("*-runner.jar")
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [java.program("java"), *options, f"-Dquarkus.http.port={self.port}", "-jar", str(jar)],
                stdout=output, stderr=output, cwd=folder,
            )  # fmt: skip
        begun = time.monotonic()
        while time.monotonic() - begun < START_SECONDS_MAX:
            try:
                urllib.request.urlopen(f"{self.url}/subjects", timeout=2).close()
                return
            except OSError:
                time.sleep(0.1)
        self.stop()
        raise AssertionError(f"the registry did not start: {log.read_text()[-2_000:]}")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Small:
    """Answers what the tests ask of a registry, as Confluent's does."""

    def __init__(self) -> None:
        self.schemas: list[dict] = []
        small = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                number = self.path.rpartition("/")[2].partition("?")[0]
                if number.isdigit() and 0 < int(number) <= len(small.schemas):
                    self.answer(200, small.schemas[int(number) - 1])
                else:
                    self.answer(404, {"error_code": 40403, "message": "Schema not found"})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path.startswith("/compatibility"):
                    self.answer(404, {"error_code": 40401, "message": "Subject not found"})
                    return
                if body not in small.schemas:
                    small.schemas.append(body)
                self.answer(200, {"id": small.schemas.index(body) + 1})

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def start(log: Path) -> Apicurio | Small:
    folder = fetched()
    if folder is None:
        warnings.warn(f"Maven has no Apicurio {VERSION}: a small registry of our own stands in for it", stacklevel=2)
        return Small()
    return Apicurio(folder, log)
