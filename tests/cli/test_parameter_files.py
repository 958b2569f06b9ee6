"""A stage's parameters as a file: TOML, or the `.env` of the system before this one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.cli.parameter_files import (
    HIDDEN,
    Difference,
    ParameterType,
    UnreadableFileError,
    as_toml,
    differences,
    read_env,
    read_toml,
    type_of,
    warnings_about,
)

LEGACY = """
# the old system
CLOSRTECH_EMAIL="ops@example.test"
export CLOSRTECH_PASSWORD='p@ss$word #1'
VETERANS_CLOSRTECH_CAMPAIGN=VND_VETERAN_LEADS
VETERANS_FB_ACCESS_TOKEN=fake-token
VETERANS_FB_AD_ACCOUNT_ID=111
VETERANS_FB_CAMPAIGN_ID=120200000000000900
TRUCK_DRIVERS_FB_CAMPAIGN_IDS="120200000000000901, 120200000000000902"
NOTIFY_EMAIL=owner@example.test;buyer@example.test
SENDER_EMAIL=
DRY_RUN=true
"""


class TestEnv:
    """The `.env` of the system before this one."""

    def test_each_variable_finds_its_parameter(self) -> None:
        """Any prefix is a campaign; values come out of their quotes and into the form that is wanted here."""
        found = read_env(LEGACY)

        assert found.values == {
            "closrtech/email": "ops@example.test",
            "closrtech/password": "p@ss$word #1",
            "campaigns/veterans/closrtech_campaign": "VND_VETERAN_LEADS",
            "campaigns/veterans/fb_access_token": "fake-token",
            "campaigns/veterans/fb_ad_account_id": "act_111",
            "campaigns/veterans/fb_campaign_ids": "120200000000000900",
            "campaigns/truck-drivers/fb_campaign_ids": "120200000000000901,120200000000000902",
            "email/recipients": "owner@example.test,buyer@example.test",
        }

    def test_what_is_empty_or_unknown_is_named(self) -> None:
        """Nothing is dropped without a word."""
        assert read_env(LEGACY).left_out == ("SENDER_EMAIL", "DRY_RUN")

    def test_the_shared_token_is_no_campaigns(self) -> None:
        """Without a prefix it is for all; a prefix of nothing but an underscore is none."""
        found = read_env("FB_ACCESS_TOKEN=shared\n_FB_AD_ACCOUNT_ID=1\n")

        assert (found.values, found.left_out) == ({"meta/access_token": "shared"}, ("_FB_AD_ACCOUNT_ID",))

    @pytest.mark.parametrize(("ids", "agree"), [("1", True), ("1,2", False)])
    def test_two_lines_for_one_parameter(self, ids: str, *, agree: bool) -> None:
        """`…_ID` and `…_IDS` may both be there; if they contradict each other, nobody knows which is meant."""
        text = f"A_FB_CAMPAIGN_ID=1\nA_FB_CAMPAIGN_IDS={ids}\n"
        if agree:
            assert read_env(text).values == {"campaigns/a/fb_campaign_ids": "1"}
        else:
            with pytest.raises(UnreadableFileError, match="A_FB_CAMPAIGN_IDS: line 2 contradicts line 1"):
                read_env(text)

    @pytest.mark.parametrize(
        ("variable", "said"),
        [
            ("VETERANS_CLOSRTECH_CAMPAIGN", "Give each campaign a prefix of its own"),
            ("CLOSRTECH_PASSWORD", "Remove one of them"),
        ],
    )
    def test_a_line_that_was_copied_and_changed(self, variable: str, said: str) -> None:
        """Whoever forgets the prefix of a second campaign would lose the first one without a word."""
        with pytest.raises(UnreadableFileError) as refused:
            read_env(f"# all\n{variable}=fake-one\n\nDRY_RUN=true\n{variable}=fake-two\n")

        assert str(refused.value).startswith(f"{variable}: line 5 contradicts line 2, which also means ")
        assert str(refused.value).endswith(said)
        assert "fake" not in str(refused.value)

    def test_a_line_that_stands_there_twice(self) -> None:
        """It says the same."""
        assert read_env("FB_ACCESS_TOKEN=a\nFB_ACCESS_TOKEN=a\n").values == {"meta/access_token": "a"}

    def test_a_line_that_cannot_be_read(self) -> None:
        """It is named by its number, for it may hold a secret."""
        found = read_env("FB_ACCESS_TOKEN=a\nCLOSRTECH_PASSWORD='fake\nA_FB_CAMPAIGN_ID=1\n")

        assert found.values == {"meta/access_token": "a", "campaigns/a/fb_campaign_ids": "1"}
        assert found.left_out == ("line 2, which cannot be read",)


class TestToml:
    """Parameters' names as tables."""

    def test_every_kind_of_value(self) -> None:
        """Lists are joined, switches and numbers become text, what is hidden stays as it is."""
        text = """
            [meta]
            access_token = "***"
            [campaigns.veterans]
            enabled = false
            fb_campaign_ids = ["1", 2]
            [campaigns.veterans.limits]
            max_removed_pct = 12.5
            wave_size = 5
        """
        assert read_toml(text).values == {
            "campaigns/veterans/enabled": "false",
            "campaigns/veterans/fb_campaign_ids": "1,2",
            "campaigns/veterans/limits/max_removed_pct": "12.5",
            "campaigns/veterans/limits/wave_size": "5",
        }

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("a = ", "This is not valid TOML"),
            ("[email]\nsender = 2026-11-22", "email/sender: must be a string, a number"),
            ("[email]\nrecipients = [true]", "email/recipients: must be a string, a number"),
            ("[email]\nrecipients = [[1]]", "email/recipients: must be a string, a number"),
        ],
    )
    def test_what_no_parameter_can_be(self, text: str, said: str) -> None:
        """It is refused by name."""
        with pytest.raises(UnreadableFileError, match=said):
            read_toml(text)

    @given(
        st.dictionaries(
            st.from_regex(r"paused|(campaigns/[a-z0-9_-]{1,8}|limits|closrtech)/[a-z_]{1,8}", fullmatch=True),
            st.text(min_size=1).filter(lambda text: text == text.strip() and text != HIDDEN),
        )
    )
    def test_what_is_written_reads_back(self, values: dict[str, str]) -> None:
        """Whatever the values hold, if they are no secrets; those are hidden, and so not in the file."""
        open_values = {name: value for name, value in values.items() if type_of(name) is ParameterType.STRING}

        assert read_toml(as_toml(values)).values == open_values

    def test_secrets_are_hidden(self) -> None:
        """A file that was pulled can be shown around."""
        text = as_toml({"meta/access_token": "fake-token", "campaigns/a/fb_campaign_ids": "1,2"})

        assert text == '[campaigns.a]\nfb_campaign_ids = ["1", "2"]\n\n[meta]\naccess_token = "***"\n'


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("meta/access_token", "SecureString"),
        ("meta/app_secret", "SecureString"),
        ("campaigns/a/fb_access_token", "SecureString"),
        ("closrtech/email", "SecureString"),
        ("closrtech/password", "SecureString"),
        ("campaigns/a/fb_campaign_ids", "StringList"),
        ("email/recipients", "StringList"),
        ("email/sender", "String"),
        ("limits/wave_size", "String"),
    ],
)
def test_each_parameter_has_its_type(name: str, kind: str) -> None:
    """Secrets are encrypted where they lie."""
    assert type_of(name) == kind


