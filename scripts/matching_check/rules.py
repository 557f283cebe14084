"""The rules of matching, read once more from their description by nothing that the server uses.

`weigh` judges one run for one person from the facts that were put in; `Fitting` is what a person's list may hold, and
`people_would_choose` is a simple human rule to compare the first proposal with.
"""

import dataclasses
import datetime
import math

from real_input.people_and_places import distance_km
from real_input.scores import FLOOR as PART_FLOOR, OURS, WEIGHTS, distance_part, pace_part
from matching_check.region import START, WEEKDAYS, WINDOW_DAYS

ALL_WEIGHTS = {**WEIGHTS, "company": 0.15}
COMPANY_FROM = 5
MATCH_FLOOR, PACE_FLOOR, INSIDE_HOURS = 0.25, 0.1, 0.75
EQUAL_WITHIN = 1e-9
LIVE, HAS_PLACE = ("confirmed", "requested", "waitlisted", "offered"), ("confirmed",)
WINDOW_ENDS = START + datetime.timedelta(days=WINDOW_DAYS)

# What a profile says where somebody has not got this wish. Up to 50 km is the furthest that anybody may say.
FURTHEST_KM = 50
ENOUGH = 3  # a list of fewer proposals carries advice
UNSAID = {
    "radius": ("travel_radius_km", FURTHEST_KM), "hours": ("availability", []), "daylight": ("not_after_dark", False),
    "activity": ("activities", ["walk", "run_walk", "run"]), "language": ("languages", []),
}

# The human rule: distances within one band are alike. People are told whole kilometres ("about 4 km from your area"), so these
# are the bands; the coarse ones (at the door, in one's part of the city, across it, out of it) are counted for information.
BANDS_KM = tuple(kilometres + 0.5 for kilometres in range(51))
COARSE_BANDS_KM = (2, 5, 10, 20, 50)
HUMAN_PACE = 0.75
# So much better a pace part is a reason to propose another run than the human rule, which takes all above 0.75 as alike.
CLEARLY_BETTER_PACE = 0.05


@dataclasses.dataclass(frozen=True)
class Weighed:
    """One run for one person: the wishes it breaks, kilometres, the share of it inside the person's hours, and the score.

    `factor` is what the blend of the parts is multiplied with: below 1 where an access need is not answered, or for a plain
    run where a gentle start was asked for.
    """

    causes: frozenset
    km: float
    inside: float
    parts: dict
    factor: float
    score: float

    @property
    def fits(self):
        """May be shown, whatever the hours and what else the person has."""
        return not self.causes and self.parts["pace"] >= PACE_FLOOR and self.score >= MATCH_FLOOR

    @property
    def but_full(self):
        """The same if places were no question."""
        return dataclasses.replace(self, causes=self.causes - {"full"})

    @property
    def is_in_hours(self):
        return self.inside >= INSIDE_HOURS


def sun_height(point, moment):
    """Degrees above the horizon, good to 0.01 (Astronomical Almanac, low precision)."""
    days = (moment - datetime.datetime(2000, 1, 1, 12)).total_seconds() / 86400
    anomaly = math.radians(357.528 + 0.9856003 * days)
    longitude = math.radians(280.460 + 0.9856474 * days + 1.915 * math.sin(anomaly) + 0.020 * math.sin(2 * anomaly))
    tilt = math.radians(23.439 - 0.0000004 * days)
    ascension = math.atan2(math.cos(tilt) * math.sin(longitude), math.cos(longitude))
    declination = math.asin(math.sin(tilt) * math.sin(longitude))
    sidereal = math.radians((18.697374558 + 24.06570982441908 * days) % 24 * 15 + point[1])
    lat = math.radians(point[0])
    return math.degrees(math.asin(math.sin(lat) * math.sin(declination)
                                  + math.cos(lat) * math.cos(declination) * math.cos(sidereal - ascension)))


