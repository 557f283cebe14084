"""How well a run fits a person, read once more from the rules, by nothing that the server uses: to hold its answers
against, and to ask what would become of people if a run too fast counted no more than one too slow."""

import dataclasses
import math

from real_input.people_and_places import distance_km

WEIGHTS = {"pace": 0.40, "distance": 0.20, "time": 0.15, "known_faces": 0.10}
FLOOR = 0.02
RADIUS_KM = 10
# The pace part of somebody who gave no pace; paces at which most adults walk, s/km, and what a walk at another one keeps.
NOT_SURE = 0.9
USUAL_WALK = (667, 833)
UNUSUAL_WALK = 0.75
# That of an installation that does not set DEFAULT_LANGUAGE.
DEFAULT_LANGUAGE = "en"


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a run beyond either end of somebody's band costs."""

    scale_faster: float
    scale_faster_no_drop: float
    at_fast_end: float
    not_shown_beyond: float


OURS = Rule(scale_faster=0.04, scale_faster_no_drop=0.08, at_fast_end=0.8, not_shown_beyond=0.10)
# Both sides as the slower one: what a score of likeness does.
SYMMETRIC = Rule(scale_faster=0.12, scale_faster_no_drop=0.12, at_fast_end=1.0, not_shown_beyond=math.inf)


def distance_part(km, radius_km):
    """From 0 to 1; whole kilometres count."""
    return 1 / (1 + (math.floor(km + 0.5) / (radius_km / 2)) ** 2)


def fall(excess, scale):
    return math.exp(-((excess / scale) ** 2) / 2)


def pace_part(band, card, rule):
    """From 0 to 1; None where the run is not shown."""
    if band is None and card["activity"] == "walk":
        usual = pace_part(USUAL_WALK, {**card, "no_drop": False}, rule) or 0
        return NOT_SURE * max(usual, UNUSUAL_WALK)
    if band is None:
        return None if card["activity"] == "run" and not card["no_drop"] else NOT_SURE
    (fast, slow), (group_fast, group_slow) = band, (card["pace"]["fastest_s_per_km"], card["pace"]["slowest_s_per_km"])
    middle = math.sqrt(fast * slow)
    if group_fast > slow:
        return fall(math.log(group_fast / slow), 0.12)
    if group_slow >= middle:
        return 1.0
    if group_slow >= fast:
        return 1 - (1 - rule.at_fast_end) * math.log(middle / group_slow) / math.log(middle / fast)
    excess = math.log(fast / group_slow)
    if excess > rule.not_shown_beyond and not card["no_drop"]:
        return None
    return rule.at_fast_end * fall(excess, rule.scale_faster_no_drop if card["no_drop"] else rule.scale_faster)


def score(person, home, card, rule):
    """From 0 to 1, before anybody is confirmed or known; None where the run is not shown."""
    km = distance_km(home, (card["place"].lat, card["place"].lng))
    pace = pace_part(person.band_for(card["activity"]), card, rule)
    if card["activity"] not in person.activities.split(";") or km > RADIUS_KM or pace is None:
        return None
    if person.not_after_dark and card["after_dark"]:
        return None
    factor = 1.0
    # Where a run says none, the language of the installation counts as said.
    mine, theirs = set(filter(None, person.languages.split(";"))), set(card["languages"]) or {DEFAULT_LANGUAGE}
    if mine and not mine & theirs:
        return None
    if person.access_needs:
        step_free = card["access"].get("step_free")
        if step_free == "no":
            return None
        factor *= 0.95 if step_free is None else 1
    if person.new_here and person.band_for(card["activity"]) is None and card["activity"] == "run" and not card["no_drop"]:
        factor *= 0.7
    parts = {"pace": pace, "distance": distance_part(km, RADIUS_KM), "time": 1.0, "known_faces": 0.8}
    blend = sum(weight * math.log(max(parts[name], FLOOR)) for name, weight in WEIGHTS.items())
    return math.exp(blend / sum(WEIGHTS.values())) * factor


def best(person, home, cards, rule):
    """The card of the run that fits best, or None."""
    scored = [(value, card["id"]) for card in cards if (value := score(person, home, card, rule)) is not None]
    return max(scored, default=(None, None))[1]
