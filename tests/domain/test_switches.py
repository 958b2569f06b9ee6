"""What a person has switched off."""

from datetime import UTC, datetime, timedelta

from closrads.domain.switches import SwitchedOff, latest

SINCE = datetime(2026, 5, 1, 4, tzinfo=UTC)
LATER = SINCE + timedelta(hours=1)


def test_it_comes_back_from_json() -> None:
    """With the time in UTC, in whatever zone it was written."""
    off = SwitchedOff(SINCE, "nurses", "Nurses")
    written = off.to_json()

    assert written == {"campaign": "nurses", "campaign_name": "Nurses", "since": "2026-05-01T04:00:00+00:00"}
    assert SwitchedOff.from_json({**written, "since": "2026-05-01T00:00:00-04:00"}) == off
    assert SwitchedOff.from_json({**written, "since": "2026-05-01T00:00:00-04:00"}).since.tzinfo is UTC


def test_the_last_word_about_each_counts() -> None:
    """That of everything for itself; none is no word."""
    everything, nurses = SwitchedOff(SINCE), SwitchedOff(SINCE, "nurses", "Nurses")

    found = latest([everything, None, nurses, SwitchedOff(LATER, "nurses", "Nursing")])

    assert found == (everything, SwitchedOff(LATER, "nurses", "Nursing"))
    assert latest([None]) == ()
