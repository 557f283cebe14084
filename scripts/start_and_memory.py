#!/usr/bin/env python3
"""Measures how long a start takes and how much memory the server holds, on SQLite, with the real binary:

    python3 scripts/start_and_memory.py [--binary target/release/sidebyside] [--requests 100000]

Prints the time from the start of the process until /readyz says 200 (an empty, migrated database; the median of several
starts), the resident memory of the idle server, and the resident memory after 1,000 and after all mixed requests. Exits
with 1 when a figure is above its bound.
"""

import argparse
import concurrent.futures
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
START_BOUND_S, IDLE_BOUND_MB, GROWTH_BOUND = 0.3, 60, 1.3
STARTS = 7
CLIENTS = 4
FIRST_REQUESTS = 1_000
START_TIMEOUT_S = 60
# How long an idle server is left alone before its memory is read: its background work has come round several times.
IDLE_S = 5


class Server:
    """A running server over a data folder of its own."""

    def __init__(self, binary, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        environment = {"DATA_DIR": str(folder), "BIND": f"127.0.0.1:{self.port}", "RATE_LIMITS": "off",
                       "PATH": os.environ["PATH"]}
        begun = time.monotonic()
        self.process = subprocess.Popen([binary, "serve"], cwd=folder, env=environment, stderr=subprocess.DEVNULL)
        while not self.is_ready():
            if self.process.poll() is not None:
                sys.exit("the server ended")
            if time.monotonic() - begun > START_TIMEOUT_S:
                self.process.kill()
                sys.exit(f"the server is not ready after {START_TIMEOUT_S} s")
            time.sleep(0.002)
        self.start_s = time.monotonic() - begun

    def is_ready(self):
        try:
            return self.request(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5), "GET", "/readyz")[0] == 200
        except OSError:
            return False

    def request(self, connection, method, path, body=None, token=None):
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def memory_mb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024

    def stop(self):
        self.process.terminate()
        if self.process.wait(timeout=30) != 0:
            sys.exit("the server did not stop gracefully")


def demo(binary, folder):
    """Fills a fresh database with the demo town; gives its log-ins as (address, pass phrase)."""
    environment = {"DATA_DIR": str(folder), "PATH": os.environ["PATH"]}
    said = subprocess.run([binary, "demo"], cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout
    phrase = re.search(r"with the pass phrase\n +(.+)", said)
    addresses = re.findall(r"^ +(\S+@\S+) +(?:takes part|leads runs|moderates)", said, re.MULTILINE)
    if not phrase or not addresses:
        sys.exit(f"no log-ins in what the demo said:\n{said}")
    return [(address, phrase[1].strip()) for address in addresses]


def log_in(server, address, phrase):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    status, body = server.request(connection, "POST", "/v1/sessions", {"email": address, "password": phrase})
    if status not in (200, 201):
        sys.exit(f"log-in answered {status}: {body[:300]!r}")
    return json.loads(body)["access_token"]


def mixed_requests(server, count, log_ins):
    """Sends so many requests on a few connections; gives how often each status came."""
    some = json.loads(server.request(http.client.HTTPConnection("127.0.0.1", server.port), "GET", "/v1/runs")[1])["items"]
    runs = itertools.cycle([run["id"] for run in some] or ["00000000-0000-0000-0000-000000000000"])
    kinds = ["runs", "matches", "run", "signup", "me", "profile", "bad body", "missing", "docs", "description", "log-in"]
    weights = [20, 20, 20, 8, 10, 5, 8, 5, 2, 1, 0.05]

    def client(number):
        dice = random.Random(number)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        statuses, token, token_at = {}, None, 0
        for index in range(count // CLIENTS):
            if time.monotonic() - token_at > 600:
                token, token_at = log_in(server, *log_ins[number % len(log_ins)]), time.monotonic()
            kind, run = dice.choices(kinds, weights)[0], next(runs)
            lat, lng = dice.uniform(51.4, 51.5), dice.uniform(-2.65, -2.55)
            call = {
                "runs": ("GET", f"/v1/runs?near_lat={lat:.4f}&near_lng={lng:.4f}&radius_km=20", None, None),
                "matches": ("GET", "/v1/matches", None, token),
                "run": ("GET", f"/v1/runs/{run}", None, token),
                "signup": ("POST", f"/v1/runs/{run}/signups", {}, token),
                "me": ("GET", "/v1/me", None, token),
                "profile": ("PUT", "/v1/me/running-profile",
                            {"activities": ["run", "walk"], "home": {"lat": lat, "lng": lng}, "travel_radius_km": 10}, token),
                "bad body": ("POST", "/v1/runs", {"title": "x" * dice.randrange(2000), "unknown": index}, token),
                "missing": ("GET", f"/v1/nothing/{index}", None, None),
                "docs": ("GET", "/docs/", None, None),
                "description": ("GET", "/openapi.json", None, None),
                "log-in": ("POST", "/v1/sessions", {"email": f"nobody{index}@example.org", "password": "wrong " * 4}, None),
            }[kind]
            status, _ = server.request(connection, *call)
            statuses[status] = statuses.get(status, 0) + 1
        return statuses

    totals = {}
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        for statuses in pool.map(client, range(CLIENTS)):
            for status, many in statuses.items():
                totals[status] = totals.get(status, 0) + many
    return totals


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target" / "release" / "sidebyside")
    parser.add_argument("--requests", type=int, default=100_000)
    arguments = parser.parse_args()
    if not arguments.binary.exists():
        parser.error(f"{arguments.binary} is missing: cargo build --release")
    binary, failed = str(arguments.binary.resolve()), []

    def told(what, value, unit, bound):
        print(f"{what}: {value:.3g} {unit} (at most {bound})")
        if value > bound:
            failed.append(what)

    with tempfile.TemporaryDirectory() as folder:
        # The first start migrates; it is not counted.
        Server(binary, folder).stop()
        starts = []
        for _ in range(STARTS):
            server = Server(binary, folder)
            starts.append(server.start_s)
            if len(starts) == STARTS:
                time.sleep(IDLE_S)
                idle = server.memory_mb()
            server.stop()
    told("start until /readyz says 200", statistics.median(starts), "s", START_BOUND_S)
    told("resident memory of the idle server", idle, "MB", IDLE_BOUND_MB)

    with tempfile.TemporaryDirectory() as folder:
        log_ins = demo(binary, folder)
        server = Server(binary, folder)
        mixed_requests(server, FIRST_REQUESTS, log_ins)
        first = server.memory_mb()
        begun = time.monotonic()
        statuses = mixed_requests(server, arguments.requests, log_ins)
        seconds, last = time.monotonic() - begun, server.memory_mb()
        server.stop()
    print(f"{arguments.requests} mixed requests in {seconds:.0f} s; answers by status: {dict(sorted(statuses.items()))}")
    print(f"resident memory after {FIRST_REQUESTS}: {first:.1f} MB; after {arguments.requests}: {last:.1f} MB")
    told("growth of resident memory", last / first, "times", GROWTH_BOUND)
    if statuses.get(500):
        failed.append("answers with 500")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
