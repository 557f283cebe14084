#!/usr/bin/env python3
"""Sends gzip bombs to every kind of body and holds the memory of the server to 16 MiB above what it was before.

    python3 scripts/hostile/gzip_bombs.py        (SIDEBYSIDE=path/to/binary to try another one)

Ten at a time, 100 of 245 KB that would become 250 MB, and 100 of 60 KB that would become 60 MB: the first are refused
for what is sent, the second for what they inflate to. Takes about half a minute; exits with 1 when the promise is broken.
"""

import concurrent.futures
import gzip
import tempfile

from server import Server, verdict

BOUND_MIB = 16
BOMBS = 100
AT_ONCE = 10
PATHS = ["/v1/accounts", "/v1/sessions", "/v1/password-resets", "/v1/accounts/verify-email", "/e/verify-email/x"]


def main():
    bombs = {"245 KB": gzip.compress(bytes(250_000_000), 9), "60 KB": gzip.compress(bytes(60_000_000), 9)}
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder, RATE_LIMITS="off")

        def send(number, bomb):
            kind = "application/x-www-form-urlencoded" if number % 5 == 4 else "application/json"
            headers = {"Content-Type": kind, "Content-Encoding": "gzip"}
            try:
                return server.request("POST", PATHS[number % 5], bomb, headers)[0]
            except (BrokenPipeError, ConnectionResetError):
                return "cut off"

        # What a first use costs is there before: templates, schemas, buffers of the threads.
        for number in range(50):
            send(number, gzip.compress(b"{}"))
        before, promises = server.memory_mib(), []
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for size, bomb in bombs.items():
                statuses = list(pool.map(lambda number: send(number, bomb), range(BOMBS)))
                after = server.memory_mib()
                print(f"{BOMBS} bombs of {size}: {before:.1f} MiB before, {after:.1f} MiB after")
                told = {status: statuses.count(status) for status in set(statuses)}
                promises.append((f"bombs of {size} are refused: {told}", set(told) <= {413, "cut off"}))
                promises.append((f"memory after bombs of {size}: {after - before:+.1f} MiB", after - before < BOUND_MIB))
        promises.append((f"the server still answers: {server.status('/readyz')}", server.status("/readyz") == 200))
        server.stop()
    verdict(promises)


main()
