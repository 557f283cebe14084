"""The people, places and runs of one region, made from a seed: from real places and paces, or invented altogether.

The region lies in Great Britain or Ireland and it is January, so the local clock shows UTC and evenings are dark. There is
a city with most of the places, and villages whose runs are 18 to 26 days ahead only. Each place has one facilitator, who
leads one run a day at most, so nobody is in two places at once.

People are a mix: fast club runners, usual runners, people who run, run-walk and walk, run-walkers, walkers, and people who
are not sure of their pace. 45 of 100 give hours (weekday evenings, weekend mornings, both, one or two narrow ones, weekday
days), one in eight wants daylight, and every fortieth asks for what cannot be: daylight only, and evenings only. One in eight
lives near a village, and one in thirty lives where nothing is near.
"""

import csv
import dataclasses
import datetime
import math
import random

from real_input.people_and_places import (
    TEN_MILE_MEN, TEN_MILE_WOMEN, FIRST_NAMES, band, distance_km, from_quantiles, moved, read_race_paces)

# When people ask for their matches: a Monday, local time.
START = datetime.datetime(2027, 1, 11, 6)
# When runs are posted, and when the runs begin that some people have been on before START.
POSTED = START - datetime.timedelta(days=3)
INTRODUCTION = datetime.datetime(2027, 1, 10, 10)
HORIZON_DAYS, WINDOW_DAYS = 35, 14
RURAL_DAYS = range(18, 27)
PLACES_PER_RUN = 118 / 491  # as in the trial on real places

SLOTS = {
    "weekday": [("07:00", 10), ("10:00", 15), ("12:15", 10), ("17:45", 10), ("18:00", 15), ("18:30", 25), ("19:00", 15)],
    "saturday": [("09:00", 50), ("10:00", 20), ("11:00", 20), ("14:00", 10)],
    "sunday": [("09:00", 30), ("10:00", 35), ("11:00", 25), ("15:00", 10)],
}
WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
RADII_KM = [(3, 5), (5, 15), (8, 15), (10, 30), (15, 17), (20, 10), (30, 8)]
OTHER_LANGUAGES = ["cy", "de", "fr", "pl", "pt"]


@dataclasses.dataclass
class Place:
    """A meeting point with the facilitator who leads its runs."""

    key: int
    name: str
    point: tuple
    is_rural: bool

    @property
    def leader_email(self):
        return f"leader-{self.key}@people.example"


@dataclasses.dataclass
class Person:
    """Somebody who looks for a run; `profile` is the body of PUT /v1/me/running-profile."""

    number: int
    name: str
    kind: str
    profile: dict
    centre: tuple = None  # of the home cell, (lat, lng), as the server answers
    known: set = dataclasses.field(default_factory=set)  # keys of places whose facilitator they have run with
    signups: dict = dataclasses.field(default_factory=dict)  # run id: (status, sign-up id)

    @property
    def email(self):
        return f"runner-{self.number}@people.example"

    def band_for(self, activity):
        """(fastest, slowest) in s/km, or None."""
        pace = self.profile["walking_pace" if activity == "walk" else "comfortable_pace"]
        return (pace["fastest_s_per_km"], pace["slowest_s_per_km"]) if pace else None


@dataclasses.dataclass
class Run:
    """One occasion; `body` is what was posted, without the start."""

    place: Place
    body: dict
    starts: datetime.datetime
    id: str = None
    series: str = None
    shown_at: tuple = None  # the meeting point, or the centre of the meeting area where the point is hidden
    confirmed: list = dataclasses.field(default_factory=list)
    waiting: int = 0

    @property
    def ends(self):
        return self.starts + datetime.timedelta(minutes=self.body["duration_min"])

    @property
    def is_full(self):
        return bool(self.waiting) or len(self.confirmed) >= self.body["capacity"]

    @property
    def group(self):
        """The series, or the run itself where it has none: a list shows each once."""
        return self.series or self.id


@dataclasses.dataclass
class Series:
    """A weekly run; its dates become runs when it is posted."""

    place: Place
    body: dict
    first: datetime.datetime
    id: str = None


