"""What `doctor` looks for in the stack is there, under the names by which it looks."""

from closrads.cli.doctor.stack import _QUEUES, _SCHEDULES, _SCHEDULES_OF_FLEET
from tests.template.stack import Deploy, of_type


def test_every_schedule_is_looked_at(deploy: Deploy) -> None:
    """With and without the workflow."""
    assert of_type(deploy(), "AWS::Scheduler::Schedule").keys() == _SCHEDULES.keys()
    with_fleet = of_type(deploy(Fleet="true"), "AWS::Scheduler::Schedule").keys()
    assert with_fleet == _SCHEDULES.keys() | _SCHEDULES_OF_FLEET.keys()


def test_every_queue_is_looked_at(deploy: Deploy) -> None:
    """Each that takes what went wrong has words of its own; what waits in the queue of pushes is no trouble."""
    assert of_type(deploy(Webhook="true"), "AWS::SQS::Queue").keys() == {*_QUEUES, "Pushes"}


def test_one_call_lists_the_whole_stack(deploy: Deploy) -> None:
    """DescribeStackResources returns 100 resources at most (API reference)."""
    assert len(deploy(Stage="prod", Fleet="true", AlertEmail="oncall@example.test")) < 100
