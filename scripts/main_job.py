#!/usr/bin/env python3
"""The main job on real input, from one command, on either database:

    python3 scripts/main_job.py --data FOLDER [--database sqlite|postgres] [--people 1000] [--runs all|N] [--seed 1]

FOLDER holds group_runs.csv (places where weekly group runs take place) and race_paces.csv (paces of real runners);
without --data a built-in list of thirty parks serves. By the rules in real_input/people_and_places.py it writes
people.csv and runs.csv, then goes all the way as people would: import, invitations that arrive at a real SMTP server and
are accepted by their links, log-in, matches, a sign-up for the first match with a place left, one facilitator suspended
and one run cancelled on the way, and then the clock of server and database is moved past every moment at which a
reminder is due. Each must arrive exactly once, not early, and none for what does not take place.

The clock starts at --start, by default the Monday before the weekend on which most of Europe's clocks change in 2027,
so that the two Saturdays at 09:00 are not the same time in UTC. Prints what came of it; exits with 1 when a check fails.
Needs a release build, PostgreSQL's server programs for --database postgres, libfaketime and aiosmtpd (which it installs
into target/main-job-python).
"""

import argparse
import collections
import concurrent.futures
import contextlib
import csv
import datetime
import importlib.util
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # leaves nothing beside the scripts

from real_input import people_and_places as rule  # noqa: E402
from real_input.house import Api, Clock, House  # noqa: E402
from real_input.report import Report, compare_scores, count_matches  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
PASSWORD = "wide meadow, slow miles"
CLIENTS = 16
UTC = datetime.timezone.utc
HOURS_BEFORE = {"day_before": 24, "two_hours": 2}
# The longest pause before a password reset is answered (PAUSE_MAX_S of src/service/address_requests.rs).
RESET_PAUSE_MAX_S = 10


def with_aiosmtpd():
    """Starts this script again in an environment that has aiosmtpd, made once under target/, if this one has none."""
    if importlib.util.find_spec("aiosmtpd"):
        return
    folder = ROOT / "target" / "main-job-python"
    python = folder / "bin" / "python"
    finds_it = [python, "-c", "import aiosmtpd"]
    if not python.exists() or subprocess.run(finds_it, stderr=subprocess.DEVNULL).returncode:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--retries", "10", "aiosmtpd==1.4.6"], check=True)
    os.execv(python, [python, *sys.argv])


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder with group_runs.csv and race_paces.csv")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--runs", default="all", help="all, or how many: two for each place")
    parser.add_argument("--weekends", type=int, choices=[1, 2], default=1, help="whose reminders are waited for")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=datetime.date.fromisoformat, default=datetime.date(2027, 3, 22), help="a Monday")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target" / "release" / "sidebyside")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the database, the log and the mails")
    arguments = parser.parse_args()
    if arguments.start.weekday() != 0:
        parser.error("--start must be a Monday")
    if not arguments.binary.exists():
        parser.error(f"{arguments.binary} is missing: cargo build --release")
    return arguments


class Traveller:
    """A participant on the way: the imported person, what they were shown, and what they have."""

    def __init__(self, person):
        self.person, self.session, self.matches, self.signup, self.card = person, None, [], None, None
        self.home = None  # the centre of the cell that the server keeps, (lat, lng)


