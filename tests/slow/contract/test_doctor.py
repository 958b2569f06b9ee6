"""`tests.cli.doctor`, over HTTP: what is not in the stack."""

from tests.cli.doctor.test_accounts import *  # noqa: F403 - its tests and their fixtures
from tests.cli.doctor.test_clock import *  # noqa: F403 - its tests and their fixtures
from tests.cli.doctor.test_closrtech import *  # noqa: F403 - its tests and their fixtures
from tests.cli.doctor.test_command import *  # noqa: F403 - its tests and their fixtures
from tests.cli.doctor.test_findings import *  # noqa: F403 - its tests and their fixtures
from tests.cli.doctor.test_graph_api import *  # noqa: F403 - its tests and their fixtures
from tests.cli.doctor.test_ledger import *  # noqa: F403 - its tests and their fixtures
from tests.cli.doctor.test_meta_campaigns import *  # noqa: F403 - its tests and their fixtures
from tests.cli.doctor.test_parameters import *  # noqa: F403 - its tests and their fixtures
from tests.cli.doctor.test_ses import *  # noqa: F403 - its tests and their fixtures
from tests.cli.doctor.test_tokens import *  # noqa: F403 - its tests and their fixtures
