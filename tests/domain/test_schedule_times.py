"""When a schedule begins next: by the User Guide's own examples, and by a clock that goes minute by minute."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.schedule_times import Cron, parse_schedule

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
"""A Saturday, 07:00 in New York."""
DAY = timedelta(days=1)


def following(expression: str, now: datetime = NOW, zone: ZoneInfo = NEW_YORK) -> datetime | None:
    """Return when a cron expression comes next."""
    cron = parse_schedule(expression)
    assert isinstance(cron, Cron)
    return cron.next_time(zone, now)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cron(30 6 * * ? *)", "2026-11-29 06:30"),
        ("cron(15/30 * * * ? *)", "2026-11-28 07:15"),
        ("cron(0/5 8-17 ? * MON-FRI *)", "2026-11-30 08:00"),
        ("cron(0 9 ? * 2,4 *)", "2026-11-30 09:00"),
        ("cron(*/20 7 * * ? *)", "2026-11-28 07:20"),
        ("cron(0 9 1 jan ? *)", "2027-01-01 09:00"),
        ("cron(0 9 L * ? *)", "2026-11-30 09:00"),
        ("cron(0 9 L,5 * ? *)", "2026-11-30 09:00"),
        ("cron(0 9 5W * ? *)", "2026-12-04 09:00"),
        ("cron(0 9 1W 8 ? *)", "2027-08-02 09:00"),
        ("cron(0 9 31W 1 ? *)", "2027-01-29 09:00"),
        ("cron(0 9 31W 9,10 ? *)", "2027-10-29 09:00"),
        ("cron(0 9 1W 5 ? *)", "2027-05-03 09:00"),
        ("cron(0 9 2W 1 ? *)", "2027-01-01 09:00"),
        ("cron(0 9 30W 11 ? *)", "2026-11-30 09:00"),
        ("cron(0 9 3,20 * ? *)", "2026-12-03 09:00"),
        ("cron(0 9 ? * FRIL,TUE *)", "2026-12-01 09:00"),
        ("cron(0 9 ? * L *)", "2026-11-28 09:00"),
        ("cron(0 9 ? * FRIL *)", "2026-12-25 09:00"),
        ("cron(0 9 ? * 6L *)", "2026-12-25 09:00"),
        ("cron(0 9 ? * 3#2 *)", "2026-12-08 09:00"),
        ("cron(0 9 ? * THU#5 *)", "2026-12-31 09:00"),
        ("cron(0 9 29 2 ? *)", "2028-02-29 09:00"),
        ("cron(0 9 * * ? 2028)", "2028-01-01 09:00"),
        ("cron(0 9 1 10 ? 2035)", "2035-10-01 09:00"),
    ],
)
def test_the_next_time(expression: str, expected: str) -> None:
    """Each form that the User Guide describes."""
    moment = following(expression)

    assert moment is not None
    assert f"{moment:%Y-%m-%d %H:%M}" == expected


@pytest.mark.parametrize("expression", ["cron(0 9 * * ? 2026)", "cron(0 9 30 2 ? *)", "cron(0 9 * * ? 2199)"])
def test_never_again(expression: str) -> None:
    """Or not for so long that it is the same."""
    assert following(expression, datetime(2026, 12, 31, 23, 0, tzinfo=UTC)) is None


def test_daylight_saving_skips_and_repeats() -> None:
    """A time that does not exist is skipped; one that comes twice counts once."""
    spring, autumn = datetime(2027, 3, 14, 5, tzinfo=UTC), datetime(2026, 11, 1, 5, 31, tzinfo=UTC)

    assert f"{following('cron(30 2 * * ? *)', spring):%m-%d %H:%M}" == "03-15 02:30"
    assert f"{following('cron(30 1 * * ? *)', autumn):%m-%d %H:%M}" == "11-02 01:30"


@pytest.mark.parametrize(
    ("expression", "interval"),
    [("rate(5 minutes)", 300), ("rate(1 hour)", 3600), ("rate(2 days)", 172_800)],
)
def test_a_rate_is_an_interval(expression: str, interval: float) -> None:
    """When it began is not in it."""
    assert parse_schedule(expression) == timedelta(seconds=interval)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("at(2026-12-01T00:00:00)", "is no schedule"),
        ("rate(5 weeks)", "is no schedule"),
        ("cron(30 6 * * ?)", "is no schedule"),
        ("cron(30 6 * * * *)", "one of the two days"),
        ("cron(30 6 ? * ? *)", "one of the two days"),
        ("cron(60 6 * * ? *)", "60 is not between 0 and 59"),
        ("cron(30 24 * * ? *)", "24 is not between 0 and 23"),
        ("cron(30 6 1 13 ? *)", "13 is not between 1 and 12"),
        ("cron(x 6 * * ? *)", "X"),
        ("cron(1;2 6 * * ? *)", "1;2 is no number"),
        ("cron(30 6 ? * FRI-MON *)", "FRI-MON ends before"),
        ("cron(30 6 LW * ? *)", "L"),
        ("cron(30 6 32W * ? *)", "32 is not between 1 and 31"),
        ("cron(30 6 32 * ? *)", "32 is not between 1 and 31"),
        ("cron(30 6 ? * 8L *)", "8 is not between 1 and 7"),
        ("cron(30 6 ? * 8 *)", "8 is not between 1 and 7"),
        ("cron(30/0 6 * * ? *)", "arg 3 must not be zero"),
        ("cron(30 6 ? * MON#6 *)", "MON#6 is no number"),
    ],
)
def test_what_cannot_be_read_is_not_guessed(expression: str, why: str) -> None:
    """The template's pattern lets some of it pass."""
    with pytest.raises(ValueError, match=why):
        parse_schedule(expression)


def subsets(low: int, high: int) -> st.SearchStrategy[set[int]]:
    """Return sets of numbers of a field."""
    return st.sets(st.integers(low, high), min_size=1) | st.just(set(range(low, high + 1)))


@given(
    minutes=subsets(0, 59),
    hours=subsets(0, 23),
    weekdays=subsets(1, 7),
    zone=st.sampled_from(["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "UTC"]).map(ZoneInfo),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda moment: moment.replace(tzinfo=UTC)),  # noqa: DTZ001 - made aware
)
def test_no_time_is_missed(
    minutes: set[int], hours: set[int], weekdays: set[int], zone: ZoneInfo, now: datetime
) -> None:
    """What comes next fits, and no minute before it does; but for an hour that comes for the second time."""
    listed = (",".join(map(str, sorted(numbers))) for numbers in (minutes, hours, weekdays))
    moment = following("cron({} {} ? * {} *)".format(*listed), now, zone)

    def fits(moment: datetime) -> bool:
        local = moment.astimezone(zone)
        weekday = local.isoweekday() % 7 + 1
        return local.minute in minutes and local.hour in hours and weekday in weekdays and not local.fold

    assert moment is not None
    assert moment.astimezone(UTC) > now
    assert fits(moment)
    minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while minute < min(moment.astimezone(UTC), now + DAY):
        assert not fits(minute)
        minute += timedelta(minutes=1)
