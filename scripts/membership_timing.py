#!/usr/bin/env python3
"""Whether the time that answers take tells who has an account, against the real binary, on either database:

    python3 scripts/membership_timing.py [--database sqlite|postgres] [--pairs 220] [--rounds 3] [--only reset,block]

Asks for pairs in random order, one about an address with an account and one about an address without: a password reset,
five of them, registration, a new link for an unverified account, a block by address; and times each answer, and the
answer to a write that comes right after it. Rate limits are on and each pair comes from a network of its own; the worker
delivers mail into files meanwhile.

Prints for each measure the area under the ROC curve (AUC): the chance that an answer about a member takes longer than
one about somebody else. 0.5 tells nothing. With 220 pairs chance alone moves it by 0.028 (one standard error), so a
measure counts by all its rounds together, where three rounds leave 0.016. Exits with 1 when one lies outside 0.45 to 0.55.
"""

import argparse
import csv
import http.client
import json
import math
import pathlib
import random
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # leaves nothing beside the scripts

from real_input.house import House, PlainClock  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
PASSWORD = "wide meadow, slow miles"
LOWEST, HIGHEST = 0.45, 0.55
BLOCKS_EACH = 18  # of the 20 that one person may have


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--pairs", type=int, default=220)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(MEASURES), help="measures, of " + ", ".join(MEASURES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target" / "release" / "sidebyside")
    arguments = parser.parse_args()
    arguments.only = arguments.only.split(",")
    unknown = [name for name in arguments.only if name not in MEASURES]
    if unknown:
        parser.error(f"no such measure: {', '.join(unknown)}")
    if not arguments.binary.exists():
        parser.error(f"{arguments.binary} is missing: cargo build --release")
    return arguments


class Town:
    """A server with people: `member…` with active accounts, `newcomer…` who never opened the link in the mail."""

    def __init__(self, folder, binary, database, people):
        self.house = House(folder, binary, database, PlainClock(), settings={
            "RATE_LIMITS": "on", "TRUSTED_PROXIES": "127.0.0.1", "RUST_LOG": "warn"})
        self._connection, self._networks, self._blockers = None, 0, []
        self._serve_with_people(folder, people)

    def _serve_with_people(self, folder, people):
        table = folder / "people.csv"
        with table.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["external_id", "email", "display_name"])
            for kind in ("member", "newcomer"):
                rows.writerows([f"{kind}{n}", address(kind, n), "Pat"] for n in range(people))
        self.house.serve()
        code, said = self.house.command("import", "people", str(table))
        if code != 0:
            raise SystemExit(f"import people: {said}")
        self.post("/v1/accounts", registration("first@people.example"))
        hashed = "(SELECT password_hash FROM accounts WHERE email = 'first@people.example')"
        self.house.change("UPDATE outbox SET status = 'dropped' WHERE status = 'queued'")
        self.house.change(f"UPDATE accounts SET status = 'active', password_hash = {hashed} WHERE email LIKE 'member%'")
        self.house.change(f"UPDATE accounts SET status = 'unverified', password_hash = {hashed} WHERE email LIKE 'newcomer%'")

    def forget_counters(self):
        self.house.change("DELETE FROM rate_counters")

    def forget_blocks(self):
        self.house.change("DELETE FROM blocks")
        self._blockers.clear()

    def post(self, path, body, token=None):
        """Posts over a kept connection, as from a network of its own; returns (seconds, status, parsed body)."""
        self._networks += 1
        n = self._networks
        headers = {"Content-Type": "application/json", "X-Forwarded-For": f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = json.dumps(body)
        for attempt in (1, 2):
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self.house.port, timeout=60)
            try:
                begun = time.perf_counter()
                self._connection.request("POST", path, data, headers)
                answer = self._connection.getresponse()
                raw = answer.read()
                took = time.perf_counter() - begun
            except (http.client.BadStatusLine, ConnectionError):
                self._connection.close()
                self._connection = None
                if attempt == 2:
                    raise
                continue
            if answer.status >= 300:
                raise SystemExit(f"POST {path}: {answer.status} {raw[:300]!r}")
            return took, answer.status, json.loads(raw) if raw else None

    def blocker(self, number):
        """The token of somebody who blocks; each makes a few blocks only."""
        at = number // BLOCKS_EACH
        while len(self._blockers) <= at:
            email = address("member", len(self._blockers))
            _, _, tokens = self.post("/v1/sessions", {"email": email, "password": PASSWORD})
            self._blockers.append(tokens["access_token"])
        return self._blockers[at]


