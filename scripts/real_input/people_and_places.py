"""Who comes and what is on: people.csv and runs.csv, made from real places and paces by the rules below.

Everything follows from the row's position and one seed, so two runs of the script import the same files.

Runs. Every `5k` row of group_runs.csv is one place with one facilitator and one run on each of the two Saturdays, at
09:00 on the clock there. With i the place's position, counted from 0:
- activity: walk where i % 5 is 4, run_walk where it is 2, run otherwise;
- the middle of the group's pace, s/km: run 330, 360 … 540 by turns (half width 15), run_walk 480, 520, 560 (25), walk
  600, 680, 760, 840 (40);
- no_drop: every run_walk, and every third place;
- capacity: 2 where i % 10 is 7, else 6, 8, 10, 12, 15 by turns;
- step-free access: yes, not said, no, not said by turns.

People. The n-th, with a home 0.2 to 6 km from a place (every place as likely), a radius of 10 km:
- 4 of 10: a race pace from race_paces.csv x 1.25 to 1.4, which is roughly a pace at which one can chat;
- 4 of 10: a race pace from the quantiles of usual people (women's and men's ten-mile, by turns), the same factor;
- 1 of 10: walkers, 540 to 900 s/km, no running pace;
- 1 of 10: "not sure yet", no pace at all, new here.
A band is the pace with 18 s on either side, which is how much easy runs of one person vary.
"""

import bisect
import csv
import dataclasses
import datetime
import math
import random

# Public parks in many time zones, for a run without the data folder.
SAMPLE_PLACES = """\
Hyde Park|London|GB|51.5073|-0.1657
Phoenix Park|Dublin|IE|53.3559|-6.3298
Tiergarten|Berlin|DE|52.5145|13.3501
Englischer Garten|München|DE|48.1642|11.6056
Vondelpark|Amsterdam|NL|52.3580|4.8686
Bois de Vincennes|Paris|FR|48.8283|2.4330
Parque del Retiro|Madrid|ES|40.4153|-3.6845
Monsanto|Lisboa|PT|38.7280|-9.1840
Villa Borghese|Roma|IT|41.9142|12.4923
Prater|Wien|AT|48.2050|16.4200
Letná|Praha|CZ|50.0960|14.4200
Łazienki|Warszawa|PL|52.2150|21.0350
Slottsskogen|Göteborg|SE|57.6850|11.9430
Frognerparken|Oslo|NO|59.9270|10.7010
Keskuspuisto|Helsinki|FI|60.2120|24.9130
Maksimir|Zagreb|HR|45.8290|16.0180
Stanley Park|Vancouver|CA|49.3017|-123.1417
High Park|Toronto|CA|43.6465|-79.4637
The Forks|Winnipeg|CA|49.8870|-97.1310
Bowness Park|Calgary|CA|51.0970|-114.2210
Point Pleasant Park|Halifax|CA|44.6230|-63.5690
Central Park|New York|US|40.7829|-73.9654
Kings Park|Perth|AU|-31.9610|115.8320
Botanic Park|Adelaide|AU|-34.9160|138.6120
New Farm Park|Brisbane|AU|-27.4700|153.0520
Centennial Park|Sydney|AU|-33.8980|151.2330
Hagley Park|Christchurch|NZ|-43.5310|172.6190
East Coast Park|Singapore|SG|1.3010|103.9120
Cubbon Park|Bengaluru|IN|12.9763|77.5929
Yoyogi Park|Tokyo|JP|35.6717|139.6949
"""

# Share of people at or below a race pace in s/km: (share, pace). College club runners for a run without the data folder.
COLLEGE = [(0.01, 193), (0.10, 208), (0.50, 246), (0.90, 305), (0.99, 373)]
TEN_MILE_WOMEN = [(0.05, 285), (0.25, 331), (0.50, 363), (0.75, 399), (0.95, 468)]
TEN_MILE_MEN = [(0.05, 240), (0.25, 289), (0.50, 325), (0.75, 362), (0.95, 429)]

