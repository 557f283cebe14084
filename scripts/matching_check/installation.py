"""A region brought into a real server over HTTP, and what the server answers to its people."""

import concurrent.futures
import contextlib
import datetime
import time

from real_input import people_and_places as sheets
from real_input.house import Api
from matching_check.region import INTRODUCTION, START, Run
from matching_check.rules import WINDOW_ENDS

PASSWORD = "wide meadow, slow miles"
CLIENTS = 6
DEFAULT_LANGUAGE = "en"
SETTINGS = {"DEFAULT_LANGUAGE": DEFAULT_LANGUAGE, "RUST_LOG": "warn"}
POLICY = "[policy]\naccess_token_minutes = 60\n"
SIGN_UP_SHARE = 0.55
COLUMNS = ["external_id", "email", "display_name", "facilitator"]
UTC = datetime.timezone.utc


def in_parallel(work, items):
    """`work` for each item by several clients at once, in the order of `items`."""
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(work, items))


def instant(local):
    return local.strftime("%Y-%m-%dT%H:%M:%SZ")


class Installation:
    """The server under test with everybody's session."""

    def __init__(self, house, clock, region):
        self._house, self._clock, self._region = house, clock, region
        self._api, self._sessions = Api(house.port), {}

    # -- asking

    def ask(self, method, path, email=None, body=None, allowed=(200, 201), key=None):
        token = self._sessions[email]["access_token"] if email else None
        answer = self._api.call(method, path, token=token, json_body=body, key=key)
        if answer.status not in allowed:
            raise RuntimeError(f"{method} {path}: {answer}")
        return answer

    def matches(self, person, **parameters):
        """The answer to GET /v1/matches, or its status where the server refuses the parameters."""
        query = "&".join(f"{name}={value}" for name, value in {"limit": 20, **parameters}.items())
        answer = self.ask("GET", f"/v1/matches?{query}", person.email, allowed=(200, 422))
        return answer.body if answer.status == 200 else None

    # -- setting up

    def set_up(self):
        """Everybody registered, all runs posted, introductions over, and the clock at START."""
        house, region = self._house, self._region
        (house.folder / "sidebyside.toml").write_text(POLICY, encoding="ascii")
        self._register()
        house.serve()
        emails = ["admin@people.example", *[one.email for one in region.people], *[one.leader_email for one in region.places]]
        self._sessions = dict(zip(emails, in_parallel(lambda email: self._api.log_in(email, PASSWORD), emails)))
        in_parallel(self._save_profile, region.people)
        in_parallel(self._post_run, region.runs)
        in_parallel(self._post_series, region.series)
        in_parallel(self._introduce, region.introductions)
        self._move_to_start()
        for runs in in_parallel(self._dates_of, region.series):
            region.runs.extend(runs)

    def _register(self):
        """Accounts come by import; that they have accepted is written straight into the database, to save the hashing."""
        house, region = self._house, self._region
        rows = [(one.email, one.name, "no") for one in region.people] + [(one.leader_email, "Lee", "yes") for one in region.places]
        sheets.write_csv(house.folder / "people.csv", COLUMNS,
                         [dict(zip(COLUMNS, (email.split("@")[0], email, name, leads))) for email, name, leads in rows])
        admin = ["create-admin", "--email", "admin@people.example", "--display-name", "Admin"]
        for command, typed in ((["migrate"], None), (admin, PASSWORD + "\n"), (["import", "people", "people.csv"], None)):
            code, said = house.command(*command, answer=typed)
            if code:
                raise SystemExit(f"{command}: {said}")
        accepted = "password_hash, terms_version, terms_accepted_at, verified_at"
        house.change(f"UPDATE accounts SET status = 'active', ({accepted}) = (SELECT {accepted} FROM accounts "
                     "WHERE email = 'admin@people.example') WHERE external_id IS NOT NULL")

    def _save_profile(self, person):
        centre = self.ask("PUT", "/v1/me/running-profile", person.email, person.profile).body["home_centre"]
        person.centre = centre["lat"], centre["lng"]

    def _post_run(self, run):
        posted = self.ask("POST", "/v1/runs", run.place.leader_email, {**run.body, "starts_at": instant(run.starts)}).body
        run.id, run.shown_at = posted["id"], shown_at(posted, run.place, run.body)

    def _post_series(self, series):
        body = {"run": series.body, "first_local_start": series.first.strftime("%Y-%m-%dT%H:%M:%S"), "rrule": "FREQ=WEEKLY"}
        series.id = self.ask("POST", "/v1/run-series", series.place.leader_email, body).body["id"]

    def _dates_of(self, series):
        """The runs of a series: as time goes on, the worker makes further dates."""
        leader = series.place.leader_email
        dates = self.ask("GET", f"/v1/run-series/{series.id}", leader).body["dates"]
        place = shown_at(self.ask("GET", f"/v1/runs/{dates[0]['run_id']}", leader).body, series.place, series.body)
        return [Run(series.place, series.body, datetime.datetime.fromisoformat(date["local_start"]), date["run_id"], series.id, place)
                for date in dates]

    def _introduce(self, introduction):
        run, people = introduction
        self._post_run(run)
        for person in people:
            self.sign_up(person, run)
            person.known.add(run.place.key)

    def _move_to_start(self, patience_s=60):
        """Moves the clock past the introductions and returns once the worker has completed them."""
        self._house.settle()
        self._clock.set(START.replace(tzinfo=UTC).timestamp())
        emails = list(self._sessions)
        refreshed = in_parallel(lambda email: self.ask(
            "POST", "/v1/sessions/refresh", body={"refresh_token": self._sessions[email]["refresh_token"]}).body, emails)
        self._sessions = dict(zip(emails, refreshed))
        deadline = time.monotonic() + patience_s
        waiting = [run for run, _ in self._region.introductions]
        while waiting := [run for run in waiting if self.status_of(run) != "completed"]:
            if time.monotonic() > deadline:
                raise SystemExit(f"{len(waiting)} runs of {INTRODUCTION} are not completed within {patience_s} s")
            time.sleep(0.2)
        for _, people in self._region.introductions:
            for person in people:
                person.signups.clear()

    def status_of(self, run):
        return self.ask("GET", f"/v1/runs/{run.id}", run.place.leader_email).body["status"]

    # -- sign-ups

    def sign_up(self, person, run):
        """Signs up as the person, and keeps what came of it; a refusal leaves everything as it is."""
        answer = self.ask("POST", f"/v1/runs/{run.id}/signups", person.email, {}, (200, 201, 409), f"{person.number}-{run.id}")
        if answer.status == 409:
            return
        status = answer.body["status"]
        person.signups[run.id] = status, answer.body["id"]
        if status == "confirmed":
            run.confirmed.append(person)
        run.waiting += status == "waitlisted"

    def sign_up_some(self, rules, dice):
        """More than half of the people sign up to one to three runs; facilitators say yes to every other request."""
        for person in dice.sample(self._region.people, round(SIGN_UP_SHARE * len(self._region.people))):
            fitting = rules.for_person(person)
            # Full runs too: their waiting lists are places that one holds.
            open_to = [run for run_id, judged in fitting.of.items() if not judged.causes - {"full"} and judged.is_in_hours
                       for run in [fitting.runs[run_id]] if run.starts > START + datetime.timedelta(days=1)]
            weights = [fitting.of[run.id].score ** 3 * draw_of(run) for run in open_to]
            for run in dice.choices(open_to, weights, k=dice.choice((1, 1, 2, 3))) if open_to else []:
                if run.id not in person.signups:
                    self.sign_up(person, run)
        requests = [(person, run_id, signup) for person in self._region.people
                    for run_id, (status, signup) in person.signups.items() if status == "requested"]
        by_id = {run.id: run for run in self._region.runs}
        for person, run_id, signup in requests[::2]:
            self._approve(person, by_id[run_id], signup)

    def _approve(self, person, run, signup):
        with contextlib.suppress(RuntimeError):
            status = self.ask("POST", f"/v1/signups/{signup}/approve", run.place.leader_email, {}).body["status"]
            person.signups[run.id] = status, signup
            if status == "confirmed":
                run.confirmed.append(person)
            run.waiting += status == "waitlisted"


def draw_of(run):
    """People plan for the next days, like what is weekly and what others go to: some runs are full, and some have company."""
    return (1 if run.starts < WINDOW_ENDS else 0.1) * (4 if run.series else 1) * (1 + len(run.confirmed)) ** 2


def shown_at(posted, place, body):
    """Where everybody may measure to: the meeting point, or for runs by approval the centre of its area."""
    if body["join_policy"] == "open":
        return place.point
    centre = posted["meeting_area"]["centre"]
    return centre["lat"], centre["lng"]
