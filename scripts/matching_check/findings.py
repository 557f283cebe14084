"""What is wrong with the lists that people got: each row of the table, counted from the facts that were put in."""

import collections
import dataclasses

from matching_check.rules import (
    BANDS_KM, COARSE_BANDS_KM, ENOUGH, EQUAL_WITHIN, MATCH_FLOOR, PACE_FLOOR, UNSAID, WINDOW_ENDS, has_contradictory_wishes,
    people_would_choose, reasons_against_the_rule)

LIMIT = 20
COUNTED_UP_TO = 100  # by advice
# Centres of cells are given to a few decimals, scores to three.
SCORE_TOLERANCE = 0.002

# name: (what is counted, unit). A row must be zero unless its name is in REPORTED.
ROWS = {
    "own": ("people to whom a run is proposed that they have already", "people with a sign-up"),
    "own_first": ("... as the first proposal", "people with a sign-up"),
    "overlapping": ("people to whom a run at the time of a place of theirs is proposed", "people with a place"),
    "outside_hours": ("proposals outside stated hours while three others fit", "proposals to people with hours"),
    "outside_hours_unmarked": ("proposals outside stated hours that do not say so, or the reverse", "proposals to people with hours"),
    "outside_hours_before": ("proposals outside stated hours before one inside them", "proposals to people with hours"),
    "series_twice": ("people to whom a series is proposed twice", "people"),
    "later_first": ("people to whom the later of two equal dates is proposed first", "people"),
    "wrong_order": ("people to whom a lower score is proposed before a higher one", "people"),
    "next_dates": ("further dates of a series that do not fit, or are another's", "further dates"),
    "pace_floor": ("proposals with a pace part under 0.1", "proposals"),
    "score_floor": ("proposals with a score under the floor", "proposals"),
    "hard_rule": ("proposals that break a hard rule (radius, activity, pace, language, access, daylight, full)", "proposals"),
    "wrong_score": ("proposals whose score is not that of the rules", "proposals"),
    "no_pace_needed": ("walks of which somebody who gave a pace hears that none is needed", "proposals"),
    "ask_language": ("proposals that tell people to ask for the language", "proposals"),
    "missing": ("people whose list misses a run that fits, though there is room", "people"),
    "window": ("people with fewer than three proposals though more fit later", "people"),
    "beyond_window": ("proposals after the window while three fit within it", "proposals"),
    "empty": ("people with an empty list and no advice", "people with an empty list"),
    "short": ("people with fewer than three proposals and no advice", "people with a short list"),
    "no_pointer": ("short lists that do not end with the pointer to match requests", "lists with advice"),
    "advice_wrong": ("advice whose first run does not fit with that wish dropped", "advice with a run"),
    "advice_missing": ("wishes of a short list that keep a run away and are not in its advice", "wishes that keep a run away"),
    "advice_count": ("advice whose number of runs is not that of the rules (each series once)", "advice"),
    "contradiction": ("people with contradictory wishes whom nobody tells so", "people with contradictory wishes"),
    "explain_window": ("fitting runs after the window that are explained by a time nobody asked for", "explained runs"),
    "viewer": ("own runs that were asked for (include_mine) and are missing or unmarked", "own runs that fit"),
}
REPORTED = {
    "outside_shown": ("proposals outside stated hours, all", "proposals to people with hours"),
    "low_score": ("proposals with a score under 0.3", "proposals"),
    "company": ("proposals where company counts", "proposals"),
    "known_face": ("first proposals with a facilitator whom the person knows", "first proposals"),
}
# How often proposals must agree with a simple human rule, in per cent. The rule takes every pace part from 0.75 on as alike
# and knows nothing of company, known faces, access and a gentle start: a proposal for which one of these speaks is no
# disagreement.
AGREEMENT = {
    "first": ("first proposal is the human rule's first, or a reason that the rule does not know speaks for it", 80),
    "in_three": ("fewer than three proposals without such a reason stand before the human rule's first", 97),
}
COMPARED = {
    "literal_first": "first proposal is the human rule's first, by whole kilometres",
    "literal_in_three": "human rule's first among our first three, by whole kilometres",
    "coarse_first": "first proposal is the human rule's first, by bands of 2, 5, 10, 20 and 50 km",
    "coarse_in_three": "human rule's first among our first three, by those bands",
}


@dataclasses.dataclass
class Answer:
    """What one person was told; `own` is the answer with include_mine, `explained` are (run, explanation)."""

    fitting: object
    body: dict
    own: dict = None
    explained: list = dataclasses.field(default_factory=list)

    @property
    def person(self):
        return self.fitting.person

    @property
    def items(self):
        """(run, judgement, item) of each proposal."""
        return [(self.fitting.runs[item["run"]["id"]], self.fitting.of[item["run"]["id"]], item) for item in self.body["items"]]


