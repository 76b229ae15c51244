"""The features again, by plain loops over plain values: slow, and simple enough to be believed.

Sums are exact (fractions), so that the comparison with the compiled result needs next to no tolerance.
"""

from __future__ import annotations

import math
from datetime import timedelta
from fractions import Fraction


def window(events, user, as_of, length, delay=timedelta(0)):
    """Return a user's events in [as_of - delay - length, as_of - delay)."""
    end = as_of - delay
    return [
        event
        for event in events
        if event["user_id"] == user and event["occurred_at"] is not None and end - length <= event["occurred_at"] < end
    ]


def numbers(events):
    """Return the hours that are numbers."""
    return [event["hours"] for event in events if event["hours"] is not None and math.isfinite(event["hours"])]


def exact(values):
    """Return the sum, rounded once."""
    return float(sum(map(Fraction, values), Fraction(0)))


def mean(values):
    """Return the mean, or None."""
    return exact(values) / len(values) if values else None


def deviation(values):
    """Return the population's standard deviation, or None."""
    if not values:
        return None
    middle = sum(map(Fraction, values), Fraction(0)) / len(values)
    return math.sqrt(sum(((Fraction(value) - middle) ** 2 for value in values), Fraction(0)) / len(values))


def catalog(events, user, as_of, length):
    """Return the catalog features of a user."""
    seen = window(events, user, as_of, length)
    completed = [event for event in seen if event["event_type"] == "task_completed"]
    bugs = [event for event in seen if event["event_type"] == "bug_reported"]
    result = {
        "current_workload_hours": exact(numbers(completed)),
        "avg_completion_hours": mean(numbers(completed)),
        "bug_rate": len(bugs) / len(completed) if completed else None,
        "active_days": len({event["occurred_at"].date() for event in seen}),
        "tasks_completed_7d": sum(
            event["event_type"] == "task_completed" for event in window(events, user, as_of, timedelta(days=7))
        ),
    }
    for skill in ("backend", "frontend", "database", "devops"):
        n = sum(event["skill"] == skill for event in completed)
        b = sum(event["skill"] == skill for event in bugs)
        result[f"skill_score_{skill}"] = n / (n + 5) * (n / (n + b)) if n else 0.0
    return result


def declared(events, user, as_of, delay):
    """Return what the declaration in `test_windows.DECLARED` asks for."""
    short = window(events, user, as_of, timedelta(days=2), delay)
    long = window(events, user, as_of, timedelta(days=9), delay)
    result = {}
    for name, seen in (("2d", short), ("9d", long)):
        values = numbers([event for event in seen if event["event_type"] in ("task_completed", "files_changed")])
        result[f"total_{name}"] = exact(values)
        result[f"middle_{name}"] = mean(values)
        result[f"low_{name}"] = min(values, default=None)
        result[f"high_{name}"] = max(values, default=None)
        result[f"spread_{name}"] = deviation(values)
        result[f"skills_{name}"] = len({event["skill"] for event in seen if event["skill"] is not None})
        result[f"timed_{name}"] = len([event for event in seen if event["hours"] is not None
                                       and math.isfinite(event["hours"]) and event["hours"] > 1])  # fmt: skip
    for skill in ("backend", "no-such skill"):
        result[f"by_{skill.replace('-', '_').replace(' ', '_')}"] = sum(event["skill"] == skill for event in long)
    return result


def quantile(values, q):
    """Return the point at share q of the way along the sorted values, on the line between its neighbours; or None."""
    if not values:
        return None
    values = sorted(values)
    place = q * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def at_the_edge(events, pick):
    """Return the hours at the earliest (pick=min) or latest (pick=max) time that has some; of several, pick's."""
    timed = [(event["occurred_at"], hours) for event in events for hours in numbers([event])]
    edge = pick((time for time, _ in timed), default=None)
    return pick((hours for time, hours in timed if time == edge), default=None)


def skills(events):
    """Return the different skills of events."""
    return {event["skill"] for event in events if event["skill"] is not None}


def effective(events, weigh):
    """Return the inverse Simpson index of the skills, whose shares are the events or their hours."""
    shares = []
    for skill in skills(events):
        own = [event for event in events if event["skill"] == skill]
        # Steps below 2**-90, about 1e-27, are not added.
        share = sum(round(Fraction(hours) * 2**90) for hours in numbers(own)) / 2**90 if weigh else float(len(own))
        if not weigh or (numbers(own) and share > 0):
            shares.append(Fraction(share))
    return float(sum(shares) ** 2 / sum(share**2 for share in shares)) if shares else None


def aggregated(events, user, as_of, days):
    """Return what `test_aggregations.DECLARED` asks for, of one window."""
    length = timedelta(days=days)
    seen = window(events, user, as_of, length)
    values = numbers(seen)
    keys = {event["user_id"] for event in events} - {None, user}
    others = {key: skills(window(events, key, as_of, length)) for key in keys}
    own = skills(seen)
    twofold = [
        skill for skill in own if len({event["event_type"] for event in seen if event["skill"] == skill} - {None}) > 1
    ]
    return {
        "low": quantile(values, 0.25),
        "middle": quantile(values, 0.5),
        "high": quantile(values, 0.9),
        "earliest": at_the_edge(seen, min),
        "latest": at_the_edge(seen, max),
        "pace": len(seen) / days,
        "effort": exact(values) / days,
        "companions": sum(bool(own & found) for found in others.values()),
        "shared": len(own & set().union(*others.values())),
        "twofold": len(twofold),
        "spread": effective(seen, weigh=False),
        "weighed": effective(seen, weigh=True),
    }
