"""The installation under test: the release binary on either database, with a clock that can be moved, and its HTTP API."""

import contextlib
import glob
import hashlib
import http.client
import json
import os
import pathlib
import secrets
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent


def faketime_library():
    """libfaketime for programs with threads; as root it is installed when missing."""
    patterns = ["/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/libfaketimeMT.so.1",
                "/usr/local/lib/faketime/libfaketimeMT.so.1"]
    found = [path for pattern in patterns for path in glob.glob(pattern)]
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-q", "faketime"], check=True, stdout=subprocess.DEVNULL)
        found = glob.glob(patterns[0])
    if not found:
        raise SystemExit("libfaketime is missing: install the package faketime")
    return found[0]


def free_port():
    """A loopback port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Clock:
    """The clock that server, commands and database see: the real one and an offset kept in a file."""

    def __init__(self, folder, start):
        self._file = folder / "clock-offset"
        self.preload = faketime_library()
        self.set(start)

    def now(self):
        return time.time() + self._offset

    def set(self, moment):
        """Moves everybody's clock to `moment` (seconds since 1970), whole or not at all."""
        self._offset = round(moment - time.time())
        unfinished = self._file.with_suffix(".new")
        unfinished.write_text(f"{self._offset:+d}\n", encoding="ascii")
        unfinished.chmod(0o644)
        unfinished.rename(self._file)

    @property
    def settings(self):
        return {"FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1",
                "NO_FAKE_STAT": "1"}


class PlainClock:
    """The real clock, which nobody moves."""

    settings, preload = {}, ""


class ThrowawayPostgres:
    """A PostgreSQL of its own, whose clock is the moved one too: leases go by the database's clock."""

    def __init__(self, clock):
        keep_open = 'echo "$THROWAWAY_DATABASE_URL"; cat >/dev/null'
        self._process = subprocess.Popen(
            [HERE.parent / "throwaway-postgres.sh", "sh", "-c", keep_open],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **clock.settings, "THROWAWAY_PRELOAD": clock.preload},
        )
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            raise SystemExit("the throw-away PostgreSQL did not start")

    def stop(self):
        self._process.stdin.close()
        self._process.wait(60)