def is_dark(point, starts, ends):
    """Whether the sun is more than six degrees below the horizon at any moment."""
    minutes = int((ends - starts).total_seconds() // 60)
    moments = [starts + datetime.timedelta(minutes=minute) for minute in range(0, minutes, 5)] + [ends]
    return any(sun_height(point, moment) < -6 for moment in moments)


def minutes_of(text):
    return int(text[:2]) * 60 + int(text[3:])


def share_inside(windows, starts, duration_min):
    """The share of a run's minutes that lie in the windows; runs end on the day they begin."""
    if not windows:
        return 1.0
    today = [(minutes_of(window["from"]), minutes_of(window["to"])) for window in windows
             if window["weekday"] == WEEKDAYS[starts.weekday()]]
    begins = starts.hour * 60 + starts.minute
    inside = sum(any(start <= minute < end for start, end in today) for minute in range(begins, begins + duration_min))
    return inside / duration_min


def has_contradictory_wishes(person):
    """Daylight only, and no half hour of the person's hours is light on any day of the window."""
    profile = person.profile
    if not profile["not_after_dark"] or not profile["availability"]:
        return False
    half_hour = datetime.timedelta(minutes=30)
    for day in range(WINDOW_DAYS):
        midnight = START.replace(hour=0) + datetime.timedelta(days=day)
        for window in profile["availability"]:
            if window["weekday"] != WEEKDAYS[midnight.weekday()]:
                continue
            for minute in range(minutes_of(window["from"]), minutes_of(window["to"]) - 29, 15):
                starts = midnight + datetime.timedelta(minutes=minute)
                if not is_dark(person.centre, starts, starts + half_hour):
                    return False
    return True


class Rules:
    """Everything that can be told of a region's runs for one person."""

    def __init__(self, runs, default_language):
        self._runs, self._language = runs, default_language
        self._dark = {run.id: is_dark(run.shown_at, run.starts, run.ends) for run in runs}

    def weigh(self, person, run):
        wants, card = person.profile, run.body
        km, inside = distance_km(person.centre, run.shown_at), share_inside(wants["availability"], run.starts, card["duration_min"])
        pace = pace_part(person.band_for(card["activity"]), card, OURS)
        spoken = set(card["languages"]) or {self._language}
        answers = [card["access"].get(need) for need in wants["access_needs"]]
        causes = {
            "activity": card["activity"] not in wants["activities"],
            "radius": km > wants["travel_radius_km"],
            "pace": pace is None,
            "language": bool(wants["languages"]) and not spoken & set(wants["languages"]),
            "access": "no" in answers,
            "daylight": wants["not_after_dark"] and self._dark[run.id],
            "full": run.is_full,
        }
        parts = {
            "pace": pace or 0.0,
            "distance": distance_part(km, wants["travel_radius_km"]),
            "time": inside,
            "known_faces": 1.0 if run.place.key in person.known else 0.8,
        }
        if len(run.confirmed) >= COMPANY_FROM:
            parts["company"] = 1.0 if has_company(person, run) else 0.6
        factor = 0.95 ** answers.count(None)
        unsure = wants["gentle_start"] or person.band_for(card["activity"]) is None
        if wants["new_here"] and unsure and card["activity"] == "run" and not card["no_drop"]:
            factor *= 0.7
        blend = sum(ALL_WEIGHTS[name] * math.log(max(part, PART_FLOOR)) for name, part in parts.items())
        score = math.exp(blend / sum(ALL_WEIGHTS[name] for name in parts)) * factor
        return Weighed(frozenset(name for name, is_so in causes.items() if is_so), km, inside, parts, factor, score)

    def for_person(self, person):
        return Fitting(person, [(run, self.weigh(person, run)) for run in self._runs])

    def for_person_without(self, person, wish):
        """The same if the person had not said this; None where they have not."""
        if wish == "full":
            weighed = [(run, self.weigh(person, run)) for run in self._runs]
            return Fitting(person, [(run, judged.but_full) for run, judged in weighed])
        field, unsaid = UNSAID[wish]
        if person.profile[field] == unsaid:
            return None
        # The smallest of the wider radii that reaches three runs, or as many as any does.
        best = None
        for value in wider_radii(person.profile[field]) if wish == "radius" else [unsaid]:
            fitting = self.for_person(dataclasses.replace(person, profile={**person.profile, field: value}))
            if best is None or len(fitting.best_dates()) > len(best.best_dates()):
                best = fitting
            if len(best.best_dates()) >= ENOUGH:
                break
        return best


def wider_radii(radius_km):
    """The radii that advice tries in turn until three runs fit, in whole kilometres."""
    steps = [math.ceil(radius_km * times) for times in (1.5, 2, 3, 5, 10)]
    return [*(km for km in steps if km <= FURTHEST_KM), FURTHEST_KM]


def has_company(person, run):
    mine, activity = person.band_for(run.body["activity"]), run.body["activity"]
    others = [other.band_for(activity) for other in run.confirmed if other is not person]
    return mine is not None and any(mine[0] <= other[1] and other[0] <= mine[1] for other in others if other)


class Fitting:
    """All runs as they are for one person."""

    def __init__(self, person, weighed):
        self.person = person
        self.of = {run.id: judged for run, judged in weighed}
        self.runs = {run.id: run for run, _ in weighed}
        self.held = {run_id for run_id, (status, _) in person.signups.items() if status in LIVE}
        self._places = [self.runs[run_id] for run_id, (status, _) in person.signups.items() if status in HAS_PLACE]

    def overlaps_a_place(self, run):
        return any(place.id != run.id and place.starts < run.ends and run.starts < place.ends for place in self._places)

    def is_free_for(self, run):
        """Neither the person's own nor at the time of one of the person's places."""
        return run.id not in self.held and not self.overlaps_a_place(run)

    def fitting_runs(self, until=None):
        """All runs in the hours that fit, each date of a series by itself."""
        return [run for run_id, judged in self.of.items() for run in [self.runs[run_id]]
                if judged.fits and judged.is_in_hours and self.is_free_for(run) and (until is None or run.starts < until)]

    def best_dates(self, until=None):
        """The best date of each series and every single run that fits, best first."""
        best = {}
        for run in self.fitting_runs(until):
            judged, known = self.of[run.id], best.get(run.group)
            if known is None or comes_before((run, judged), known):
                best[run.group] = run, judged
        return sorted(best.values(), key=lambda one: (-one[1].score, one[0].starts))


def comes_before(one, other):
    """Whether a date of a series stands for it rather than the other."""
    (run, judged), (known, known_judged) = one, other
    if abs(judged.score - known_judged.score) <= EQUAL_WITHIN:
        return run.starts < known.starts
    return judged.score > known_judged.score


def people_would_choose(fitting, bands_km=BANDS_KM):
    """The runs that a simple human rule puts first, and whether it had a choice.

    Of the open runs that fit, in the hours and at a pace of 0.75 or more: the nearest band of distance, then the soonest.
    """
    until = WINDOW_ENDS if fitting.best_dates(WINDOW_ENDS) else None
    candidates = []
    for run_id, judged in fitting.of.items():
        run = fitting.runs[run_id]
        is_open = not judged.causes and judged.is_in_hours and fitting.is_free_for(run)
        if is_open and judged.parts["pace"] >= HUMAN_PACE and (until is None or run.starts < until):
            nearest = next((at for at, km in enumerate(bands_km) if judged.km <= km), len(bands_km))
            candidates.append(((nearest, run.starts), run))
    if not candidates:
        return [], False
    first = min(key for key, _ in candidates)
    return [run for key, run in candidates if key == first], any(key != first for key, _ in candidates)


def reasons_against_the_rule(ours, theirs):
    """Why a run may stand before the human rule's first: reasons that the rule does not know."""
    reasons = []
    if ours.parts["known_faces"] > theirs.parts["known_faces"]:
        reasons.append("a known face")
    if ours.parts.get("company") == 1.0 and theirs.parts.get("company") != 1.0:
        reasons.append("company")
    if ours.parts["pace"] >= theirs.parts["pace"] + CLEARLY_BETTER_PACE:
        reasons.append("a clearly better pace")
    if ours.factor > theirs.factor:
        reasons.append("the access or the gentle start that was asked for")
    return reasons