def test_only_what_differs_is_to_be_put() -> None:
    """What the file does not name stays; a secret shows neither before nor after."""
    there = {"meta/access_token": "old", "limits/wave_size": "5", "email/sender": "reports@example.test"}
    wanted = {"meta/access_token": "new", "limits/wave_size": "5", "limits/max_adsets": "9", "meta/app_secret": "s"}

    found = differences(there, wanted)

    assert found == [
        Difference("limits/max_adsets", None, "9"),
        Difference("meta/access_token", "old", "new"),
        Difference("meta/app_secret", None, "s"),
    ]
    assert [change.display_values for change in found] == [("", "9"), ("***", "*** (another one)"), ("", "***")]


class TestPatterns:
    """Names of ad sets that are left alone: unlike ids, they contain blanks and brackets."""

    NAME = "campaigns/veterans/skip_adsets"

    def test_from_either_file(self) -> None:
        """As they are, but for the blanks around the commas."""
        wanted = {self.NAME: "Evergreen *,Test [12],[[]Old]; ?"}

        assert read_env('VETERANS_SKIP_ADSETS="Evergreen *, Test [12],[[]Old]; ?"').values == wanted
        toml = '[campaigns.veterans]\nskip_adsets = ["Evergreen *", "Test [12]", "[[]Old]; ?"]'
        assert read_toml(toml).values == read_toml(as_toml(wanted)).values == wanted
        assert type_of(self.NAME) is ParameterType.STRING_LIST

    def test_a_comma_cannot_be_kept(self) -> None:
        """The Parameter Store would make two patterns of it."""
        with pytest.raises(
            UnreadableFileError, match=r"skip_adsets: a pattern cannot contain a comma; write \? in its"
        ):
            read_toml('[campaigns.veterans]\nskip_adsets = ["A, B"]')


@pytest.mark.parametrize(
    ("variable", "limit"),
    [
        ("LIMITS_MIN_DEMND", "limits/min_demand"),
        ("LIMITS_ADD_AFTER_DAYS", "limits/add_after_days"),
        ("MIN_DEMAND", "limits/min_demand"),
        ("VETERANS_LIMITS_MAX_ADSET", "campaigns/veterans/limits/max_adsets"),
        ("HOME_LOANS_LIMITS_WAVES", "campaigns/home-loans/limits/wave_size"),
    ],
)
def test_a_limit_in_an_env_says_where_it_belongs(variable: str, limit: str) -> None:
    """Such a file holds none, so it is more than a stray line."""
    (warning,) = warnings_about(read_env(f"FB_ACCESS_TOKEN=x\n{variable}=5\nNUMBER_OF_PIES=3\nLIMITS_XYZ=1\n"))

    assert warning == f"{variable} has no effect here, for an .env holds no limits: put {limit} into a TOML file"