class Region:
    """Places, people, runs, weekly series, and who has been on a run with whom before."""

    def __init__(self, folder, people, runs, series, seed):
        self._dice = random.Random(seed)
        count = max(10, round(runs * PLACES_PER_RUN))
        rural = max(2, count // 8)
        points = self._real_points if folder else self._invented_points
        self.places = points(folder, count - rural, rural)
        self.city = [place for place in self.places if not place.is_rural]
        self.series = [self._weekly(place) for place in self._dice.sample(self.city, min(series, len(self.city)))]
        self.runs = self._one_off_runs(runs)
        self._race_paces = read_race_paces(folder)
        self.people = [self._person(number) for number in range(people)]
        self.introductions = self._introductions()

    def _pick(self, weighted):
        return self._dice.choices([value for value, _ in weighted], [weight for _, weight in weighted])[0]

    # -- places

    def _real_points(self, folder, city, rural):
        with open(folder / "group_runs.csv", encoding="utf-8", newline="") as file:
            rows = [(row["name"], (float(row["lat"]), float(row["lng"]))) for row in csv.DictReader(file)
                    if row["kind"] == "5k" and row["country"] in ("GB", "IE")]
        near = lambda point, km: sum(distance_km(point, other) < km for _, other in rows) - 1
        dense = [point for _, point in rows if near(point, 45) >= 60]
        middle = self._dice.choice(dense)
        around = sorted(rows, key=lambda row: distance_km(middle, row[1]))[:city]
        lonely = [row for row in rows if near(row[1], 25) <= 2 and distance_km(middle, row[1]) > 60]
        chosen = [(*row, False) for row in around]
        chosen += [(*row, True) for row in self._dice.sample(lonely, min(rural, len(lonely)))]
        return [Place(key, name, point, is_rural) for key, (name, point, is_rural) in enumerate(chosen)]

    def _invented_points(self, _, city, rural):
        dice, places = self._dice, []
        middle = dice.uniform(52.4, 53.2), dice.uniform(-1.9, -1.0)  # land for 70 km around

        def add(is_rural, apart_km, km):
            while True:
                point = moved(*middle, dice.uniform(0, 2 * math.pi), km())
                if all(distance_km(point, place.point) >= apart_km for place in places):
                    name = f"{'Village green' if is_rural else 'Park gate'} {len(places)}"
                    return places.append(Place(len(places), name, point, is_rural))

        for _ in range(city):
            add(False, 1.2, lambda: math.sqrt(city * 7.5 * dice.random()))  # about as many places a square kilometre as London
        for _ in range(rural):
            add(True, 8, lambda: dice.uniform(35, 70))
        return places

    # -- runs

    def _draft(self, place):
        dice = self._dice
        activity = self._pick([("walk", 22), ("run_walk", 20), ("run", 58)])
        if activity == "walk":
            pace, minutes = band(dice.uniform(580, 840), 40), (45, 60, 75, 90)
        elif activity == "run_walk":
            pace, minutes = band(dice.uniform(440, 570), 25), (40, 50, 60)
        else:
            pace, minutes = band(self._usual_pace(), dice.choice((12, 15, 20, 25))), (40, 50, 60, 70)
        step_free = dice.choice(("yes", None, "no", None))
        other = dice.choice(OTHER_LANGUAGES)
        policy = "approval" if dice.random() < 0.25 else "open"
        return {
            "title": f"{activity.replace('_', '-').capitalize()} from {place.name}"[:120], "activity": activity,
            "pace": {"fastest_s_per_km": pace[0], "slowest_s_per_km": pace[1]},
            "no_drop": activity == "run_walk" or dice.random() < 0.33, "duration_min": dice.choice(minutes),
            "meeting_point": {"lat": place.point[0], "lng": place.point[1], "name": place.name[:100]},
            "capacity": dice.choice((3, 4, 6, 8, 10, 12, 12)), "newcomer_places": 0, "join_policy": policy,
            "languages": self._pick([([], 50), (["en"], 35), (["en", other], 10), ([other], 5)]),
            "access": {"step_free": step_free} if step_free else {},
        }

    def _usual_pace(self):
        """A pace in s/km at which usual people can chat."""
        curve = self._dice.choice((TEN_MILE_WOMEN, TEN_MILE_MEN))
        return from_quantiles(curve, self._dice.random()) * self._dice.uniform(1.25, 1.4)

    def _start_on(self, day):
        date = START.date() + datetime.timedelta(days=day)
        kind = {5: "saturday", 6: "sunday"}.get(date.weekday(), "weekday")
        return datetime.datetime.combine(date, datetime.time.fromisoformat(self._pick(SLOTS[kind])))

    def _weekly(self, place):
        return Series(place, self._draft(place), self._start_on(self._dice.randrange(1, 8)))

    def _one_off_runs(self, count):
        taken = {(series.place.key, series.first.weekday()) for series in self.series}
        free = []
        for place in self.places:
            days = RURAL_DAYS if place.is_rural else range(1, HORIZON_DAYS)
            free += [(place, day) for day in days if (place.key, day % 7) not in taken]
        # Most runs are posted for the next two weeks. Draws without repetition, by weight (Efraimidis and Spirakis 2006).
        weight = lambda day: 6 if day < WINDOW_DAYS else 1
        drawn = sorted(free, key=lambda one: -self._dice.random() ** (1 / weight(one[1])))
        villages = [one for one in drawn if one[0].is_rural][:count // 12]
        chosen = villages + [one for one in drawn if not one[0].is_rural][:count - len(villages)]
        return [Run(place, self._draft(place), self._start_on(day)) for place, day in chosen]

    def _introductions(self):
        """(run, people): runs that took place before START, of some facilitators with people who live near."""
        made = []
        for place in self._dice.sample(self.city, max(1, len(self.city) // 4)):
            near = sorted(self.people, key=lambda person: distance_km(place.point, self._home(person)))[:8]
            free = [person for person in near if not any(person in people for _, people in made)]
            if len(free) >= 3:
                draft = {**self._draft(place), "join_policy": "open", "capacity": 12}
                made.append((Run(place, draft, INTRODUCTION), self._dice.sample(free, min(len(free), 5))))
        return made

    # -- people

    @staticmethod
    def _home(person):
        return person.profile["home"]["lat"], person.profile["home"]["lng"]

    def _person(self, number):
        dice = self._dice
        kind = self._pick([("club runner", 15), ("runner", 40), ("all three", 15), ("run-walker", 8), ("walker", 12), ("not sure", 10)])
        comfortable, walking, activities = self._paces(kind)
        hours = self._hours() if dice.random() < 0.45 else []
        daylight = dice.random() < 0.12
        if number % 40 == 7:  # wishes that nothing can fulfil
            hours, daylight = [window(day, "18:30", "21:00") for day in range(5)], True
        other = dice.choice(OTHER_LANGUAGES)
        pace = lambda ends: {"fastest_s_per_km": ends[0], "slowest_s_per_km": ends[1]} if ends else None
        lat, lng = self._home_point(number)
        profile = {
            "activities": activities, "comfortable_pace": pace(comfortable), "walking_pace": pace(walking),
            "home": {"lat": lat, "lng": lng}, "travel_radius_km": self._pick(RADII_KM), "availability": hours,
            "languages": self._pick([([], 40), (["en"], 45), (["en", other], 12), ([other], 3)]),
            "access_needs": ["step_free"] if dice.random() < 0.05 else [], "not_after_dark": daylight,
            "new_here": kind == "not sure" or dice.random() < 0.12, "gentle_start": dice.random() < 0.06,
        }
        return Person(number, FIRST_NAMES[number % len(FIRST_NAMES)], kind, profile)

    def _paces(self, kind):
        dice = self._dice
        walk = band(dice.uniform(560, 880), 30)
        if kind == "club runner":
            return band(dice.choice(self._race_paces) * dice.uniform(1.25, 1.4)), None, ["run"]
        if kind == "runner":
            return band(self._usual_pace()), None, dice.choice((["run"], ["run", "run_walk"], ["run", "run_walk", "walk"]))
        if kind == "all three":
            return band(self._usual_pace()), walk, ["walk", "run_walk", "run"]
        if kind == "run-walker":
            return band(dice.uniform(430, 560), 25), None, dice.choice((["run_walk"], ["run_walk", "walk"]))
        if kind == "walker":
            return None, walk, ["walk"]
        return None, None, ["walk", "run_walk", "run"]

    def _hours(self):
        dice = self._dice
        evenings = [window(day, "17:30", "21:00") for day in range(5)]
        mornings = [window(day, "08:00", "12:30") for day in (5, 6)]
        narrow = [window(day, f"{hour:02}:00", f"{hour + 2:02}:00")
                  for day, hour in zip(dice.sample(range(7), 2), dice.choices((7, 9, 10, 12, 17, 18), k=2))]
        days = [window(day, "09:00", "15:00") for day in range(5)]
        return self._pick([(evenings, 35), (mornings, 30), (evenings + mornings, 15), (narrow, 15), (days, 5)])

    def _home_point(self, number):
        dice, share = self._dice, self._dice.random()
        bearing = dice.uniform(0, 2 * math.pi)
        if number % 30 == 11:  # nothing is near
            return moved(*dice.choice(self.city).point, bearing, dice.uniform(30, 60))
        if share < 0.12:
            villages = [place for place in self.places if place.is_rural]
            return moved(*dice.choice(villages).point, bearing, dice.uniform(0.5, 8))
        return moved(*dice.choice(self.city).point, bearing, dice.uniform(0.3, 6))


def window(day, begins, ends):
    return {"weekday": WEEKDAYS[day], "from": begins, "to": ends}
