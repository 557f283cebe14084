#!/usr/bin/env python3
"""Compares the dates of series, as the product places them, with Python's zoneinfo over the same tzdata release.

    python3 -m venv VENV
    VENV/bin/pip install python-dateutil tzdata==$(cargo bench -q --bench occurrences -- --tzdata)
    PYTHONTZPATH= VENV/bin/python scripts/series_against_zoneinfo.py

Twelve zones, rules of every kind, times of day on which clocks change, 2025 to 2035. The wall times come from dateutil,
the moments from zoneinfo with fold=0: the first of two, and the later clock across a gap. Exits 1 on any mismatch.
"""
import subprocess
import sys
import zoneinfo
from datetime import datetime

import tzdata
from dateutil.rrule import rrulestr

ZONES = [
    "Australia/Lord_Howe", "Africa/Casablanca", "America/Santiago", "Pacific/Apia", "Europe/London", "America/New_York",
    "America/Sao_Paulo", "Asia/Kathmandu", "Africa/Cairo", "Pacific/Chatham", "Asia/Gaza", "America/Havana",
]
EVERY_DAY = "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU"
TIMES_ON_EVERY_DAY = ["00:15", "02:30"]
RULES = [
    "FREQ=WEEKLY;BYDAY=SU", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU", "FREQ=WEEKLY;BYDAY=FR,SA", "FREQ=MONTHLY;BYDAY=1SA",
    "FREQ=MONTHLY;BYDAY=-1SU", "FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=-1", "FREQ=WEEKLY;BYDAY=TU;BYMONTH=3,4,10,11",
]
TIMES = ["00:00", "01:45", "02:05", "18:30"]
FIRST, END = "2025-01-01", "2036-01-01T00:00:00"


def ours_of(*arguments, lines=""):
    """What the product's own dates are, from its library."""
    command = ["cargo", "bench", "-q", "--locked", "--bench", "occurrences", "--", *arguments]
    return subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout


def main():
    asked = [(zone, time, EVERY_DAY) for zone in ZONES for time in TIMES_ON_EVERY_DAY]
    asked += [(zone, time, rule) for zone in ZONES for time in TIMES for rule in RULES]
    lines = "".join(f"{zone}\t{FIRST}T{time}:00\t{rule}\t{END}\n" for zone, time, rule in asked)
    ours_release = ours_of("--tzdata").strip()
    ours = ours_of(lines=lines).splitlines()
    print(f"tzdata here {tzdata.IANA_VERSION}, in the binary {ours_release}; zoneinfo path {zoneinfo.TZPATH}")
    if tzdata.IANA_VERSION != ours_release or zoneinfo.TZPATH:
        sys.exit("the two must read the same release: pip install tzdata of it, and set PYTHONTZPATH to nothing")
    theirs, moved, twice = [], 0, 0
    for zone, time, rule in asked:
        first, place = datetime.fromisoformat(f"{FIRST}T{time}:00"), zoneinfo.ZoneInfo(zone)
        end = datetime.fromisoformat(END)
        for date in rrulestr(rule, dtstart=first):
            if date >= end:
                break
            at = date.replace(tzinfo=place, fold=0)
            seconds = int(at.timestamp())
            moved += datetime.fromtimestamp(seconds, place).replace(tzinfo=None) != date
            twice += at.utcoffset() > at.replace(fold=1).utcoffset()
            theirs.append(f"{zone}\t{date.isoformat()}\t{seconds}")
    wrong = [pair for pair in zip(ours, theirs) if pair[0] != pair[1]]
    print(f"{len(theirs)} occurrences in {len(ZONES)} zones, {moved} of them in a gap, {twice} in a fold: "
          f"{len(wrong) + abs(len(ours) - len(theirs))} mismatches")
    for pair in wrong[:10]:
        print(*pair, sep="\n  ")
    return 1 if wrong or len(ours) != len(theirs) else 0


if __name__ == "__main__":
    sys.exit(main())
