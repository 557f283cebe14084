#!/usr/bin/env python3
"""Many people at once for few places, against the real binary, round after round, on either database:

    python3 scripts/race_for_places.py [--database sqlite|postgres] [--rounds 100] [--clients 200] [--places 10] [--seed 1]

On PostgreSQL two replicas serve (each works the outbox as well); on SQLite one serves and two workers stand beside it.
Each round has a run of its own, every other one by approval. Everybody signs up at the same moment, some twice under one
Idempotency-Key, some leave and come back, accept or decline what they are offered; meanwhile the facilitator approves,
removes one and sets the capacity lower and back, a moderator bans one, and one blocks another. In a second act the
capacity falls while everybody goes on, and rises again; in a third half of those with a place leave, and those who wait
answer what they are offered.

After each act it is looked at, over the API and in the database, that nobody got in above the places, that nobody has
two live sign-ups, that whoever is banned or removed is out, that the two with a block between them are not both in, that
no place stays empty while somebody may have it, and that the line was kept. No answer may be a 500 or show a database's
words. Prints the answers by status, how long they took, and a verdict; exits with 1 when something broke.
"""

import argparse
import ast
import collections
import concurrent.futures
import contextlib
import datetime
import http.client
import json
import pathlib
import random
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time
import uuid

sys.dont_write_bytecode = True  # leaves nothing beside the scripts

from real_input.house import House, PlainClock  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
PASSWORD = "wide meadow, slow miles"
HOLDING = ("confirmed", "offered", "attended")
LIVE = ("requested", "confirmed", "waitlisted", "offered")
DATABASE_WORDS = re.compile(
    r"SQLSTATE|constraint|duplicate key|is locked|deadlock|lock timeout|diesel|violates|syntax error|relation \"|no such table",
    re.IGNORECASE)
RESTED_S = 30
SETTINGS = "[policy]\naccess_token_minutes = 60\n"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--places", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target" / "release" / "sidebyside")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the database and the log")
    arguments = parser.parse_args()
    if not arguments.binary.exists():
        parser.error(f"{arguments.binary} is missing: cargo build --release")
    return arguments


class Tally:
    """Every answer, by what was asked and its status; and what must not be in one."""

    def __init__(self):
        self._lock = threading.Lock()
        self.answers, self.times, self.broken = collections.Counter(), collections.defaultdict(list), []

    def answered(self, method, path, status, took_s, raw):
        asked = f"{method} {re.sub('[0-9a-f]{8}-[0-9a-f-]{27}', '{id}', path)}"
        with self._lock:
            self.answers[asked, status] += 1
            self.times[asked].append(took_s)
            if status >= 500 and status != 503:
                self.broken.append(f"{asked}: {status} {raw[:300]}")
            words = DATABASE_WORDS.search(raw)
            if words:
                self.broken.append(f"{asked}: a client reads {words.group(0)!r}: {raw[:300]}")

    def broke(self, words):
        with self._lock:
            self.broken.append(words)


