"""People, their wishes and their lists in plain words, for reading by eye."""

from matching_check.rules import WINDOW_ENDS, reasons_against_the_rule


def pace_in_words(band):
    if not band:
        return "not given"
    return "–".join(f"{seconds // 60}:{seconds % 60:02}" for seconds in band) + "/km"


def wishes_in_words(person):
    wants = person.profile
    parts = [f"{', '.join(wants['activities'])}; runs at {pace_in_words(person.band_for('run'))}, walks at "
             f"{pace_in_words(person.band_for('walk'))}; up to {wants['travel_radius_km']} km"]
    hours = ", ".join(f"{one['weekday']} {one['from']}–{one['to']}" for one in wants["availability"])
    parts.append(f"hours: {hours or 'any'}")
    for field, words in (("not_after_dark", "daylight only"), ("new_here", "new here"), ("gentle_start", "gentle start")):
        parts += [words] if wants[field] else []
    for field in ("languages", "access_needs"):
        parts += [f"{field.replace('_', ' ')}: {', '.join(wants[field])}"] if wants[field] else []
    return "; ".join(parts)


def run_in_words(run, judged):
    pace = run.body["pace"]
    marks = [words for is_so, words in (
        (run.body["no_drop"], "waits for everyone"), (run.series, "weekly"), (run.is_full, "full"),
        (run.body["join_policy"] == "approval", "by approval"), (not judged.is_in_hours, "OUTSIDE HOURS"),
        (run.starts >= WINDOW_ENDS, "after the window")) if is_so]
    parts = " ".join(f"{name} {value:.2f}" for name, value in judged.parts.items())
    return (f"{run.body['activity']:8} {pace_in_words((pace['fastest_s_per_km'], pace['slowest_s_per_km'])):15} {judged.km:5.1f} km  "
            f"{run.starts:%a %d %b %H:%M}  score {judged.score:.3f} ({parts})  {', '.join(marks)}")


def list_in_words(answer, most=8):
    """Lines about one person: wishes, what they have, what they are shown, and advice."""
    person, fitting = answer.person, answer.fitting
    yield f"{person.name} ({person.email}, {person.kind}): {wishes_in_words(person)}"
    for run_id, (status, _) in person.signups.items():
        yield f"    has    {status:10} {run_in_words(fitting.runs[run_id], fitting.of[run_id])}"
    for place, (run, judged, item) in enumerate(answer.items[:most], 1):
        told = [name for name in ("outside_hours", "viewer") if item.get(name)]
        if item.get("series"):
            told.append(f"{len(item['series']['next_dates'])} further dates")
        yield f"    {place:2}. {run_in_words(run, judged)}{'  told: ' + ', '.join(told) if told else ''}"
        yield "        " + "; ".join(reason["text"] for reason in item["fit"]["reasons"])
    if len(answer.items) > most:
        yield f"    and {len(answer.items) - most} more"
    for advice in answer.body.get("advice") or []:
        yield f"    advice ({advice['drop'] or 'pointer'}, {advice['count']}): {advice['text']}"
    if not answer.items and not answer.body.get("advice"):
        yield "    nothing, and not a word"


def disagreement_in_words(answer, wanted):
    """Why our first proposal is not the one that a simple human rule would make."""
    fitting, judged = answer.fitting, answer.fitting.of[wanted.id]
    yield f"{answer.person.name} ({answer.person.email}, {answer.person.kind}): {wishes_in_words(answer.person)}"
    yield f"    rule: {run_in_words(wanted, judged)}"
    if answer.items:
        run, ours, _ = answer.items[0]
        reasons = reasons_against_the_rule(ours, judged)
        yield f"    ours: {run_in_words(run, ours)}"
        yield f"    for ours: {', '.join(reasons) or 'nothing that a human rule would miss'}"
    else:
        yield "    ours: none"
