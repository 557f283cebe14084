"""What came of the main job: figures, checks, wall time, and how well the first matches fit."""

import contextlib
import json
import math
import statistics
import sys
import time

from real_input.people_and_places import distance_km
from real_input.scores import OURS, SYMMETRIC, best, score


class Report:
    """What came of it: figures, checks, and how long each phase took."""

    def __init__(self):
        self.figures, self.checks, self.phases = {}, [], {}
        self._began = time.monotonic()

    @contextlib.contextmanager
    def phase(self, name):
        began = time.monotonic()
        print(f"… {name}", file=sys.stderr, flush=True)
        try:
            yield
        finally:
            self.phases[name] = round(time.monotonic() - began, 1)

    def check(self, name, good, detail=""):
        self.checks.append({"check": name, "good": bool(good), "detail": str(detail)})
        if not good:
            print(f"FAILED: {name}: {detail}", file=sys.stderr, flush=True)

    @property
    def good(self):
        return bool(self.checks) and all(check["good"] for check in self.checks)

    def show(self, as_json):
        self.phases["in total"] = round(time.monotonic() - self._began, 1)
        everything = {"figures": self.figures, "checks": self.checks, "seconds": self.phases, "good": self.good}
        if as_json:
            print(json.dumps(everything, indent=2, ensure_ascii=False))
            return
        print("\nWhat came of it")
        for name, value in self.figures.items():
            if isinstance(value, dict):
                value = ", ".join(f"{key} {count}" for key, count in sorted(value.items())) or "none"
            print(f"  {name}: {value}")
        print("Wall time, s")
        for name, seconds in self.phases.items():
            print(f"  {name}: {seconds}")
        print("Checks")
        for check in self.checks:
            detail = f" ({check['detail']})" if check["detail"] else ""
            print(f"  {'good  ' if check['good'] else 'FAILED'}  {check['check']}{detail}")
        print("All good." if self.good else "NOT GOOD.")


def count_matches(report, travellers, runs):
    """Figures and checks about everybody's first match; `runs` are the cards of all runs by id."""
    figures = report.figures
    matched = [traveller for traveller in travellers if traveller.matches]
    firsts = [(traveller.person, runs[traveller.matches[0]["run"]["id"]]) for traveller in matched]
    figures["people with at least one match"] = f"{len(matched)} of {len(travellers)} ({share(len(matched), len(travellers))})"
    # A place has one group: whoever lives near one of another pace is proposed nothing rather than something hopeless.
    report.check("at least a third of the people have a match", 3 * len(matched) >= len(travellers), len(matched))
    distances = [distance_km(person.home, (card["place"].lat, card["place"].lng)) for person, card in firsts]
    if distances:
        figures["median distance to the first match"] = f"{statistics.median(distances):.2f} km"
        figures["longest distance to a first match"] = f"{max(distances):.2f} km"
    # A home is matched from the centre of its cell, which may lie a kilometre and a bit away.
    beyond = [km for km in distances if km > 10 + 1.5]
    report.check("nobody was shown a run beyond 10 km and a home cell", not beyond, beyond[:5])
    compared = [(card, *pace_ratios(band, card["pace"])) for person, card in firsts if (band := person.band_for(card["activity"]))]
    if compared:
        count_paces(report, compared)


def count_paces(report, compared):
    """`compared`: (card, ratio beyond the band, ratio of the middles) of each first match with two paces."""
    figures, everybody = report.figures, len(compared)
    figures["first matches with a pace to compare"] = everybody
    figures["signed median pace ratio to the comfortable band (ln; 0 where the bands meet, + faster, - slower)"] = \
        f"{statistics.median(ratio for _, ratio, _ in compared):+.3f}"
    figures["signed median pace ratio of the middles (ln; + faster, - slower)"] = \
        f"{statistics.median(middle for _, _, middle in compared):+.3f}"
    faster = [card for card, ratio, _ in compared if ratio > 0]
    slower = sum(ratio < 0 for _, ratio, _ in compared)
    figures["first match faster than comfort"] = \
        f"{len(faster)} ({share(len(faster), everybody)}); of them no-drop runs {sum(card['no_drop'] for card in faster)}"
    figures["first match slower than comfort"] = f"{slower} ({share(slower, everybody)})"
    figures["fastest first match beyond comfort (ln)"] = f"{max(ratio for _, ratio, _ in compared):+.3f}"
    hard = [card["id"] for card, ratio, _ in compared if ratio > 0.10 and not card["no_drop"]]
    report.check("no first match is more than 0.10 (ln) faster than comfort, save no-drop runs", not hard, hard[:5])


def compare_scores(report, travellers, runs):
    """Whether the server's scores are those of the rules read once more, and how many people would be on a run faster
    than their comfort if each took the one that fits best: by our score, and by one that counts too fast as too slow."""
    figures, cards = report.figures, list(runs.values())
    near = {
        traveller: [card for card in cards if abs(card["place"].lat - traveller.home[0]) < 0.2]
        for traveller in travellers if traveller.home and (traveller.person.comfortable or traveller.person.walking)
    }
    compared, wrong = 0, []
    for traveller in near:
        for item in traveller.matches:
            if item["fit"]["company"] is None:
                expected = score(traveller.person, traveller.home, runs[item["run"]["id"]], OURS)
                compared += 1
                if expected is None or abs(expected - item["fit"]["score"]) > 0.0011:
                    wrong.append((traveller.person.email, item["run"]["id"], item["fit"]["score"], expected))
    figures["scores held against the rules read once more"] = compared
    report.check("every score is that of the rules", compared and not wrong, wrong[:5])

    for name, rule in [("our score", OURS), ("a symmetric score", SYMMETRIC)]:
        firsts = [(t.person, runs[first]) for t, some in near.items() if (first := best(t.person, t.home, some, rule))]
        beyond = [
            (pace_ratios(band, card["pace"])[0], card["no_drop"])
            for person, card in firsts if (band := person.band_for(card["activity"]))
        ]
        faster = sum(ratio > 0 for ratio, _ in beyond)
        unwaiting = sum(ratio > 0 and not no_drop for ratio, no_drop in beyond)
        hard = sum(ratio > OURS.not_shown_beyond and not no_drop for ratio, no_drop in beyond)
        figures[f"on a run faster than comfort under {name}"] = (
            f"{faster} of {len(beyond)} ({share(faster, len(beyond))}); {unwaiting} of them where nobody waits, "
            f"{hard} more than 0.10 (ln) faster there"
        )


def share(part, whole):
    return f"{100 * part / whole:.1f} %"


def pace_ratios(own, group):
    """(beyond the band, of the middles) as natural logarithms; positive where the group is faster than the person.

    Beyond the band: 0 where the bands meet; else from the near end of one to the near end of the other.
    """
    (fast, slow), (group_fast, group_slow) = own, (group["fastest_s_per_km"], group["slowest_s_per_km"])
    beyond = max(0.0, math.log(fast / group_slow)) - max(0.0, math.log(group_fast / slow))
    return beyond, math.log(fast * slow / (group_fast * group_slow)) / 2