class Client:
    """Somebody with a connection of their own to one of the servers."""

    def __init__(self, tally, port, email):
        self._tally, self._port, self.email = tally, port, email
        self._connection, self._used_at, self.token, self.id = None, 0.0, None, None

    def call(self, method, path, body=None, headers=(), patience=10):
        """Asks; 429 and 503 are asked again after a while. Returns (status, headers, parsed body)."""
        for _ in range(patience):
            status, answered, parsed = self._once(method, path, body, headers)
            if status not in (429, 503):
                break
            time.sleep(random.uniform(0.1, 0.5))
        return status, answered, parsed

    def _once(self, method, path, body, headers):
        sent = {"Accept": "application/json", "Content-Type": "application/json", **dict(headers)}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        begun = time.monotonic()
        if self._connection is not None and begun - self._used_at > RESTED_S:
            self._connection.close()  # the server hangs up on what rests
            self._connection = None
        for attempt in (1, 2):
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            try:
                self._connection.request(method, path, json.dumps(body) if body is not None else None, sent)
                answer = self._connection.getresponse()
                raw = answer.read().decode("utf-8", "replace")
                break
            except (http.client.BadStatusLine, ConnectionError):
                # The server may close a connection at rest; only what can be repeated is asked again.
                self._connection.close()
                self._connection = None
                if attempt == 2 or (method == "POST" and "Idempotency-Key" not in sent):
                    raise
        self._used_at = time.monotonic()
        self._tally.answered(method, path.split("?")[0], answer.status, time.monotonic() - begun, raw)
        return answer.status, answer.headers, json.loads(raw) if raw.startswith(("{", "[")) else raw

    def log_in(self):
        self.token = None
        status, _, session = self.call("POST", "/v1/sessions", {"email": self.email, "password": PASSWORD})
        if status not in (200, 201):
            raise SystemExit(f"log-in of {self.email}: {status} {session}")
        self.token = session["access_token"]
        self.id = self.id or self.call("GET", "/v1/me")[2]["id"]
        return self

    def twin(self):
        """A connection more of the same person, for another thread."""
        twin = Client(self._tally, self._port, self.email)
        twin.token, twin.id = self.token, self.id
        return twin

    def expect(self, status, method, path, body=None, headers=()):
        answered, answer_headers, parsed = self.call(method, path, body, headers)
        if answered != status:
            self._tally.broke(f"{method} {path}: {answered} instead of {status}: {parsed}")
        return answer_headers, parsed