LANGUAGES = {
    "GB": "en", "IE": "en", "AU": "en", "NZ": "en", "US": "en", "CA": "en;fr", "SG": "en", "MY": "ms;en", "IN": "en",
    "DE": "de", "AT": "de", "NL": "nl;en", "FR": "fr", "ES": "es", "PT": "pt", "IT": "it", "SE": "sv;en",
    "NO": "no;en", "DK": "da;en", "FI": "fi;en", "RU": "ru", "CZ": "cs", "PL": "pl", "HR": "hr", "JP": "ja",
}
FIRST_NAMES = (
    "Ana Ben Chloé Dara Emre Fatma Gio Hana Ines Jack Kaja Liam Mira Noor Oleg Priya Quinn Rosa Sam Tove Uma Vera "
    "Will Ximena Yuki Zoë Łukasz José Søren Anaïs"
).split()

PEOPLE_COLUMNS = (
    "external_id email display_name locale activities comfortable_fastest_s_per_km comfortable_slowest_s_per_km "
    "walking_fastest_s_per_km walking_slowest_s_per_km home_lat home_lng travel_radius_km languages access_needs "
    "not_after_dark new_here facilitator"
).split()
RUN_COLUMNS = (
    "external_id title description activity fastest_s_per_km slowest_s_per_km no_drop distance_km duration_min "
    "local_start lat lng place_name getting_there capacity join_policy languages step_free facilitator_email"
).split()

EARTH_KM = 6371.009


@dataclasses.dataclass
class Place:
    """One meeting point with its weekly run and the person who leads it."""

    key: str
    name: str
    address: str
    country: str
    lat: float
    lng: float

    @property
    def leader_email(self):
        return f"lead-{self.key}@people.example"


@dataclasses.dataclass
class Person:
    """One imported participant. Bands are (fastest, slowest) in s/km, or None for "not sure yet"."""

    number: int
    email: str
    name: str
    home: tuple
    comfortable: tuple
    walking: tuple
    activities: str
    languages: str
    access_needs: str
    not_after_dark: bool
    new_here: bool

    def band_for(self, activity):
        return self.walking if activity == "walk" else self.comfortable


