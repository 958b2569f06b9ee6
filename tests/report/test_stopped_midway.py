"""What the mail says of a campaign that was stopped when some of its ad sets had been changed already."""

from sandbox.meta import faults
from tests.business import Business

AS_BEFORE = "The ads still run in the states from before."


def test_only_what_had_not_begun_runs_as_before(business: Business) -> None:
    """The token loses a right once some ad sets have been updated."""
    business.adsets("ABCDEFG")
    business.world.meta.fail(faults.PERMISSION_MISSING, on="POST adset", times=None, skip=5)

    assert business.run()["updated"] == "A B C D E"

    text = business.world.sandbox.aws.mails[-1].text
    (said,) = (box for box in text.split("\n\n") if "CLOSRADS MAY NOT CHANGE THESE ADS" in box)
    assert "Veterans was stopped, because Meta denies CLOSRADS access" in said
    assert "Ad sets that were not started keep the states from before." in said
    assert AS_BEFORE not in said


def test_nothing_is_said_of_the_states_of_one_that_may_have_either(business: Business) -> None:
    """The token loses all its rights between the update and the republish, so that no rollback is possible either."""
    business.adsets("A")
    business.world.meta.fail(faults.PERMISSION_MISSING, on="POST", times=None, skip=1)

    assert business.run() == {"rollback_failed": "A"}

    assert business.world.meta.states(business.ids["A"]) == {"FL"}
    text = business.world.sandbox.aws.mails[-1].text
    assert "Not known: the states of A" in text
    assert "Running now" not in text
    assert "not running yet" not in text
    assert AS_BEFORE not in text


def test_before_anything_was_changed_all_runs_as_before(business: Business) -> None:
    """The token had no rights from the start."""
    business.adsets("AB")
    business.world.meta.fail(faults.PERMISSION_MISSING, on="POST", times=None)

    assert business.run() == {"failed": "A", "held": "B"}

    text = business.world.sandbox.aws.mails[-1].text
    assert "Veterans was not updated, because Meta denies CLOSRADS access" in text
    assert AS_BEFORE in text
    assert "Running now (1): TX" in text
