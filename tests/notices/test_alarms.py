"""What is wrong for a moment is told to nobody; what stays wrong is told once, and its end to who heard of it."""

from collections.abc import Iterable

import pytest

from service.notices.alarms import follow, is_settled, not_told, owed, told, worded
from service.store.accounts import Trouble
from service.store.alarms import Alarm

MINUTE = 60_000
PAUSED = Trouble("PAUSED", "crm is paused.", "Mend it.", "crm")
DEAD = Trouble("DEAD", "1 is dead at crm.", "Send it again.", "crm")
TAKEN = Trouble("RISK_TAKEN", "Redis may lose.", "")
START = 1_795_344_127_120


def seen(*looks: tuple[float, Iterable[Trouble]]) -> tuple[dict[str, Alarm], list[tuple[float, str, str]]]:
    """Look at these minutes, tell one channel all that it is owed; return what stays, and what was told when."""
    alarms: dict[str, Alarm] = {}
    said: list[tuple[float, str, str]] = []
    for minute, troubles in looks:
        now = START + int(minute * MINUTE)
        alarms = follow(alarms, troubles, now)
        for key, alarm in alarms.items():
            if part := owed(alarm, "mail", now):
                alarms[key] = told(alarm, "mail", part)
                said.append((minute, key, part))
        alarms = {key: alarm for key, alarm in alarms.items() if not is_settled(alarm, ["mail"])}
    return alarms, said


@pytest.mark.parametrize(
    ("looks", "says"),
    [
        ([(0, [PAUSED]), (1, []), (9, [PAUSED]), (10, [])], []),
        ([(0, [PAUSED]), (1, [PAUSED]), (2, [PAUSED]), (3, [PAUSED]), (90, [PAUSED])], [(2, "PAUSED:crm", "begun")]),
        (
            [(0, [PAUSED]), (2, [PAUSED]), (3, []), (11, []), (12, []), (13, []), (99, [])],
            [(2, "PAUSED:crm", "begun"), (12, "PAUSED:crm", "ended")],
        ),
        ([(0, [PAUSED]), (2, [PAUSED]), (3, []), (8, [PAUSED]), (9, []), (17, [])], [(2, "PAUSED:crm", "begun")]),
        ([(0, [PAUSED]), (2, [PAUSED, DEAD]), (4, [DEAD])], [(2, "PAUSED:crm", "begun"), (4, "DEAD:crm", "begun")]),
        ([(0, [TAKEN]), (9, [TAKEN])], []),
    ],
    ids=["flaps", "stays", "ends", "comes-back", "two", "meant"],
)
def test_what_is_told_when(looks: list[tuple[float, list[Trouble]]], says: list[tuple[float, str, str]]) -> None:
    assert seen(*looks)[1] == says


def test_nothing_stays_of_what_is_over() -> None:
    assert seen((0, [PAUSED]), (2, [PAUSED]), (12, []))[0] == {}
    assert seen((0, [PAUSED]), (1, []))[0] == {}


def begun() -> Alarm:
    [alarm] = follow(follow({}, [PAUSED], START), [PAUSED], START + 2 * MINUTE).values()
    return alarm


def test_a_channel_that_fails_is_tried_again_with_growing_pauses_and_keeps_no_other_waiting() -> None:
    alarm, now = begun(), START + 2 * MINUTE
    pauses = []
    for _ in range(12):
        alarm = not_told(alarm, "mail", "broken", now)
        assert owed(alarm, "mail", alarm.failing["mail"].due - 1) is None
        pauses.append((alarm.failing["mail"].due - now) // 1000)
        now = alarm.failing["mail"].due
        assert owed(alarm, "mail", now) == owed(alarm, "chat", now) == "begun"
    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600, 3600]


def test_who_never_heard_of_it_does_not_hear_its_end() -> None:
    alarm = told(begun(), "chat", "begun")
    [over] = follow({alarm.key: not_told(alarm, "mail", "broken", START)}, [], START + 30 * MINUTE).values()
    assert owed(over, "mail", START + 30 * MINUTE) is None
    assert owed(over, "chat", START + 30 * MINUTE) == "ended"
    assert is_settled(over, ["mail"])  # the chat was taken out of the file meanwhile


def test_what_ended_and_comes_back_is_told_anew_to_who_knows_that_it_ended() -> None:
    alarm = told(told(begun(), "chat", "begun"), "mail", "begun")
    [over] = follow({alarm.key: alarm}, [], START + 30 * MINUTE).values()
    [back] = follow({over.key: told(over, "mail", "ended")}, [PAUSED], START + 31 * MINUTE).values()
    assert (owed(back, "mail", START + 31 * MINUTE), owed(back, "chat", START + 31 * MINUTE)) == ("begun", None)


def test_its_words_say_what_to_do_and_where_and_its_end_answers_them() -> None:
    alarm = told(begun(), "mail", "begun")
    notice = worded(alarm, "begun", "https://desk.example.com")
    assert (notice.subject, notice.text) == (
        "Trouble at crm: PAUSED", "crm is paused.\nMend it.\nhttps://desk.example.com/trouble"
    )  # fmt: skip
    [over] = follow({alarm.key: alarm}, [], START + 30 * MINUTE).values()
    end = worded(over, "ended", None)
    assert (end.subject, end.follows) == (f"Re: {notice.subject}", notice.id)
    assert end.text == "This is over: it lasted 2 min. It was:\ncrm is paused."
