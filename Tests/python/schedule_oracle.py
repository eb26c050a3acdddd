"""Says when schedules run around every change of every zone's clocks, 2000-2037, by the standard library's zoneinfo.

Usage: schedule_oracle.py FILE. For each group of zones that share their data it writes a line of their names that
begins with "Z ", then a line per rule: after, through (Unix seconds), minute of the day, days (bit 0 is Monday), then
the instants at which the rule is due after the one and not after the other.

The rule (design, arming: schedules): a local time that does not exist is the first instant after the gap; one that
occurs twice is the first time only; no two runs at once. It knows nothing of how Tocsin computes that: it asks what a
clock would show (PEP 495), and searches the second of a change by halving.
"""

import sys
import zoneinfo
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
ALL_DAYS = 0b1111111
NOT_ZONES = {"localtime", "posixrules", "Factory"}


def unix(moment):
    return (moment - EPOCH) // timedelta(seconds=1)


def offset(zone, second):
    return (EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset()


def first_second_of_change(zone, low, high):
    """The first second after low at which the offset is no longer that of low, if there is one change up to high."""
    before = offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high


def changes(zone):
    """The seconds at which the clocks change, found by looking at every day."""
    previous = datetime(2000, 1, 1, tzinfo=UTC)
    current = previous.astimezone(zone).utcoffset()
    while previous.year < 2038:
        day = previous + DAY
        found = day.astimezone(zone).utcoffset()
        if found != current:
            yield first_second_of_change(zone, unix(previous), unix(day))
            current = found
        previous = day


def due(zone, wall):
    """The second at which something is due that the rule puts at that time of the wall clock."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall.replace(fold=0):
        return unix(first)
    # In a gap the two readings lie on the two sides of the change.
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return first_second_of_change(zone, unix(min(first, second)), unix(max(first, second)))


def rules_around(zone, change):
    """Rules that a change of the clocks might confuse: minute of the day, and the date if it is for its weekday only."""
    at = EPOCH + timedelta(seconds=change)
    shown_before = (at - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None) + timedelta(seconds=1)
    shown_after = at.astimezone(zone).replace(tzinfo=None)
    low, high = sorted((shown_before, shown_after))
    middle = low + (high - low) / 2
    edges = [low - MINUTE, low, low + MINUTE, middle, high - MINUTE, high, high + MINUTE]
    for wall in edges:
        yield wall.hour * 60 + wall.minute, wall.date()
    for wall in (low, middle):
        yield wall.hour * 60 + wall.minute, None
    for minute in (0, 7 * 60 + 30, 18 * 60, 23 * 60 + 59):
        yield minute, None


def expected(zone, change, minute, only, after, through):
    around = (EPOCH + timedelta(seconds=change)).astimezone(zone).replace(tzinfo=None)
    midnight = around.replace(hour=0, minute=0, second=0, fold=0)
    found = set()
    for distance in range(-4, 5):
        day = midnight + distance * DAY
        if only is None or day.weekday() == only.weekday():
            found.add(due(zone, day + minute * MINUTE))
    return sorted(second for second in found if after < second <= through)


def main(path):
    groups = defaultdict(list)
    for name in sorted(zoneinfo.available_timezones() - NOT_ZONES):
        files = (Path(folder) / name for folder in zoneinfo.TZPATH)
        data = next((file.read_bytes() for file in files if file.is_file()), name)
        groups[data].append(name)
    with open(path, "w", encoding="ascii") as out:
        for names in groups.values():
            zone = zoneinfo.ZoneInfo(names[0])
            out.write(f"Z {' '.join(names)}\n")
            for change in changes(zone):
                after, through = change - 36 * 3600, change + 60 * 3600
                for minute, only in rules_around(zone, change):
                    days = ALL_DAYS if only is None else 1 << only.weekday()
                    seconds = expected(zone, change, minute, only, after, through)
                    out.write(" ".join(map(str, [after, through, minute, days, *seconds])) + "\n")


main(sys.argv[1])
