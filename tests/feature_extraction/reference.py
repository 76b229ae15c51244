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
