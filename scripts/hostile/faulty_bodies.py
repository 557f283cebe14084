#!/usr/bin/env python3
"""Four clients send bodies of 60 KB with thousands of faults; holds the answers to 32 KB and others' waits to 50 ms (p50).

    python3 scripts/hostile/faulty_bodies.py     (SIDEBYSIDE=path/to/binary to try another one)

Takes about 20 s; exits with 1 when a promise is broken.
"""

import json
import statistics
import tempfile
import threading
import time

from server import Server, verdict


def compact(value):
    return json.dumps(value, separators=(",", ":"))


CLIENTS, SECONDS = 4, 8
LARGEST_ANSWER, P50_MS = 32 * 1024, 50
BODIES = [
    compact({"email": [1] * 30_000}),
    compact({f"x{n}": n for n in range(5000)}),
    # Small enough to be checked where it is read.
    compact({f"x{n}": n for n in range(390)}),
    compact({"email": "a@b.example", "x": [{"y": 1}] * 7000}),
    "[" * 60_000,
    "{" + "\"email\":1," * 6000 + "\"email\":1}",
]


def waits(server, seconds):
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        if server.status("/healthz") != 200:
            found.append(60)
        found.append(time.monotonic() - begun)
        time.sleep(0.01)
    return statistics.median(found) * 1000, max(found) * 1000


def main():
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder, RATE_LIMITS="off")
        sent, largest, statuses, is_over = [0], [0], set(), threading.Event()

        def client(number):
            while not is_over.is_set():
                body = BODIES[(sent[0] + number) % len(BODIES)]
                status, answer = server.request("POST", "/v1/password-resets", body, {"Content-Type": "application/json"})
                statuses.add(status)
                sent[0] += 1
                largest[0] = max(largest[0], len(answer))

        alone = waits(server, 3)
        clients = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(CLIENTS)]
        for one in clients:
            one.start()
        beside = waits(server, SECONDS)
        is_over.set()
        for one in clients:
            one.join()
        server.stop()
    print(f"others alone: p50 {alone[0]:.1f} ms, most {alone[1]:.1f} ms; beside {sent[0]} faulty bodies: "
          f"p50 {beside[0]:.1f} ms, most {beside[1]:.1f} ms")
    verdict([(f"statuses: {statuses}", statuses == {400, 422}),
             (f"largest answer: {largest[0]} bytes", 0 < largest[0] <= LARGEST_ANSWER),
             (f"others' p50: {beside[0]:.1f} ms", beside[0] < P50_MS)])


main()
