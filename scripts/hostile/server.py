"""A real server over an empty SQLite database, for the scripts of this folder; Python's standard library only."""

import http.client
import os
import pathlib
import re
import resource
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = ROOT / "target/debug/sidebyside"
START_TIMEOUT_S = 60


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Server:
    """A running server over a data folder of its own; `descriptors` bounds both of its limits of open files."""

    def __init__(self, folder, descriptors=None, **settings):
        self.port = free_port()
        environment = {"DATA_DIR": str(folder), "BIND": f"127.0.0.1:{self.port}", "PATH": os.environ["PATH"], **settings}
        limit = None
        if descriptors:
            limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors // 2, descriptors))  # noqa: E731
        self.process = subprocess.Popen([os.environ.get("SIDEBYSIDE", BINARY), "serve"], cwd=folder, env=environment,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=limit)
        begun = time.monotonic()
        while self.status("/readyz") != 200:
            if self.process.poll() is not None:
                sys.exit("the server ended")
            if time.monotonic() - begun > START_TIMEOUT_S:
                self.process.kill()
                sys.exit(f"the server is not ready after {START_TIMEOUT_S} s")
            time.sleep(0.05)

    def status(self, path, timeout=5):
        """The status of one request on a connection of its own, or what went wrong."""
        try:
            return self.request("GET", path, timeout=timeout)[0]
        except (OSError, http.client.HTTPException) as fault:
            return type(fault).__name__

    def request(self, method, path, body=None, headers=(), timeout=30):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def connect(self, first=b"", source="127.0.0.1"):
        """A connection that has sent `first` and has little room for what comes back."""
        stream = socket.socket()
        stream.settimeout(30)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream.bind((source, 0))
        stream.connect(("127.0.0.1", self.port))
        if first:
            stream.sendall(first)
        return stream

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            sys.exit("the server did not stop within 40 s")


def verdict(promises):
    """Prints each promise with its figure and ends the script: 0 when all hold, 1 otherwise."""
    for words, holds in promises:
        print(f"{'holds ' if holds else 'BROKEN'}  {words}")
    sys.exit(0 if all(holds for _, holds in promises) else 1)
