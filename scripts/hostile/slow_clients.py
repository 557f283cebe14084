#!/usr/bin/env python3
"""Opens slow connections from one address and holds the server to serving others, with 1,024 descriptors.

    python3 scripts/hostile/slow_clients.py      (SIDEBYSIDE=path/to/binary to try another one)

First 500 trickling bodies, then 1,100 trickling heads, then 20 connections that read no answer: a new client must get its answer
within 2 s meanwhile, as must /healthz and /readyz. All slow bodies are cut within 15 s and all slow heads as well, also
with limits off, where one address may have all places. Takes about two minutes; exits with 1 when a promise is broken.
"""

import resource
import select
import statistics
import tempfile
import threading
import time

from server import Server, verdict

DESCRIPTORS = 1024
BODY = b"POST /v1/accounts HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"
HEAD = b"GET /v1/help HTTP/1.1\r\nHost: a\r\nX-Slow: "
# More than the buffers of both ends hold: 15 answers of 300 KB or more.
ASK = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 15
UNREAD = 20
# Thirty seconds for a write and some for the clean-up; other files may come and go meanwhile.
CLOSED_WITHIN_S, SPARE = 45, 3
SERVED_WITHIN_S, CUT_WITHIN_S = 2, 15


class Trickle:
    """Many connections that send one byte a second until the server cuts them."""

    def __init__(self, server, first, count):
        self.server, self.first, self.count = server, first, count
        self.open, self.begun, self.cut_after = [], time.monotonic(), []
        self.is_over = False
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.connect, self.drip)]
        for thread in self.threads:
            thread.start()

    def connect(self):
        for _ in range(self.count):
            try:
                self.open.append((self.server.connect(self.first), time.monotonic()))
            except OSError:
                self.cut_after.append(0)

    def drip(self):
        while not self.is_over:
            poll = select.poll()
            by_number = {stream.fileno(): (stream, since) for stream, since in list(self.open)}
            for number in by_number:
                poll.register(number, select.POLLIN | select.POLLHUP | select.POLLERR)
            ready = {number for number, _ in poll.poll(0)}
            for number, (stream, since) in by_number.items():
                try:
                    # Bytes or an end: an answer before the request was whole, after which the server hangs up.
                    if number in ready:
                        raise OSError
                    stream.send(b"x")
                except OSError:
                    self.cut_after.append(time.monotonic() - since)
                    self.open.remove((stream, since))
                    stream.close()
            time.sleep(1)

    def wait_until_cut(self):
        deadline = self.begun + 4 * CUT_WITHIN_S
        while len(self.cut_after) < self.count and time.monotonic() < deadline:
            time.sleep(0.2)
        self.is_over = True
        for thread in self.threads:
            thread.join()
        return len(self.cut_after), max(self.cut_after, default=0)


def others(server, seconds):
    """How long new clients wait for their answers meanwhile, and which were not served."""
    waits, wrong, end = [], [], time.monotonic() + seconds
    while time.monotonic() < end:
        for path in ("/v1/help", "/readyz", "/healthz"):
            begun = time.monotonic()
            status = server.status(path, timeout=SERVED_WITHIN_S)
            waits.append(time.monotonic() - begun)
            if status != 200:
                wrong.append((path, status))
        time.sleep(0.1)
    return waits, wrong


def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    promises = []
    for limits in ("on", "off"):
        with tempfile.TemporaryDirectory() as folder:
            server = Server(folder, DESCRIPTORS, RATE_LIMITS=limits)
            for name, first, count in (("bodies", BODY, 500), ("heads", HEAD, 1100)):
                trickle = Trickle(server, first, count)
                waits, wrong = others(server, 8)
                p50, most = statistics.median(waits) * 1000, max(waits) * 1000
                what = f"RATE_LIMITS={limits}, {count} slow {name}"
                promises.append((f"{what}: others {len(waits)} answers, p50 {p50:.0f} ms, most {most:.0f} ms, "
                                 f"not served {wrong[:3]}", not wrong))
                cut, longest = trickle.wait_until_cut()
                promises.append((f"{what}: {cut} cut, the last after {longest:.1f} s",
                                 cut == count and longest < CUT_WITHIN_S))
            before, begun = server.descriptors(), time.monotonic()
            # From another address: these are 300 requests at once, which the flood limit counts.
            unread = [server.connect(ASK, source="127.0.0.3") for _ in range(UNREAD)]
            waits, wrong = others(server, 3)
            what = f"RATE_LIMITS={limits}, {UNREAD} connections that read no answer"
            promises.append((f"{what}: others most {max(waits) * 1000:.0f} ms, not served {wrong[:3]}", not wrong))
            while server.descriptors() > before + SPARE and time.monotonic() < begun + 2 * CLOSED_WITHIN_S:
                time.sleep(0.2)
            took = time.monotonic() - begun
            promises.append((f"{what}: closed after {took:.1f} s", took < CLOSED_WITHIN_S))
            for stream in unread:
                stream.close()
            server.stop()
    verdict(promises)


main()
