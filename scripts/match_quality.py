#!/usr/bin/env python3
"""Whether matches are what a thoughtful organiser would propose, judged from outside, on either database:

    python3 scripts/match_quality.py [--places FOLDER] [--database sqlite|postgres] [--seed 1] [--people 300] [--runs 400]
        [--series 14] [--show 10] [--binary PATH]

Makes a region of people, runs and weekly series (rules in matching_check/region.py): from real places and paces, where
FOLDER holds group_runs.csv and race_paces.csv, or invented from the seed. Brings it into a real server, lets more than half
of the people sign up, moves the clock so that some have run with a facilitator before, asks for everybody's matches, and
counts what a list must not hold. Each answer is held against the rules of matching read once more
(matching_check/rules.py) and the facts that were put in, never against what the answer says of itself.

Exits with 1 when a row that must be zero is not, or when the first proposals agree with a simple human rule too seldom.
Needs a build, PostgreSQL's server programs for --database postgres, and libfaketime.
"""

import argparse
import contextlib
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # leaves nothing beside the scripts

from real_input.house import Clock, House  # noqa: E402
from matching_check import plain_words  # noqa: E402
from matching_check.findings import AGREEMENT, COMPARED, REPORTED, ROWS, Answer, Findings  # noqa: E402
from matching_check.installation import DEFAULT_LANGUAGE, SETTINGS, UTC, Installation, in_parallel  # noqa: E402
from matching_check.region import POSTED, Region  # noqa: E402
from matching_check.rules import WINDOW_ENDS, Rules, has_contradictory_wishes  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXPLAINED_EACH = 2


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--series", type=int, default=14)
    parser.add_argument("--places", type=pathlib.Path, help="folder with group_runs.csv and race_paces.csv")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target" / "release" / "sidebyside")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print the lists of N people, and N disagreements")
    parser.add_argument("--examples", type=int, default=3, metavar="N", help="examples of each row that must be zero")
    arguments = parser.parse_args()
    if not arguments.binary.exists():
        parser.error(f"{arguments.binary} is missing: cargo build --release")
    if arguments.places and not (arguments.places / "group_runs.csv").exists():
        parser.error(f"{arguments.places} holds no group_runs.csv")
    return arguments


@contextlib.contextmanager
def phase(name):
    began = time.monotonic()
    yield
    print(f"… {name}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)


def everybodys_answers(installation, region, rules):
    fittings = {person.number: rules.for_person(person) for person in region.people}

    def ask(person):
        fitting = fittings[person.number]
        answer = Answer(fitting, installation.matches(person))
        if fitting.held:
            answer.own = installation.matches(person, include_mine="true", include_overlapping="true")
        later = [run for run, _ in fitting.best_dates() if run.starts >= WINDOW_ENDS]
        for run in later[:EXPLAINED_EACH]:
            answer.explained.append((run, installation.matches(person, explain=run.id)["explanation"]))
        return answer

    return in_parallel(ask, region.people)


def print_lists(answers, findings, number):
    """A few of each kind of person, then some first proposals that differ from the human rule's."""
    kinds = [
        ("contradictory wishes", lambda answer: has_contradictory_wishes(answer.person)),
        ("a short list", lambda answer: len(answer.items) < 3),
        ("hours and a place", lambda answer: answer.person.profile["availability"] and answer.person.signups),
        ("somebody known", lambda answer: answer.person.known),
        ("a series", lambda answer: any(run.series for run, _, _ in answer.items[:3])),
        *[(kind, lambda answer, kind=kind: answer.person.kind == kind)
          for kind in ("walker", "not sure", "run-walker", "club runner", "all three", "runner")],
    ]
    shown = set()
    while len(shown) < min(number, len(answers)):
        for title, is_one in kinds:
            answer = next((one for one in answers if one.person.number not in shown and is_one(one)), None)
            if answer and len(shown) < number:
                shown.add(answer.person.number)
                print(f"\n[{title}]", *plain_words.list_in_words(answer), sep="\n")
    for answer, wanted in findings.disagreements[:number]:
        print("\n[not the human rule's first]", *plain_words.disagreement_in_words(answer, wanted), sep="\n")


def print_table(findings, examples):
    """Prints every row; returns the names of those that are not as they must be."""
    failed = []
    print("\nMust be zero")
    for row, (words, unit) in ROWS.items():
        if findings.counts[row]:
            failed.append(row)
        print(f"  {'FAILED' if findings.counts[row] else 'ok    '} {findings.counts[row]:6} of {findings.of[row]:6} {unit:34} {words}")
    print("Agreement with a simple human rule (in the hours, pace 0.75 or more, nearest band of distance, soonest)")
    for row, (words, at_least) in AGREEMENT.items():
        share = 100 * findings.counts[row] / max(1, findings.of[row])
        is_enough = share >= at_least and findings.of[row] > 0
        failed += [] if is_enough else [row]
        print(f"  {'ok    ' if is_enough else 'FAILED'} {share:5.1f} % ({findings.counts[row]} of {findings.of[row]}), at least {at_least} %: {words}")
    print("For information")
    for row, words in COMPARED.items():
        print(f"         {100 * findings.counts[row] / max(1, findings.of[row]):5.1f} % ({findings.counts[row]} of {findings.of[row]}): {words}")
    print(f"         where the first differ, ours has: {', '.join(f'{words} ({count})' for words, count in findings.reasons.most_common())}")
    for row, (words, unit) in REPORTED.items():
        print(f"         {findings.counts[row]:6} of {findings.of[row]:6} {unit:34} {words}")
    for row in failed:
        for example in findings.examples[row][:examples]:
            print(f"  {row}: {example}")
    return failed


def ask_everybody(arguments, region):
    """Brings the region into a server of its own; returns the rules for its runs and everybody's answers."""
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="match-quality-"))
        folder.chmod(0o755)  # the database's own user reads the clock's file
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        clock = Clock(folder, POSTED.replace(tzinfo=UTC).timestamp())
        house = House(folder, arguments.binary.resolve(), arguments.database, clock, settings=SETTINGS)
        stack.callback(house.remove)
        installation = Installation(house, clock, region)
        with phase("people, runs and series"):
            installation.set_up()
        rules = Rules(region.runs, DEFAULT_LANGUAGE)
        with phase("sign-ups"):
            installation.sign_up_some(rules, random.Random(arguments.seed))
        with phase("matches"):
            return rules, everybodys_answers(installation, region, rules)


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    region = Region(arguments.places, arguments.people, arguments.runs, arguments.series, arguments.seed)
    rules, answers = ask_everybody(arguments, region)
    findings = Findings(rules)
    for answer in answers:
        findings.add(answer)
    print_lists(answers, findings, arguments.show)
    print(f"\n{arguments.database}, seed {arguments.seed}, {'real' if arguments.places else 'invented'} places: {len(region.people)} people, "
          f"{len(region.runs)} runs ({len(region.series)} series) at {len(region.places)} meeting points")
    failed = print_table(findings, arguments.examples)
    print(f"FAILED: {', '.join(failed)}" if failed else "all as it must be")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