class Race:
    def __init__(self, arguments, house, tally):
        self.arguments, self.house, self.tally = arguments, house, tally
        self.chance = random.Random(arguments.seed)
        self.admin = self.leader = None
        self.people, self.joined_s, self.joins = [], 0.0, 0

    # -- the stage

    def set_the_stage(self):
        house, many = self.house, self.arguments.clients
        (house.folder / "sidebyside.toml").write_text(SETTINGS, encoding="utf-8")
        for command, answer in ((["migrate"], None),
                                (["create-admin", "--email", "admin@race.example", "--display-name", "Admin"], PASSWORD + "\n")):
            code, said = house.command(*command, answer=answer)
            if code:
                raise SystemExit(f"{command}: {said}")
        # Everybody is a copy of the one account that the product made, so that 200 people cost one hash.
        emails = ["leader@race.example", *[f"runner-{number}@race.example" for number in range(many)]]
        for email in emails:
            self.copy_account(email)
        house.serve()
        if self.arguments.database == "postgres":
            ports = [house.port, house.serve_also()]
        else:
            house.work_also()
            house.work_also()
            ports = [house.port]
        clients = [Client(self.tally, ports[number % len(ports)], email) for number, email in enumerate(["admin@race.example", *emails])]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.admin, self.leader, *self.people = pool.map(Client.log_in, clients)
        _, application = self.leader.expect(201, "POST", "/v1/facilitator-applications", {"statement": "I lead.", "credentials": []})
        self.admin.expect(200, "POST", f"/v1/facilitator-applications/{application['id']}/approve", {})

    def copy_account(self, email):
        columns = "password_hash, status, terms_version, terms_accepted_at, locale, reminders, created_at, updated_at, verified_at"
        fresh = uuid.uuid4()
        literal = f"'{fresh}'" if self.arguments.database == "postgres" else f"X'{fresh.hex}'"
        self.house.change(
            f"INSERT INTO accounts (id, email, display_name, {columns}) "
            f"SELECT {literal}, '{email}', 'Somebody', {columns} FROM accounts WHERE email = 'admin@race.example'")

    # -- one round

    def round(self, number):
        by_approval = number % 2 == 1
        start = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=5, hours=2 * number)
        _, run = self.leader.expect(201, "POST", "/v1/runs", {
            "title": f"Round {number}", "activity": "run", "pace": {"fastest_s_per_km": 370, "slowest_s_per_km": 405},
            "duration_min": 60, "starts_at": start.strftime("%Y-%m-%dT%H:%M:%SZ"), "capacity": self.arguments.places,
            "meeting_point": {"lat": 51.41, "lng": -0.33, "name": "The gate"},
            "join_policy": "approval" if by_approval else "open"})
        self.run = run["id"]
        self.banned = None
        self.blocker, self.blocked = self.chance.sample(self.people, 2)
        early_block = number % 4 < 2
        if early_block:
            block = self.block()
        moves = [self.chance.random() for _ in self.people]
        self.at_once([lambda c=c, m=m: self.come(c, m) for c, m in zip(self.people, moves)],
                     [self.set_capacities, self.ban_one, *([] if early_block else [self.block]), *([self.remove_one] if number % 3 == 0 else [])],
                     by_approval)
        self.look("the first act", early_block=early_block)
        self.second_act(by_approval)
        self.third_act(by_approval)
        if not early_block:
            block = self.made_block
        self.blocker.call("DELETE", f"/v1/blocks/{block}")
        self.admin.expect(200, "POST", f"/v1/moderation/sanctions/{self.ban}/lift", {"reason": "The round is over."})
        self.banned.log_in()
        self.leader.expect(200, "POST", f"/v1/runs/{self.run}/cancel", {"reason_code": "other"})

    def at_once(self, doings, besides, by_approval):
        """Everybody at the same moment; the facilitator approves until all are done."""
        gate, done = threading.Barrier(len(doings) + len(besides)), threading.Event()

        def after_gate(doing):
            gate.wait()
            doing()

        approving = threading.Thread(target=self.approve_until, args=(done,))
        if by_approval:
            approving.start()
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(len(doings) + len(besides)) as pool:
            for finished in [pool.submit(after_gate, doing) for doing in [*doings, *besides]]:
                try:
                    finished.result()
                except Exception as fault:  # noqa: BLE001 - whatever it was, it is told
                    self.tally.broke(f"a client: {fault!r}")
        self.joined_s += time.monotonic() - begun
        done.set()
        if by_approval:
            approving.join()

    def come(self, client, move):
        """Signs up; some twice with one key, some leave and come back, who is offered a place answers."""
        key = [("Idempotency-Key", uuid.uuid4().hex)]
        status, _, signup = self.sign_up(client, key)
        if move < 0.2 and status == 201:
            again, _, same = self.sign_up(client, key)
            if again == 201 and same.get("id") != signup.get("id"):
                self.tally.broke(f"one key, two sign-ups: {signup} and {same}")
        if status not in (200, 201):
            return
        if 0.2 < move < 0.6:
            client.call("POST", f"/v1/signups/{signup['id']}/withdraw", {})
            if move < 0.4:
                status, _, signup = self.sign_up(client, [])
        self.answer(client, signup, move)

    def sign_up(self, client, headers):
        self.joins += 1
        return client.call("POST", f"/v1/runs/{self.run}/signups", {}, headers)

    def answer(self, client, signup, move):
        if not isinstance(signup, dict) or "id" not in signup:
            return
        status, _, mine = client.call("GET", f"/v1/signups/{signup['id']}")
        if status == 200 and mine["status"] == "offered":
            client.call("POST", f"/v1/signups/{signup['id']}/{'decline-offer' if move > 0.9 else 'accept'}", {})

    def approve_until(self, done):
        """Says yes to whoever asks, in the order of the line."""
        last_turn = False
        while True:
            last_turn = done.is_set()
            for entry in self.roster():
                if entry["status"] == "requested":
                    self.leader.call("POST", f"/v1/signups/{entry['id']}/approve", {})
            if last_turn:
                return

    def roster(self):
        _, _, found = self.leader_twin().call("GET", f"/v1/runs/{self.run}/signups")
        return found["items"]

    def leader_twin(self):
        return self.leader.twin()

    def set_capacity(self, places):
        leader = self.leader_twin()
        for _ in range(20):
            _, headers, _ = leader.call("GET", f"/v1/runs/{self.run}")
            status, _, answer = leader.call("PATCH", f"/v1/runs/{self.run}", {"capacity": places}, [("If-Match", headers["ETag"])])
            if status == 200:
                return
        self.tally.broke(f"the capacity could not be set: {answer}")

    def set_capacities(self):
        self.set_capacity(self.arguments.places // 2)
        self.set_capacity(self.arguments.places)

    def ban_one(self):
        self.banned = self.chance.choice([c for c in self.people if c not in (self.blocker, self.blocked)])
        body = {"account_id": self.banned.id, "kind": "ban", "scope": "site", "rule": "1", "statement": "The race."}
        _, sanction = self.admin.expect(201, "POST", "/v1/moderation/sanctions", body)
        self.ban = sanction["id"]
        status, _, _ = self.banned.twin().call("POST", f"/v1/runs/{self.run}/signups", {})
        if status not in (401, 403):
            self.tally.broke(f"a ban does not bite at the next request: {status}")

    def block(self):
        status, _, block = self.blocker.twin().call("POST", "/v1/blocks", {"account_id": self.blocked.id})
        if status not in (200, 201, 202):
            self.tally.broke(f"the block: {status} {block}")
        self.made_block = block["id"]
        return self.made_block

    def remove_one(self):
        confirmed = [entry for entry in self.roster() if entry["status"] == "confirmed"]
        if confirmed:
            body = {"reason_code": "not_a_fit", "private_note": "The race."}
            self.leader_twin().call("POST", f"/v1/signups/{confirmed[0]['id']}/remove", body)

    def second_act(self, by_approval):
        """The capacity falls, everybody goes on; then it rises again."""
        before = {row["account"] for row in self.rows() if row["status"] in HOLDING}
        low = self.arguments.places // 2
        self.set_capacity(low)
        some = self.chance.sample(self.people, max(len(self.people) // 4, 1))
        self.at_once([lambda c=c: self.come(c, 0.5) for c in some], [], by_approval)
        holding = {row["account"] for row in self.rows() if row["status"] in HOLDING}
        if len(holding) > low and holding - before:
            self.tally.broke(f"{len(holding)} hold one of {low} places, and {holding - before} came in after they fell")
        self.set_capacity(self.arguments.places)
        self.look("the second act", early_block=False)

    def third_act(self, by_approval):
        """Half of those with a place leave, and whoever is offered one answers, again and again."""
        clients = {self.written(client): client for client in self.people}

        def leave(client, signup):
            client.call("POST", f"/v1/signups/{signup}/withdraw", {})

        def wait_for_one(client, signup):
            for _ in range(4):
                self.answer(client, {"id": signup}, self.chance.random())

        live = [row for row in self.rows() if row["status"] in LIVE and row["account"] != self.written(self.banned)]
        confirmed = [row for row in live if row["status"] == "confirmed"]
        leaving = {row["id"] for row in confirmed[::2]}
        waiting = [row for row in live if row["status"] in ("waitlisted", "offered")][: 4 * self.arguments.places]
        doings = [lambda r=r: (leave if r["id"] in leaving else wait_for_one)(clients[r["account"]], self.spoken(r["id"]))
                  for r in [*confirmed, *waiting]]
        if doings:
            self.at_once(doings, [], by_approval)
        self.look("the third act", early_block=False)

    # -- what must hold

    def rows(self):
        found = self.house.query(
            "SELECT s.id, s.account_id, s.status, s.queue_no, s.let_go FROM signups s JOIN runs r ON r.id = s.run_id "
            f"WHERE r.id = {self.literal(self.run)} ORDER BY s.queue_no")
        names = ("id", "account", "status", "queue_no", "let_go")
        return [{**dict(zip(names, row)), "queue_no": int(row[3]), "let_go": int(row[4])} for row in found]

    def literal(self, id):
        return f"'{id}'" if self.arguments.database == "postgres" else f"X'{uuid.UUID(id).hex}'"

    def written(self, client):
        """An account's id as the database shows it."""
        return client.id if self.arguments.database == "postgres" else str(uuid.UUID(client.id).bytes)

    def spoken(self, id):
        """A row's id as the API says it."""
        return id if self.arguments.database == "postgres" else str(uuid.UUID(bytes=ast.literal_eval(id)))

    def look(self, when, early_block):
        places, broke = self.arguments.places, lambda words: self.tally.broke(f"{self.run}, {when}: {words}")
        rows = self.rows()
        holding = [row for row in rows if row["status"] in HOLDING]
        waiting = [row for row in rows if row["status"] == "waitlisted"]
        if len(holding) > places:
            broke(f"promise 1: {len(holding)} hold one of {places} places")
        live = collections.Counter(row["account"] for row in rows if row["status"] in LIVE)
        if any(many > 1 for many in live.values()):
            broke(f"promise 2: somebody has two live sign-ups: {live.most_common(2)}")
        pair = {self.written(self.blocker), self.written(self.blocked)}
        held_back = {*pair, self.written(self.banned)}
        self.line_was_kept(holding, [row for row in waiting if row["account"] not in held_back], broke)
        may_come = [row for row in waiting if row["account"] not in held_back and row["let_go"] == 0]
        if len(holding) < places and may_come:
            broke(f"promise 2: {places - len(holding)} places are free and {len(may_come)} wait for one")
        out = {self.written(self.banned)} | {row["account"] for row in rows if row["status"] in ("removed", "declined")}
        still_in = [row for row in rows if row["account"] in out and row["status"] in LIVE]
        if still_in:
            broke(f"promise 4: banned or removed and in: {still_in}")
        both = [row for row in holding if row["account"] in pair]
        if len(both) == 2 and not self.were_told():
            broke(f"promise 5: the two are both in: {both}")
        if len(both) == 2 and early_block:
            broke(f"promise 5: the block stood before, and both are in: {both}")
        _, run = self.leader.expect(200, "GET", f"/v1/runs/{self.run}")
        over_api = (run["places"], run["places_left"], run["waiting"])
        if over_api != (places, places - len(holding), len(waiting)):
            broke(f"the API says {over_api}, the rows {(places, places - len(holding), len(waiting))}")

    def line_was_kept(self, holding, waiting, broke):
        for row in holding:
            overtaken = [other for other in waiting if other["queue_no"] < row["queue_no"] and other["let_go"] == 0]
            if overtaken:
                broke(f"promise 2: {row} overtook {overtaken[0]}")
                return

    def were_told(self):
        """Whether the blocker was told that both are in."""
        found = self.house.query(
            f"SELECT count(*) FROM outbox WHERE kind = 'both_are_in' AND account_id = {self.literal(self.blocker.id)}")
        return int(found[0][0]) > 0


def told(tally, race, arguments, took_s):
    print(f"\n{arguments.database}: {arguments.rounds} rounds, {arguments.clients} clients, {arguments.places} places, "
          f"{took_s:.0f} s; {race.joins} sign-ups asked for, {race.joins / max(race.joined_s, 0.001):.0f} a second beside all else")
    by_request = collections.defaultdict(dict)
    for (asked, status), many in sorted(tally.answers.items()):
        by_request[asked][status] = many
    for asked, statuses in by_request.items():
        times = sorted(tally.times[asked])
        print(f"  {asked:52} {' '.join(f'{status}: {many}' for status, many in statuses.items()):40} "
              f"median {1000 * statistics.median(times):5.0f} ms, p99 {1000 * times[int(len(times) * 0.99)]:5.0f}, most {1000 * times[-1]:5.0f}")
    for words in tally.broken[:20]:
        print(f"  BROKEN {words}")
    busy = sum(many for (_, status), many in tally.answers.items() if status == 503)
    print(f"  {busy} times 503; {len(tally.broken)} broken: {'FAILED' if tally.broken else 'all held'}")


def main():
    arguments = parse_arguments()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="race-for-places."))
    tally = Tally()
    house = House(folder, arguments.binary.resolve(), arguments.database, PlainClock())
    race = Race(arguments, house, tally)
    begun, told_of = time.monotonic(), 0
    try:
        race.set_the_stage()
        for number in range(arguments.rounds):
            race.round(number)
            broken = "".join(f"\n  BROKEN {words}" for words in tally.broken[told_of:])
            told_of = len(tally.broken)
            print(f"round {number + 1} of {arguments.rounds}: {told_of} broken{broken}", file=sys.stderr)
        told(tally, race, arguments, time.monotonic() - begun)
    finally:
        with contextlib.suppress(Exception):
            house.remove()
        if arguments.keep:
            print(f"kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if tally.broken else 0


if __name__ == "__main__":
    sys.exit(main())