class House:
    """One installation in one folder: commands, the server, and questions put straight to the database."""

    TABLES = ["accounts", "account_roles", "running_profiles", "facilitator_applications", "runs", "run_facilitators"]

    def __init__(self, folder, binary, database, clock, smtp_port=None, settings=()):
        self.folder, self.clock, self._binary = folder, clock, binary
        self._postgres = ThrowawayPostgres(clock) if database == "postgres" else None
        self._sqlite = folder / "data" / "sidebyside.db"
        self.port = free_port()
        plain = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "RUST_LOG")}
        self._env = {
            **plain, **clock.settings, "LD_PRELOAD": clock.preload,
            "BIND": f"127.0.0.1:{self.port}", "BASE_URL": self.base_url,
            "MAIL_FROM": "Side by Side <hello@house.example>", "RATE_LIMITS": "off", "ORG_NAME": "The real-input club",
            "CONTACT": "hello@house.example",
        }
        if smtp_port:
            self._env["SMTP_URL"] = f"smtp://127.0.0.1:{smtp_port}"
        if self._postgres:
            self._env.update(DATABASE_URL=self._postgres.url, SECRET_KEY=secrets.token_hex(32))
        self._env.update(settings)
        self._server, self._others = None, []

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.port}"

    def command(self, *arguments, answer=None):
        """Runs a subcommand; returns (exit code, everything it printed)."""
        done = subprocess.run([self._binary, *arguments], cwd=self.folder, env=self._env, input=answer, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900)
        return done.returncode, done.stdout.strip()

    def serve(self, patience_s=60):
        """Starts the server and returns once /readyz says that it serves."""
        self._server = self._start("serve", self._env)
        self._wait_until_ready(self._server, self.port, patience_s)

    def serve_also(self, patience_s=60):
        """Starts a further server on the same database; returns its port."""
        port = free_port()
        process = self._start("serve", {**self._env, "BIND": f"127.0.0.1:{port}"})
        self._others.append(process)
        self._wait_until_ready(process, port, patience_s)
        return port

    def work_also(self):
        """Starts a worker beside the server."""
        self._others.append(self._start("worker", self._env))

    def _start(self, command, env):
        log = open(self.folder / "server.log", "ab")  # kept open by the child
        return subprocess.Popen([self._binary, command], cwd=self.folder, env=env, stdout=log, stderr=log)

    def _wait_until_ready(self, server, port, patience_s):
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if server.poll() is not None:
                raise SystemExit(f"the server stopped with {server.returncode}:\n{self.log_end()}")
            with contextlib.suppress(OSError):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
            time.sleep(0.05)
        raise SystemExit(f"/readyz does not say 200 within {patience_s} s:\n{self.log_end()}")

    def stop_serving(self):
        """Asks the server to stop; returns its exit code."""
        server, self._server = self._server, None
        if server is None:
            return None
        server.terminate()
        try:
            return server.wait(60)
        except subprocess.TimeoutExpired:
            server.kill()
            return "killed: it did not stop within 60 s"

    def remove(self):
        others, self._others = self._others, []
        for other in others:
            other.terminate()
        self.stop_serving()
        for other in others:
            other.wait(60)
        if self._postgres:
            self._postgres.stop()

    def log_end(self, lines=20):
        with contextlib.suppress(FileNotFoundError):
            return "\n".join((self.folder / "server.log").read_text(errors="replace").splitlines()[-lines:])
        return ""

    def query(self, sql):
        """Rows of text, read straight from the database."""
        if self._postgres:
            asked = subprocess.run(["psql", self._postgres.url, "-XAtF", "\x1f", "-c", sql], check=True, text=True,
                                   stdout=subprocess.PIPE)
            return [line.split("\x1f") for line in asked.stdout.splitlines()]
        with contextlib.closing(sqlite3.connect(f"file:{self._sqlite}?mode=ro", uri=True, timeout=10)) as connection:
            return [[str(value) for value in row] for row in connection.execute(sql)]

    def change(self, sql):
        """Changes the database behind the product's back: only to set the stage, before anything is looked at."""
        if self._postgres:
            subprocess.run(["psql", self._postgres.url, "-Xq", "-v", "ON_ERROR_STOP=1", "-c", sql], check=True)
            return
        with contextlib.closing(sqlite3.connect(self._sqlite, timeout=10)) as connection, connection:
            connection.execute(sql)

    def fingerprint(self):
        """A hash of everything that an import may touch: the same before and after means that nothing changed."""
        rows = [sorted("\x1f".join(row) for row in self.query(f"SELECT * FROM {table}")) for table in self.TABLES]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    def outbox(self):
        """How many mails are in which state."""
        return {status: int(count) for status, count in self.query("SELECT status, count(*) FROM outbox GROUP BY status")}

    def settle(self, patience_s=300):
        """Returns once no mail waits: before the clock moves, so that a lease never seems to have run out."""
        deadline = time.monotonic() + patience_s
        while self.outbox().get("queued", 0):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the outbox is not empty within {patience_s} s: {self.outbox()}")
            time.sleep(0.05)


class Answer:
    """Status, headers and body of a response; `body` is parsed where it is JSON."""

    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        raw = response.read()
        is_json = "json" in (self.headers.get("Content-Type") or "")
        self.body = json.loads(raw) if is_json and raw else raw.decode("utf-8", "replace")

    def __repr__(self):
        return f"{self.status} {json.dumps(self.body) if not isinstance(self.body, str) else self.body[:300]}"


class Api:
    """The HTTP API over one connection a thread. `waits` counts the answers that asked us to come back later."""

    def __init__(self, port):
        self._port, self._local, self._lock = port, threading.local(), threading.Lock()
        self.waits = 0

    def call(self, method, path, *, token=None, json_body=None, form=None, key=None):
        headers = {"Accept": "application/json"}
        body = None
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if key:
            headers["Idempotency-Key"] = key
        if json_body is not None:
            body, headers["Content-Type"] = json.dumps(json_body), "application/json"
        if form is not None:
            body, headers["Content-Type"] = urllib.parse.urlencode(form), "application/x-www-form-urlencoded"
        for _ in range(20):
            answer = self._once(method, path, body, headers)
            if answer.status not in (429, 503):
                return answer
            with self._lock:
                self.waits += 1
            time.sleep(min(float(answer.headers.get("Retry-After") or 1), 5))
        return answer

    def _once(self, method, path, body, headers):
        for attempt in (1, 2):
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            try:
                connection.request(method, path, body, headers)
                return Answer(connection.getresponse())
            except (http.client.BadStatusLine, ConnectionError):
                # The server may close a connection at rest; whatever is repeated here carries a key or reads.
                connection.close()
                self._local.connection = None
                if attempt == 2:
                    raise

    def log_in(self, email, password):
        """Tokens of a new session."""
        answer = self.call("POST", "/v1/sessions", json_body={"email": email, "password": password})
        if answer.status not in (200, 201):
            raise RuntimeError(f"log-in of {email}: {answer}")
        return answer.body