class Findings:
    """Counts of each row, with examples."""

    def __init__(self, rules):
        self._rules = rules
        self.counts, self.of = collections.Counter(), collections.Counter()
        self.examples = collections.defaultdict(list)
        self.disagreements, self.reasons = [], collections.Counter()

    def count(self, row, is_so, answer=None, words=""):
        self.of[row] += 1
        if is_so:
            self.counts[row] += 1
            if answer:
                self.examples[row].append(f"{answer.person.email} ({answer.person.kind}) {words}")

    def add(self, answer):
        for judge in (self._own, self._hours, self._order, self._floors, self._words, self._completeness, self._advice,
                      self._explained, self._include_mine, self._compared, self._agreement):
            judge(answer)

    # -- one person's list

    def _own(self, answer):
        fitting, items = answer.fitting, answer.items
        if fitting.held:
            self.count("own", any(run.id in fitting.held for run, _, _ in items), answer)
            self.count("own_first", bool(items) and items[0][0].id in fitting.held)
        if any(status == "confirmed" for status, _ in answer.person.signups.values()):
            at_once = [run.body["title"] for run, _, _ in items if run.id not in fitting.held and fitting.overlaps_a_place(run)]
            self.count("overlapping", bool(at_once), answer, at_once)

    def _hours(self, answer):
        if not answer.person.profile["availability"]:
            return
        enough = len(answer.fitting.best_dates()) >= ENOUGH
        items = answer.items
        for at, (run, judged, item) in enumerate(items):
            is_outside = not judged.is_in_hours
            self.count("outside_shown", is_outside)
            self.count("outside_hours", is_outside and enough, answer, f"{run.starts} {run.body['title']}")
            self.count("outside_hours_unmarked", item.get("outside_hours", False) != is_outside, answer, f"{run.starts}")
            self.count("outside_hours_before", is_outside and any(later.is_in_hours for _, later, _ in items[at:]), answer)

    def _order(self, answer):
        groups = [run.group for run, _, _ in answer.items]
        self.count("series_twice", len(set(groups)) < len(groups), answer)
        pairs = [(one, other) for at, one in enumerate(answer.items) for other in answer.items[at + 1:]]
        same_part = [(one, other) for one, other in pairs if part_of(one) == part_of(other)]
        equal_later = [one[0].starts for one, other in same_part
                       if abs(one[1].score - other[1].score) <= EQUAL_WITHIN and one[0].starts > other[0].starts]
        equal_later += [run.starts for run, judged, _ in answer.items if self._has_earlier_equal_date(answer.fitting, run, judged)]
        self.count("later_first", bool(equal_later), answer, equal_later)
        wrong = [f"{one[1].score:.4f} before {other[1].score:.4f}" for one, other in same_part
                 if one[1].score < other[1].score - SCORE_TOLERANCE / 10]
        self.count("wrong_order", bool(wrong), answer, wrong[:3])

    @staticmethod
    def _has_earlier_equal_date(fitting, run, judged):
        """Whether an earlier date of the same series fits as well or better."""
        if run.series is None:
            return False
        return any(other.series == run.series and other.starts < run.starts and fitting.of[other.id].fits
                   and fitting.of[other.id].is_in_hours == judged.is_in_hours and fitting.is_free_for(other)
                   and fitting.of[other.id].score >= judged.score - EQUAL_WITHIN for other in fitting.runs.values())

    def _floors(self, answer):
        for run, judged, item in answer.items:
            told = f"{run.body['title']}: {judged.score:.3f}, pace {judged.parts['pace']:.3f}, {judged.km:.1f} km"
            self.count("pace_floor", judged.parts["pace"] < PACE_FLOOR, answer, told)
            self.count("score_floor", judged.score < MATCH_FLOOR, answer, told)
            self.count("hard_rule", bool(judged.causes), answer, f"{told} {sorted(judged.causes)}")
            is_wrong = abs(item["fit"]["score"] - judged.score) > SCORE_TOLERANCE
            self.count("wrong_score", is_wrong, answer, f"{told}, told {item['fit']}")
            self.count("low_score", judged.score < 0.3)
            self.count("company", "company" in judged.parts)
            for date in item["series"]["next_dates"] if item.get("series") else []:
                self.count("next_dates", not self._is_further_date(answer.fitting, run, judged, date), answer, f"{date}")

    @staticmethod
    def _is_further_date(fitting, run, judged, date):
        """Whether a date that is told beside a run is another of the same series and fits as well."""
        other = fitting.runs.get(date["run_id"])
        if other is None or other is run or other.series != run.series:
            return False
        fit = fitting.of[other.id]
        return fit.fits and fit.is_in_hours == judged.is_in_hours and fitting.is_free_for(other)

    def _words(self, answer):
        for run, _, item in answer.items:
            said = " ".join(reason["text"] for reason in item["fit"]["reasons"])
            gave_one = answer.person.profile["comfortable_pace"] or answer.person.profile["walking_pace"]
            self.count("no_pace_needed", bool(gave_one) and run.body["activity"] == "walk" and "need not know your pace" in said, answer)
            self.count("ask_language", "language" in said, answer)

    def _completeness(self, answer):
        within, ever = answer.fitting.best_dates(WINDOW_ENDS), answer.fitting.best_dates()
        shown = {run.group for run, judged, _ in answer.items if judged.is_in_hours}
        missing = [f"{run.starts} {run.body['title']} {judged.score:.3f}" for run, judged in within
                   if run.group not in shown and judged.score >= MATCH_FLOOR + SCORE_TOLERANCE]
        has_room = len(answer.items) < LIMIT
        self.count("missing", bool(missing) and has_room, answer, missing[:3])
        self.count("window", len(shown) < min(ENOUGH, len(ever)) and not (missing and has_room), answer,
                   f"{len(shown)} of {len(ever)}")
        for run, judged, _ in answer.items:
            self.count("beyond_window", run.starts >= WINDOW_ENDS and len(within) >= ENOUGH, answer, f"{run.starts}")

    # -- advice

    def _advice(self, answer):
        advice, is_short = answer.body.get("advice") or [], len(answer.items) < ENOUGH
        if not answer.items:
            self.count("empty", not advice, answer)
        if is_short:
            self.count("short", not advice, answer)
        if has_contradictory_wishes(answer.person):
            texts = " ".join(one["text"].lower() for one in advice)
            self.count("contradiction", not ("dark" in texts or "daylight" in texts), answer, texts)
        if advice:
            self.count("no_pointer", advice[-1]["drop"] is not None, answer)
        advised = {one["drop"]: one for one in advice}
        if advice and len(answer.fitting.best_dates()) < ENOUGH:
            for wish in (*UNSAID, "full"):
                self._without(answer, wish, advised.get(wish))

    def _without(self, answer, wish, advice):
        """Advice about one wish against what fits the person if they had not said it."""
        fitting = self._rules.for_person_without(answer.person, wish)
        would_fit = fitting.best_dates() if fitting else []
        if len(would_fit) > len(answer.fitting.best_dates()):
            told = f"{wish}: {would_fit[0][0].starts} {would_fit[0][0].body['title']}"
            self.count("advice_missing", advice is None, answer, told)
        if advice and advice["first"]:
            self.count("advice_wrong", not any(run.id == advice["first"]["id"] for run in fitting.fitting_runs()), answer,
                       f"{wish}: {advice['text']}")
        if advice:
            self.count("advice_count", advice["count"] != min(len(would_fit), COUNTED_UP_TO), answer, f"{wish}: {advice['count']} told, {len(would_fit)} by the rules")

    # -- further questions

    def _explained(self, answer):
        for run, explanation in answer.explained:
            codes = [obstacle["code"] for obstacle in explanation["obstacles"]]
            asked = any("asked" in obstacle["text"] for obstacle in explanation["obstacles"])
            self.count("explain_window", asked or not explanation["fit"], answer, f"{run.starts} {codes}")

    def _include_mine(self, answer):
        fitting = answer.fitting
        marks = {item["run"]["id"]: item.get("viewer") for item in answer.own["items"]} if answer.own else {}
        for run_id in fitting.held:
            judged, run = fitting.of[run_id], fitting.runs[run_id]
            # A series stands once, so another of its dates may stand for it.
            if run.series or not judged.but_full.fits or not judged.is_in_hours or run.starts >= WINDOW_ENDS:
                continue
            if answer.own and len(answer.own["items"]) >= LIMIT and run_id not in marks:
                continue
            mark = marks.get(run_id) or {}
            self.count("viewer", mark.get("signup_id") != answer.person.signups[run_id][1], answer, f"{run.body['title']} {mark}")

    def _compared(self, answer):
        if answer.items:
            self.count("known_face", answer.items[0][0].place.key in answer.person.known)
        for name, bands in (("literal", BANDS_KM), ("coarse", COARSE_BANDS_KM)):
            wanted, had_choice = people_would_choose(answer.fitting, bands)
            if had_choice:
                agrees = [is_among(run, wanted) for run, _, _ in answer.items[:ENOUGH]]
                self.count(f"{name}_first", any(agrees[:1]))
                self.count(f"{name}_in_three", any(agrees))

    def _agreement(self, answer):
        wanted, had_choice = people_would_choose(answer.fitting)
        if not had_choice:
            return
        theirs, without_reason = answer.fitting.of[wanted[0].id], 0
        is_first = bool(answer.items) and is_among(answer.items[0][0], wanted)
        for run, judged, _ in answer.items:
            if is_among(run, wanted):
                break
            without_reason += not reasons_against_the_rule(judged, theirs)
        else:
            without_reason = LIMIT
        reasons = reasons_against_the_rule(answer.items[0][1], theirs) if answer.items else []
        self.count("first", is_first or bool(reasons))
        self.count("in_three", without_reason < ENOUGH)
        if not is_first:
            self.reasons.update(reasons or ["none of these"])
            self.disagreements.append((answer, wanted[0]))


def is_among(run, runs):
    return any(run is one for one in runs)


def part_of(one):
    """Which part of a list a proposal stands in: inside the window, after it, outside the hours."""
    run, judged, _ = one
    return not judged.is_in_hours, run.starts >= WINDOW_ENDS