def read_places(data, runs):
    """The places, so many that each with two runs makes `runs` (all where it is None), spread evenly over the rows."""
    if data:
        with open(data / "group_runs.csv", encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["kind"] == "5k"]
        places = [
            Place(row["id"], row["name"], row["place"] or row["name"], row["country"], float(row["lat"]), float(row["lng"]))
            for row in rows
        ]
    else:
        places = []
        for number, line in enumerate(SAMPLE_PLACES.splitlines(), 1):
            name, town, country, lat, lng = line.split("|")
            places.append(Place(str(number), name, f"{name}, {town}", country, float(lat), float(lng)))
    wanted = len(places) if runs is None else min(len(places), max(2, runs // 2))
    return [places[number * len(places) // wanted] for number in range(wanted)]


def read_race_paces(data):
    """Race paces of real runners, s/km; without the data folder, their published quantiles."""
    if not data:
        return [round(from_quantiles(COLLEGE, share / 100)) for share in range(1, 100)]
    with open(data / "race_paces.csv", encoding="utf-8", newline="") as file:
        return [int(row["median_race_pace_s_per_km"]) for row in csv.DictReader(file)]


def from_quantiles(curve, share):
    """The value below which `share` of all lie: straight lines between the known quantiles, and on beyond them."""
    at = min(max(bisect.bisect([known for known, _ in curve], share), 1), len(curve) - 1)
    (low, at_low), (high, at_high) = curve[at - 1], curve[at]
    return at_low + (at_high - at_low) * (share - low) / (high - low)


def moved(lat, lng, bearing, km):
    """The point `km` away on a sphere, in the direction `bearing` (radians from north)."""
    angle, lat, lng = km / EARTH_KM, math.radians(lat), math.radians(lng)
    there = math.asin(math.sin(lat) * math.cos(angle) + math.cos(lat) * math.sin(angle) * math.cos(bearing))
    turn = math.atan2(
        math.sin(bearing) * math.sin(angle) * math.cos(lat), math.cos(angle) - math.sin(lat) * math.sin(there)
    )
    return round(math.degrees(there), 6), round((math.degrees(lng + turn) + 540) % 360 - 180, 6)


def distance_km(a, b):
    """Great-circle distance between two (lat, lng)."""
    lat_a, lat_b = math.radians(a[0]), math.radians(b[0])
    half = math.sin((lat_b - lat_a) / 2) ** 2
    half += math.cos(lat_a) * math.cos(lat_b) * math.sin(math.radians(b[1] - a[1]) / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(half))


def band(middle, half_width=18):
    return (max(120, round(middle - half_width)), min(1800, round(middle + half_width)))


def make_people(count, places, race_paces, seed):
    """The people, by the rule at the top."""
    dice = random.Random(seed)
    people = []
    for number in range(count):
        place = dice.choice(places)
        home = moved(place.lat, place.lng, dice.uniform(0, 2 * math.pi), dice.uniform(0.2, 6))
        share, factor, walk = dice.random(), dice.uniform(1.25, 1.4), band(dice.uniform(558, 882))
        slot = number % 10
        comfortable = walking = None
        if slot < 4:
            comfortable, activities = band(dice.choice(race_paces) * factor), "run"
        elif slot < 8:
            curve = TEN_MILE_WOMEN if slot % 2 else TEN_MILE_MEN
            comfortable, activities = band(from_quantiles(curve, share) * factor), "run;run_walk"
            if slot >= 6:
                walking, activities = walk, "run;run_walk;walk"
        elif slot == 8:
            walking, activities = walk, "walk"
        else:
            activities = "walk;run_walk;run"
        people.append(
            Person(
                number=number,
                email=f"runner-{number:04}@people.example",
                name=FIRST_NAMES[number % len(FIRST_NAMES)],
                home=home,
                comfortable=comfortable,
                walking=walking,
                activities=activities,
                languages=LANGUAGES.get(place.country, ""),
                access_needs="step_free" if number % 33 == 5 else "",
                not_after_dark=number % 10 == 3,
                new_here=slot == 9 or number % 10 == 0,
            )
        )
    return people


def yes_no(value):
    return "yes" if value else "no"


def people_rows(people, places):
    """Rows of people.csv: the participants, then one facilitator for each place, who lives beside it."""
    for person in people:
        comfortable, walking = person.comfortable or ("", ""), person.walking or ("", "")
        yield dict(
            zip(
                PEOPLE_COLUMNS,
                [
                    f"runner-{person.number:04}", person.email, person.name, "en", person.activities,
                    *comfortable, *walking, *person.home, 10, person.languages, person.access_needs,
                    yes_no(person.not_after_dark), yes_no(person.new_here), "no",
                ],
            )
        )
    for number, place in enumerate(places):
        name = FIRST_NAMES[(number * 7) % len(FIRST_NAMES)]
        home = moved(place.lat, place.lng, number, 1)
        yield dict(
            zip(
                PEOPLE_COLUMNS,
                [
                    f"lead-{place.key}", place.leader_email, name, "en", "walk;run_walk;run", 390, 430, 620, 700,
                    *home, 10, LANGUAGES.get(place.country, ""), "", "no", "no", "yes",
                ],
            )
        )


def group_of(i):
    """(activity, middle pace in s/km, half width, duration in minutes) of the i-th place."""
    if i % 5 == 4:
        return "walk", (600, 680, 760, 840)[i // 5 % 4], 40, 75
    if i % 5 == 2:
        return "run_walk", (480, 520, 560)[i // 5 % 3], 25, 55
    return "run", range(330, 541, 30)[i % 8], 15, 50


def run_rows(places, saturdays):
    """Rows of runs.csv: each place on each Saturday."""
    for week, saturday in enumerate(saturdays, 1):
        for i, place in enumerate(places):
            activity, middle, half_width, duration = group_of(i)
            fastest, slowest = band(middle, half_width)
            yield dict(
                zip(
                    RUN_COLUMNS,
                    [
                        f"place-{place.key}-week-{week}", f"Saturday at {place.name}",
                        "We meet, say hello, go at a pace at which we can chat, and have tea afterwards.",
                        activity, fastest, slowest, yes_no(activity == "run_walk" or i % 3 == 0), 5, duration,
                        datetime.datetime.combine(saturday, datetime.time(9)).strftime("%Y-%m-%dT%H:%M"),
                        place.lat, place.lng, place.address, "By the noticeboard; we wear something green.",
                        2 if i % 10 == 7 else (6, 8, 10, 12, 15)[i % 5], "open", LANGUAGES.get(place.country, ""),
                        ("yes", "", "no", "")[i % 4], place.leader_email,
                    ],
                )
            )


def write_csv(path, columns, rows):
    """Writes a file as a spreadsheet would."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