def registration(email):
    return {"email": email, "password": PASSWORD, "display_name": "Pat", "adult": True, "terms_version": "1"}


def address(kind, number):
    """As long as any other: longer addresses take longer to read."""
    return f"{kind}-{number:012x}@people.example"


def fresh(kind):
    return address(kind, random.getrandbits(48))


def reset(town, email, _):
    return town.post("/v1/password-resets", {"email": email})[0]


def five_resets(town, email, _):
    return sum(reset(town, email, 0) for _ in range(5))


def register(town, email, _):
    return town.post("/v1/accounts", registration(email))[0]


def resend(town, email, _):
    return town.post("/v1/accounts/resend-verification", {"email": email})[0]


def block(town, email, number):
    token = town.blocker(number)
    return town.post("/v1/blocks", {"email": email}, token)[0]


# What is asked, and whom it is asked about where there is an account.
MEASURES = {
    "reset": (reset, "member"),
    "five-resets": (five_resets, "member"),
    "registration": (register, "member"),
    "resend": (resend, "newcomer"),
    "block": (block, "member"),
}


def measure(town, ask, kind, pairs):
    """Times of the answers and of those to the write right after: ([members'], [others'], [after], [after])."""
    times = [[], [], [], []]
    for pair in range(pairs):
        # Never the blocker's own address.
        both = [(0, address(kind, pair + 100)), (1, fresh(kind))]
        random.shuffle(both)
        for place, (whose, email) in enumerate(both):
            times[whose].append(ask(town, email, 2 * pair + place))
            times[2 + whose].append(reset(town, fresh("next"), 0))
    return times


def auc(members, others):
    """The chance that a member's answer takes longer than another's (Mann-Whitney), and its standard error."""
    ordered = sorted([(took, 1) for took in members] + [(took, 0) for took in others])
    rank_sum = sum(rank for rank, (_, member) in enumerate(ordered, 1) if member)
    m, n = len(members), len(others)
    return (rank_sum - m * (m + 1) / 2) / (m * n), math.sqrt((m + n + 1) / (12 * m * n))


def main():
    arguments = parse_arguments()
    random.seed(arguments.seed)
    outside = []
    with tempfile.TemporaryDirectory(prefix="membership-timing.") as folder:
        town = Town(pathlib.Path(folder), arguments.binary.resolve(), arguments.database, arguments.pairs + 100)
        try:
            for name in arguments.only:
                ask, kind = MEASURES[name]
                rounds = []
                for _ in range(arguments.rounds):
                    town.forget_counters()
                    town.forget_blocks()
                    rounds.append(measure(town, ask, kind, arguments.pairs))
                for title, at in ((name, 0), (f"after {name}", 2)):
                    each = [auc(times[at], times[at + 1])[0] for times in rounds]
                    members = [took for times in rounds for took in times[at]]
                    others = [took for times in rounds for took in times[at + 1]]
                    value, error = auc(members, others)
                    fine = LOWEST <= value <= HIGHEST
                    outside += [] if fine else [title]
                    medians = [1000 * statistics.median(times) for times in (members, others)]
                    print(f"{arguments.database:8} {title:20} AUC {value:.3f} ± {error:.3f}"
                          f"  rounds {' '.join(f'{one:.3f}' for one in each)}"
                          f"  median {medians[0]:.2f} and {medians[1]:.2f} ms{'' if fine else '  OUTSIDE'}", flush=True)
        finally:
            town.house.remove()
    if outside:
        print(f"outside {LOWEST} to {HIGHEST}: {', '.join(outside)}")
    return 1 if outside else 0


if __name__ == "__main__":
    sys.exit(main())
