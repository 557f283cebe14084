#!/usr/bin/env python3
"""Registers behind a proxy with forged addresses and holds the server to 20 registrations an hour for one client.

    python3 scripts/hostile/forged_addresses.py  (SIDEBYSIDE=path/to/binary to try another one)

Behind a real HAProxy (`option forwardfor`, which adds a line of its own) where it is installed, and with the lines that
proxies write: a line added, the line prolonged, with port, with brackets, IPv6 within one /64, and `Forwarded`. Then
60,000 addresses are held against the memory of the flood limit. Exits with 1 when a promise is broken.
"""

import http.client
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

from server import Server, free_port, verdict

TRIES, ALLOWED = 26, 20
ADDRESSES, BOUND_MIB = 60_000, 16
HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend in
  bind 127.0.0.1:{front}
  default_backend out
backend out
  option forwardfor
  server one 127.0.0.1:{back}
"""


def register(port, number, lines, source="127.0.0.1"):
    """The status of a registration with these header lines."""
    body = json.dumps({"email": f"new{number}@people.example", "password": "wide meadow lantern", "display_name": "Nia",
                       "adult": True, "terms_version": "1"})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(source, 0))
    connection.putrequest("POST", "/v1/accounts")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    for name, value in lines:
        connection.putheader(name, value)
    connection.endheaders(body.encode())
    status = connection.getresponse().status
    connection.close()
    return status


def passed(port, lines_of, source="127.0.0.1"):
    """How many of the tries were not refused by the limit."""
    statuses = [register(port, number, lines_of(number), source) for number in range(TRIES)]
    return sum(status != 429 for status in statuses)


def by_header(name, written, **settings):
    """A promise about one way to write the header, on a server of its own: the limit holds against forged addresses."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder, TRUSTED_PROXIES="127.0.0.1", **settings)
        through = passed(server.port, written)
        server.stop()
    return f"{name}: {through} of {TRIES} passed", through == ALLOWED


def behind_haproxy():
    with tempfile.TemporaryDirectory() as folder:
        server, front = Server(folder, TRUSTED_PROXIES="127.0.0.1"), free_port()
        settings = pathlib.Path(folder) / "haproxy.cfg"
        settings.write_text(HAPROXY.format(front=front, back=server.port))
        proxy = subprocess.Popen(["haproxy", "-db", "-f", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 10
            while True:
                try:
                    register(front, 999, [])
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
            # HAProxy reaches the server from 127.0.0.1, which is trusted, and the client reaches HAProxy from 127.0.0.2.
            through = passed(front, lambda n: [("X-Forwarded-For", f"198.51.100.{n}")], source="127.0.0.2")
        finally:
            proxy.terminate()
            proxy.wait(timeout=10)
            server.stop()
    return f"real HAProxy: {through} of {TRIES} passed", through == ALLOWED


def memory_of_addresses():
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder, TRUSTED_PROXIES="127.0.0.1")
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

        def ask(number):
            address = f"{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}.7"
            connection.request("GET", "/healthz", headers={"X-Forwarded-For": address})
            connection.getresponse().read()

        for number in range(2000):
            ask(number)
        before = server.memory_mib()
        for number in range(ADDRESSES):
            ask(number)
        after = server.memory_mib()
        connection.close()
        server.stop()
    return f"{ADDRESSES} addresses: {after - before:+.1f} MiB", after - before < BOUND_MIB


def main():
    x, client = "X-Forwarded-For", "203.0.113.5"
    promises = [
        by_header("a line added", lambda n: [(x, f"198.51.100.{n}"), (x, client)]),
        by_header("the line prolonged", lambda n: [(x, f"198.51.100.{n}, {client}")]),
        by_header("with a port", lambda n: [(x, f"198.51.100.{n}"), (x, f"{client}:{40000 + n}")]),
        by_header("IPv6 with brackets and port, one /64", lambda n: [(x, "::1"), (x, f"[2001:db8:1:2::{n + 1:x}]:443")]),
        by_header("IPv4 written as IPv6", lambda n: [(x, f"198.51.100.{n}"), (x, f"::ffff:{client}")]),
        by_header("unreadable, by the proxy", lambda n: [(x, f"198.51.100.{n}"), (x, f"_hidden{n}")]),
        by_header("Forwarded", lambda n: [("Forwarded", f"for=198.51.100.{n};x=\""), ("Forwarded", f"for=\"{client}:{n + 1}\"")],
                  FORWARDED_HEADER="forwarded"),
        by_header("another header than the setting's", lambda n: [("Forwarded", f"for=198.51.100.{n}"), (x, client)]),
        memory_of_addresses(),
    ]
    if shutil.which("haproxy"):
        promises.append(behind_haproxy())
    else:
        print("haproxy is not installed: its line is only imitated")
    verdict(promises)


main()
