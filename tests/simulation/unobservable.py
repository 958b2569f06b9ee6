"""What no client of Meta's can see in time, or say, and is therefore no violation when it happens.

Each is named here with its reason and nowhere else; `judge.py` asks for it by name. What can be healed later must
be, and what cannot must be told of: the properties at a story's end demand it.
"""

from enum import StrEnum

FRESH_SECONDS = 5.0
"""A read may be so old when the targeting write that is based on it is sent."""
REPUBLISH_SECONDS = 10.0
"""A read may be so old when the re-publish that is based on it is sent, or the next read: a write lies in between."""


class Unobservable(StrEnum):
    """Why something is not held against the product."""

    EDIT_IN_FLIGHT = "a person edited the ad set after the read on which a write was based, seconds before it was sent"
    """Meta has no conditional write: whoever writes the whole targeting last wins. What was overwritten is gone."""

    SET_AGAIN = "a person set the very regions that a change of ours had set, and Meta did not tell who it was"
    """It looks exactly like our own write, applied late."""

    PAUSE_IN_FLIGHT = (
        "a person paused the ad after the read on which a re-publish was based, seconds before it was sent"
    )
    """Meta has no conditional write: `status=ACTIVE` cannot ask for "unless somebody paused it meanwhile"."""

    LOG_MISLEADS = "the activity log lacks a person's pause, and its last one about the ad is a pause by Meta"
    """Entries are missing now and then (facebook-python-business-sdk #296): also the one that the ad ran in between."""

    PAUSED_AGAIN = (
        "a person switched on an ad that Meta had paused, and paused it again, between two reads and seconds after the "
        "activity log was read"
    )
    """It is off in both reads, and by the log it was Meta."""

    APPLIED_LATE = "Meta applied a write after it was last looked at"
    """A request whose answer was lost may wait at Meta for any time. Who has looked and found the old state has done
    all that one can do then."""

    AFTER_LAST_LOOK = "it happened after the last run had looked"
    """Nobody has looked since; the next run would."""

    PAUSED_WHILE_BROKEN = "a person paused the ad while it was broken"
    """Off and with an issue that counts: that is what Meta's own pause looks like, and it is taken for one."""

    NEVER_SOUND = "the ad broke under regions that were put back, and that nobody had time to see it break under before"
    """A later change had replaced them before they broke it, so they were what there was to go back to. It has to be
    told of until it is over, but not while Meta shows the ad as sound once more and has yet to pause it again."""

    COVERED = "Meta paused the ad without an issue, and its log said so only when a later change had covered the first"
    """It is switched on again under the regions that are there; if it is not sound with these, nobody knows by then
    which ones it was sound with; in a campaign that is off by then, or an ad set that is to be left alone by then,
    nobody does. It has to be told of until it is over."""

    UNDER_REGIONS_OF_A_PERSON = "the ad broke, and a person has set other regions since the write that broke it"
    """What mends it is the regions from before and a re-publish, and a person's regions are not to be touched. It has
    to be told of until it is over."""

    REJECTED = "Meta rejected the ad in a review"
    """Neither a write of regions nor a re-publish, which Meta refuses then, gives it Meta's approval. It has to be told
    of until it is over."""

    NOT_DUE = "the ad broke again after it had been put back and was well"
    """Every repair is a write, which may break other ads of the ad set: the next one waits for up to four hours. Until
    then it has to be told of."""

    PAUSED_WITHOUT_REASON = "Meta paused the ad and shows neither an issue nor, in the activity log, that it was Meta"
    """It looks exactly like a person's pause, which must stand. It has to be told of until it is over."""

    RAN_UNSEEN = (
        "a person switched the ad on, no run that lived on saw it run before Meta paused it, and the activity log does "
        "not tell, or it ran for seconds only, between two reads of one run"
    )
    """The ad was off before and is off now, so nothing says that it ever ran; the activity log is read only if
    something does, or if the run that might have seen it died after its write."""

    MAIL_REFUSED = "SES took the run's mail at none of its attempts"
    """The run's result has to tell of it, and that its mail failed, which rings; and the next mail has to tell of it if
    it still is so."""