class Job:
    def __init__(self, arguments, folder, clock, inbox, house, report):
        self.arguments, self.folder, self.clock = arguments, folder, clock
        self.inbox, self.house, self.report = inbox, house, report
        self.api = Api(house.port)
        self.saturdays = [arguments.start + datetime.timedelta(days) for days in (5, 12)]
        self.travellers, self.places, self.runs = [], [], {}
        self.suspended = self.cancelled_run = None

    # -- before anybody comes

    def write_input(self):
        wanted = None if self.arguments.runs == "all" else int(self.arguments.runs)
        self.places = rule.read_places(self.arguments.data, wanted)
        race_paces = rule.read_race_paces(self.arguments.data)
        people = rule.make_people(self.arguments.people, self.places, race_paces, self.arguments.seed)
        self.travellers = [Traveller(person) for person in people]
        rule.write_csv(self.folder / "people.csv", rule.PEOPLE_COLUMNS, rule.people_rows(people, self.places))
        rule.write_csv(self.folder / "runs.csv", rule.RUN_COLUMNS, rule.run_rows(self.places, self.saturdays))
        first, second = list(rule.people_rows(people[:2], []))
        broken = {**first, "external_id": "broken", "email": "broken@people.example", "home_lat": "95",
                  "comfortable_fastest_s_per_km": "400", "comfortable_slowest_s_per_km": "300"}
        rule.write_csv(self.folder / "broken.csv", rule.PEOPLE_COLUMNS, [first, broken, second])
        self.report.figures["input"] = {"people": len(people), "facilitators": len(self.places), "runs": 2 * len(self.places)}

    def import_people(self):
        check, house = self.report.check, self.house
        code, said = house.command("migrate")
        check("migrate ends well", code == 0, said[-300:])
        code, said = house.command("create-admin", "--email", "admin@house.example", "--display-name", "Admin", answer=PASSWORD + "\n")
        check("create-admin ends well", code == 0, said[-300:])

        code, said = house.command("import", "people", "broken.csv")
        check("a broken line in the middle is named by its number", "line 3" in said, f"exit code {code}: {said[-400:]}")
        check("a file with a broken line ends with an exit code that says so", code != 0, f"exit code {code}")
        there = {row[0] for row in house.query("SELECT external_id FROM accounts WHERE external_id IS NOT NULL")}
        check("the good rows around it are in, the broken one is not", there == {"runner-0000", "runner-0001"}, sorted(there))

        self.import_twice("people", len(self.travellers) + len(self.places), "accounts")

    def import_twice(self, what, expected, table):
        """Imports FILE.csv, then again: the second time must change nothing."""
        check, house = self.report.check, self.house
        invite = ["--invite"] if what == "people" else []
        code, said = house.command("import", what, f"{what}.csv", *invite)
        check(f"import {what} ends well", code == 0, said[-1000:])
        print(f"  {said.splitlines()[-1] if said else '(said nothing)'}", file=sys.stderr)
        count = int(house.query(f"SELECT count(*) FROM {table} WHERE external_id IS NOT NULL")[0][0])
        check(f"every row of {what}.csv is in", count == expected, f"{count} of {expected}")
        before, mails = house.fingerprint(), sum(house.outbox().values())
        code, said = house.command("import", what, f"{what}.csv", *invite)
        check(f"a second import of {what}.csv ends well and changes nothing", code == 0 and before == house.fingerprint(), said[-300:])
        check(f"a second import of {what}.csv sends no mail", mails == sum(house.outbox().values()))

    def import_runs(self):
        self.import_twice("runs", 2 * len(self.places), "runs")
        # What another process brought in is to be seen after two seconds.
        imported = time.monotonic()
        while True:
            last_look = time.monotonic() - imported > 2
            found = self.in_parallel(self.runs_at, self.places)
            self.runs = {card["id"]: card for cards in found for card in cards}
            if last_look or len(self.runs) == 2 * len(self.places):
                break
        self.report.check("every imported run is in the public list within two seconds", len(self.runs) == 2 * len(self.places), len(self.runs))
        wall = collections.Counter(card["local_start"][:16] for card in self.runs.values())
        wanted = {f"{saturday}T09:00" for saturday in self.saturdays}
        self.report.check("every run starts at 09:00 on the clock there", set(wall) == wanted, dict(wall))
        self.report.check("start, zone and local time agree by another time zone data base", self.zones_agree())

    def runs_at(self, place):
        """The public cards of a place's two runs."""
        answer = self.must(200, "GET", f"/v1/runs?near={place.lat},{place.lng}&radius_km=1&limit=100")
        cards = [card for card in answer.body["items"] if card["title"] == f"Saturday at {place.name}"]
        for card in cards:
            card["place"] = place
        return cards

    def zones_agree(self):
        import zoneinfo

        try:
            return all(
                moment(card["starts_at"]).astimezone(zoneinfo.ZoneInfo(card["time_zone"])).strftime("%Y-%m-%dT%H:%M")
                == card["local_start"][:16]
                for card in self.runs.values()
            )
        except zoneinfo.ZoneInfoNotFoundError as missing:
            print(f"  no time zone data here ({missing}); not compared", file=sys.stderr)
            return True

    # -- people

    def must(self, status, method, path, **more):
        answer = self.api.call(method, path, **more)
        wanted = (status,) if isinstance(status, int) else status
        if answer.status not in wanted:
            raise RuntimeError(f"{method} {path}: wanted {wanted}, got {answer}")
        return answer

    def in_parallel(self, work, items):
        """`work` for each item by several clients at once, in the order of `items`."""
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            return list(pool.map(work, items))

    def invited(self):
        return [traveller.person.email for traveller in self.travellers] + [place.leader_email for place in self.places]

    def wait_for_invitations(self):
        wanted = set(self.invited())
        arrived = lambda mails: wanted <= {mail.to for mail in mails if mail.kind == "invitation"}
        self.inbox.wait_for("an invitation for everybody", arrived, 900)

    def accept_invitations(self):
        terms = self.must(200, "GET", "/v1/help").body["terms_version"]
        links = {mail.to: mail.link("invitation") for mail in self.inbox.of_kind("invitation")}
        names = {row["email"]: row["display_name"] for row in csv.DictReader(open(self.folder / "people.csv", encoding="utf-8"))}

        def accept(email):
            page = links[email].removeprefix(self.house.base_url)
            self.must(200, "GET", page)
            form = {"display_name": names[email], "password": PASSWORD, "adult": "true", "terms_version": terms}
            self.must((200, 303), "POST", page, form=form)

        accepted = self.in_parallel(accept, self.invited())
        self.report.figures["invitations accepted"] = len(accepted)

    def ask_and_sign_up(self, traveller):
        """Log in, look at the matches, take the first with a place left."""
        person = traveller.person
        traveller.session = self.api.log_in(person.email, PASSWORD)
        token = traveller.session["access_token"]
        centre = self.must(200, "GET", "/v1/me/running-profile", token=token).body["home_centre"]
        traveller.home = centre["lat"], centre["lng"]
        traveller.matches = self.must(200, "GET", "/v1/matches?limit=20", token=token).body["items"]
        # Both Saturdays of a place fit equally well and chance says which comes first: half of them look for the later one.
        first = str(self.saturdays[0])
        is_later = lambda item: not item["run"]["local_start"].startswith(first)
        for item in sorted(traveller.matches, key=is_later, reverse=person.number % 2 == 0):
            card = item["run"]
            if card["places_left"] < 1:
                continue
            key = f"main-job-{person.number}-{card['id']}"
            answer = self.must((200, 201, 409), "POST", f"/v1/runs/{card['id']}/signups", token=token, json_body={}, key=key)
            if answer.status != 409:
                traveller.signup, traveller.card = answer.body, card
                return

    def token_of(self, traveller):
        """An access token that still works: those live for 15 minutes of a clock that jumps."""
        answer = self.must(200, "POST", "/v1/sessions/refresh", json_body={"refresh_token": traveller.session["refresh_token"]})
        traveller.session = answer.body
        return answer.body["access_token"]

    # -- what goes wrong on the way

    def suspend_and_cancel(self):
        """A moderator suspends the facilitator of the first weekend's fullest run; the next fullest is cancelled."""
        first_weekend = str(self.saturdays[0])
        taken = collections.Counter(
            traveller.card["id"] for traveller in self.travellers
            if traveller.card and traveller.card["local_start"].startswith(first_weekend)
        )
        self.report.check("two runs of the first weekend have sign-ups", len(taken) >= 2, len(taken))
        (to_pause, _), (to_cancel, _) = taken.most_common(2)
        self.suspend(self.runs[to_pause]["place"])
        self.cancel(to_cancel)

    def suspend(self, place):
        check = self.report.check
        admin = self.api.log_in("admin@house.example", PASSWORD)["access_token"]
        leader = self.api.log_in(place.leader_email, PASSWORD)["access_token"]
        account = self.must(200, "GET", f"/v1/accounts?email={place.leader_email}", token=admin).body
        account = account["items"][0] if "items" in account else account
        until = datetime.datetime.fromtimestamp(self.clock.now() + 30 * 86400, UTC)
        decision = {"account_id": account["id"], "kind": "suspension", "scope": "site", "rule": "Be kind to newcomers",
                    "statement": "Three people told us about the same thing.", "expires_at": until.strftime("%Y-%m-%dT%H:%M:%SZ")}
        self.must(201, "POST", "/v1/moderation/sanctions", token=admin, json_body=decision, key="main-job-suspension")
        self.suspended = place
        refused = self.api.call("GET", "/v1/me", token=leader)
        check("the suspended facilitator's session is dead at once", refused.status in (401, 403), refused.status)
        states = [self.state_of(card["id"]) for card in self.runs.values() if card["place"] is place]
        check("both their runs are paused at once", states == ["paused", "paused"], states)

    def cancel(self, run_id):
        leader = self.api.log_in(self.runs[run_id]["place"].leader_email, PASSWORD)["access_token"]
        reason = {"reason_code": "weather", "message": "A storm is coming. Stay warm!"}
        self.must((200, 204), "POST", f"/v1/runs/{run_id}/cancel", token=leader, json_body=reason, key="main-job-cancel")
        self.cancelled_run = run_id
        state = self.state_of(run_id)
        self.report.check("the cancelled run says so", state == "cancelled", state)

    def state_of(self, run_id):
        return self.must(200, "GET", f"/v1/runs/{run_id}").body["status"]

    def is_off(self, run_id):
        return run_id == self.cancelled_run or self.runs[run_id]["place"] is self.suspended

    def sign_ups_as_they_stand(self):
        """Everybody's sign-ups as the server now tells them: [(traveller, sign-up)]."""
        def ask(traveller):
            items = self.must(200, "GET", "/v1/me/signups?limit=100", token=self.token_of(traveller)).body["items"]
            return [(traveller, signup) for signup in items]

        asked = self.in_parallel(ask, [traveller for traveller in self.travellers if traveller.session])
        return [pair for pairs in asked for pair in pairs]

    def check_who_was_told(self, standing):
        """Everybody on a run that is off was told why, by the right mail."""
        told = collections.defaultdict(set)
        for mail in self.inbox.of_kind("run_cancelled", "run_paused"):
            told[mail.to].add(mail.kind)
        for kind, off in [
            ("run_cancelled", {self.cancelled_run}),
            ("run_paused", {run_id for run_id, card in self.runs.items() if card["place"] is self.suspended}),
        ]:
            readers = {t.person.email for t in self.travellers if t.card and t.card["id"] in off}
            untold = [reader for reader in readers if kind not in told[reader]]
            self.report.check(f"everybody affected got {kind}", readers and not untold, f"{len(readers)} people, untold: {untold}")
        decided = [mail.to for mail in self.inbox.of_kind("decision")]
        self.report.check("the suspended facilitator got the decision by mail", decided == [self.suspended.leader_email], decided)
        late = [t.person.email for t in self.travellers[len(self.travellers) // 2:] if t.card and self.is_off(t.card["id"])]
        self.report.check("nobody got into a run after it was off", not late, late)
        self.report.figures["sign-ups per status"] = dict(collections.Counter(signup["status"] for _, signup in standing))

    # -- reminders

    def reminders_due(self, standing):
        """{(reader, kind, which, day): (due, start)} for the weekends that count."""
        days = {str(saturday) for saturday in self.saturdays[: self.arguments.weekends]}
        due = {}

        def expect(reader, kind, card):
            start = moment(card["starts_at"]).timestamp()
            day = datetime.date.fromisoformat(card["local_start"][:10])
            for which, hours in HOURS_BEFORE.items():
                due[reader, kind, which, f"{day.day} {day:%B %Y}"] = (start - hours * 3600, start)

        for run_id, card in self.runs.items():
            if card["local_start"][:10] in days and not self.is_off(run_id):
                expect(card["place"].leader_email, "facilitator_reminder", card)
        for traveller, signup in standing:
            card = self.runs[signup["run_id"]]
            if signup["status"] == "confirmed" and card["local_start"][:10] in days and not self.is_off(card["id"]):
                expect(traveller.person.email, "reminder", card)
        return due

    def remind(self, due):
        """Moves the clock to just before and just past each moment at which reminders are due: before it none may come,
        and past it all must."""
        moments = sorted({moment for moment, _ in due.values()})
        for at in moments:
            self.move_clock(at - 30)
            self.let_worker_look()
            self.move_clock(at + 1)
            wanted = {key for key, (moment, _) in due.items() if moment == at}
            here = lambda mails: wanted <= {reminder_key(mail) for mail in mails if mail.kind.endswith("reminder")}
            try:
                self.inbox.wait_for(f"{len(wanted)} reminders due {datetime.datetime.fromtimestamp(at, UTC)}", here, 300)
            except TimeoutError as late:
                self.report.check("every reminder arrives at its moment", False, late)
                break
        self.report.figures["moments at which reminders were due"] = len(moments)

    def move_clock(self, to):
        """Moves it once no mail waits, so that no lease seems to have run out."""
        self.house.settle()
        self.clock.set(to)

    def let_worker_look(self):
        """Returns once the worker has taken all steps that are due since the clock was moved: it decides about a password
        reset in the same round, after them. A reset waits up to ten seconds for that, so the clock is moved beyond."""
        seen = len(self.inbox.of_kind("reset_password"))
        self.must((200, 202, 204), "POST", "/v1/password-resets", json_body={"email": "admin@house.example"})
        self.clock.set(self.clock.now() + RESET_PAUSE_MAX_S + 1)
        behind = lambda mails: sum(mail.kind == "reset_password" for mail in mails) > seen
        self.inbox.wait_for("the mail behind all others", behind, 120)
        self.house.settle()

    def let_everything_through(self):
        """Past the last start."""
        days = [str(saturday) for saturday in self.saturdays[: self.arguments.weekends]]
        self.move_clock(max(moment(card["starts_at"]).timestamp() for card in self.runs.values() if card["local_start"][:10] in days))
        self.let_worker_look()

    def check_reminders(self, due):
        check, mails = self.report.check, self.inbox.of_kind("reminder", "facilitator_reminder")
        got = collections.Counter(reminder_key(mail) for mail in mails)
        missing, extra = set(due) - set(got), set(got) - set(due)
        twice = [key for key, count in got.items() if count > 1]
        early = [key for mail in mails if (key := reminder_key(mail)) in due and mail.arrived < due[key][0] - 1]
        late = [key for mail in mails if (key := reminder_key(mail)) in due and mail.arrived >= due[key][1]]
        self.report.figures["reminders expected"] = len(due)
        self.report.figures["reminders received"] = len(mails)
        check("every reminder that was due arrived", not missing, sorted(missing)[:5])
        check("no reminder came that was not due (cancelled, paused, another weekend)", not extra, sorted(extra, key=str)[:5])
        check("no reminder came twice", not twice, twice[:5])
        check("no reminder came before its moment", not early, early[:5])
        check("no reminder came after the start", not late, late[:5])
        participants = sum(kind == "reminder" for _, kind, _, _ in due)
        check("participants and facilitators were both to be reminded", 0 < participants < len(due), participants)

    # -- what came of it

    def count_mails(self):
        mails = self.inbox.mails
        ids = collections.Counter(mail.message_id for mail in mails)
        self.report.check("no Message-ID came twice, and none is missing", len(ids) == len(mails) and "" not in ids,
                          [key for key, count in ids.items() if count > 1][:5])
        self.report.figures["mails per kind"] = dict(collections.Counter(mail.kind for mail in mails))
        outbox = self.house.outbox()
        self.report.figures["outbox at the end"] = outbox
        self.report.check("no mail is dead or waiting", not outbox.get("dead") and not outbox.get("queued"), outbox)

    def go(self):
        phase, report = self.report.phase, self.report
        with phase("people.csv and runs.csv"):
            self.write_input()
        with phase("import of people, twice"):
            self.import_people()
        self.house.serve()
        with phase("invitations arrive"):
            self.wait_for_invitations()
        with phase("invitations accepted"):
            self.accept_invitations()
        with phase("import of runs, twice, and the public list"):
            self.import_runs()
        half = len(self.travellers) // 2
        with phase("first half: log-in, matches, sign-up"):
            self.in_parallel(self.ask_and_sign_up, self.travellers[:half])
        with phase("a suspension and a cancellation"):
            self.suspend_and_cancel()
        with phase("second half: log-in, matches, sign-up"):
            self.in_parallel(self.ask_and_sign_up, self.travellers[half:])
        with phase("mail about sign-ups"):
            self.house.settle()
            standing = self.sign_ups_as_they_stand()
            self.check_who_was_told(standing)
        due = self.reminders_due(standing)
        with phase("reminders"):
            self.remind(due)
            self.let_everything_through()
        self.check_reminders(due)
        count_matches(report, self.travellers, self.runs)
        compare_scores(report, self.travellers, self.runs)
        report.figures["answers that asked to come back later (429, 503)"] = self.api.waits
        self.count_mails()
        code = self.house.stop_serving()
        report.check("the server stops gracefully", code == 0, code)


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def reminder_key(mail):
    return mail.to, mail.kind, mail.moment, mail.day


def main():
    arguments = parse_arguments()
    with_aiosmtpd()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    from real_input.inbox import Inbox  # not before aiosmtpd is there

    report = Report()
    report.figures["database"] = arguments.database
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="main-job-"))
        folder.chmod(0o755)  # the database's own user reads the clock's file
        if arguments.keep:
            print(f"  kept: {folder}", file=sys.stderr)
        else:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        start = datetime.datetime.combine(arguments.start, datetime.time(6), UTC)
        clock = Clock(folder, start.timestamp())
        inbox = Inbox(clock.now)
        inbox.start()
        stack.callback(inbox.stop)
        house = House(folder, arguments.binary.resolve(), arguments.database, clock, inbox.port)
        stack.callback(house.remove)
        job = Job(arguments, folder, clock, inbox, house, report)
        try:
            job.go()
        except Exception as fault:  # whatever it is, the report so far is worth more than a trace alone
            report.check("the way to the end", False, f"{type(fault).__name__}: {fault}")
            print(f"--- the end of the server's log\n{house.log_end()}", file=sys.stderr)
            report.figures["mails per kind"] = dict(collections.Counter(mail.kind for mail in inbox.mails))
    report.show(arguments.json)
    sys.exit(0 if report.good else 1)


if __name__ == "__main__":
    main()
