"""What is wrong now and what was ► what is to be told, to whom.

Invariant: pure; times are passed in. What is wrong for a moment is not told; what is told is told once, and its end to
whoever heard of it.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from service.delivery.trouble import TAKEN_ON_PURPOSE
from service.lib.times import length
from service.notices.notice import Notice
from service.store.accounts import Trouble
from service.store.alarms import Alarm, Failing, Part

BEGINS_AFTER_MS: Final = 120_000
"""So long something must be wrong without a break."""
ENDS_AFTER_MS: Final = 600_000
"""So long it must be right again."""
FIRST_PAUSE_MS: Final = 30_000
LONGEST_PAUSE_MS: Final = 3_600_000


def follow(kept: Mapping[str, Alarm], troubles: Iterable[Trouble], now: int) -> dict[str, Alarm]:
    """Return the alarms as they stand with what is wrong now."""
    found: dict[str, Alarm] = {}
    for trouble in troubles:
        if trouble.code == TAKEN_ON_PURPOSE:
            continue
        new = Alarm(trouble.code, trouble.about, trouble.message, trouble.do, now, now)
        found[new.key] = _again(kept[new.key], new) if new.key in kept else new
    gone = {key: _gone(alarm, now) for key, alarm in kept.items() if key not in found}
    return found | {key: alarm for key, alarm in gone.items() if alarm is not None}


def _again(alarm: Alarm, new: Alarm) -> Alarm:
    """Return an alarm that goes on, or one that had ended and begins anew for whoever knows that."""
    told = {channel: part for channel, part in alarm.told.items() if part == "begun"}
    return replace(alarm, message=new.message, do=new.do, seen=new.seen, ended=0, told=told)


def _gone(alarm: Alarm, now: int) -> Alarm | None:
    if not _has_begun(alarm):
        return None
    return alarm if alarm.ended or now - alarm.seen < ENDS_AFTER_MS else replace(alarm, ended=alarm.seen, failing={})


def _has_begun(alarm: Alarm) -> bool:
    return alarm.seen - alarm.since >= BEGINS_AFTER_MS


def owed(alarm: Alarm, channel: str, now: int) -> Part | None:
    """Return what a channel is to be told of an alarm now, None for nothing."""
    if channel in alarm.failing and alarm.failing[channel].due > now:
        return None
    if alarm.ended:
        return "ended" if alarm.told.get(channel) == "begun" else None
    return "begun" if _has_begun(alarm) and channel not in alarm.told else None


def is_settled(alarm: Alarm, channels: Collection[str]) -> bool:
    """Return whether it is over and nobody waits to hear so."""
    return bool(alarm.ended) and not any(alarm.told.get(channel) == "begun" for channel in channels)


def told(alarm: Alarm, channel: str, part: Part) -> Alarm:
    """Return the alarm once a channel took that part of it."""
    failing = {name: failure for name, failure in alarm.failing.items() if name != channel}
    return replace(alarm, told=alarm.told | {channel: part}, failing=failing)


def not_told(alarm: Alarm, channel: str, reason: str, now: int) -> Alarm:
    """Return the alarm once a channel did not take it: it is tried again after 30 s, 1 min, … 1 h."""
    failing = failed_again(alarm.failing.get(channel), reason, now)
    return replace(alarm, failing=alarm.failing | {channel: failing})


def failed_again(before: Failing | None, reason: str, now: int) -> Failing:
    """Return how a channel stands once it took nothing, after it had failed like that `before` or not."""
    tries = before.tries + 1 if before else 1
    pause = min(FIRST_PAUSE_MS << min(tries - 1, 10), LONGEST_PAUSE_MS)
    return Failing(tries, reason, now + pause)


def worded(alarm: Alarm, part: Part, desk: str | None) -> Notice:
    """Return what is told of an alarm. `desk` is the origin of the desk, where more stands."""
    name = f"alarm.{alarm.since}.{alarm.key.encode().hex()}"
    subject = f"Trouble{f' at {alarm.about}' if alarm.about else ''}: {alarm.code}"
    if part == "ended":
        over = f"This is over: it lasted {length(alarm.ended - alarm.since)}. It was:"
        return Notice(f"{name}.ended", f"Re: {subject}", f"{over}\n{alarm.message}", alarm.ended, follows=name)
    more = [f"{desk}/trouble"] if desk else []
    return Notice(name, subject, "\n".join([alarm.message, alarm.do, *more]), alarm.since)
