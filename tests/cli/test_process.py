"""What a command needs of its process."""

from io import BytesIO, StringIO, TextIOWrapper

import pytest

from closrads.cli.process import SUBSTITUTES, adopt_region, show_in_any_encoding


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({}, None),
        ({"AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
        ({"AWS_REGION": "us-west-2"}, "us-west-2"),
        ({"AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "us-east-1"}, "us-west-2"),
    ],
)
def test_the_region_is_that_of_the_aws_cli(environment: dict[str, str], region: str | None) -> None:
    """`AWS_REGION` comes first there; boto3 does not read it."""
    adopt_region(environment)

    assert environment.get("AWS_DEFAULT_REGION") == region


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_without_utf_8(encoding: str) -> None:
    """A minus still says that a state was removed."""
    there = BytesIO()
    stream = TextIOWrapper(there, encoding=encoding)
    show_in_any_encoding(stream)
    stream.write("+NE −AR “Böse” 😀")
    stream.flush()

    shown = there.getvalue().decode(encoding)
    assert "+NE -AR " in shown
    assert shown.endswith("?")


def test_utf_8_stays_as_it_is() -> None:
    """All characters of our texts arrive there."""
    there = BytesIO()
    stream = TextIOWrapper(there, encoding="utf-8")
    show_in_any_encoding(stream, StringIO())
    stream.write("".join(SUBSTITUTES))
    stream.flush()

    assert there.getvalue().decode() == "".join(SUBSTITUTES)


def test_reading_is_not_concerned() -> None:
    """An error of decoding is raised as it is."""
    show_in_any_encoding()

    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", errors="closrads.substitute")
