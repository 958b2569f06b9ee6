"""Whether the mail is HTML, by the parsing errors of the standard, and has what only a page of the web may lack.

Mail programs need attributes that the standard calls obsolete (`width`, `align`, `valign`, `cellpadding`, `cellspacing`
on tables): Outlook lays tables out by nothing else. The parser does not object to attributes, so nothing is excepted.
"""

import html5lib
import pytest
from html5lib.html5parser import ParseError

from closrads.report.render import Report
from tests.report.mails import mails
from tests.report.scenarios import scenario_mails

PARSER = html5lib.HTMLParser(strict=True)


@pytest.fixture(scope="module")
def every_mail() -> dict[str, Report]:
    """Return the mails of all days."""
    return mails() | scenario_mails()


def test_no_mail_has_a_parsing_error(every_mail: dict[str, Report]) -> None:
    """What is unclosed, misnested or unescaped is repaired by each mail program in a way of its own."""
    for name, mail in every_mail.items():
        try:
            PARSER.parse(mail.html)
        except ParseError as error:
            pytest.fail(f"{name}: {error}")


def test_what_outlook_alone_reads_has_none_either(every_mail: dict[str, Report]) -> None:
    """To the others it is a comment."""
    for mail in every_mail.values():
        PARSER.parse(as_outlook(mail.html))


def as_outlook(html: str) -> str:
    """Return a page with its conditional comments in effect, less the markup of Office, which is XML."""
    before, office, after = html.partition("<!--[if mso]><xml>")
    html = before + after[after.index("</xml>") + len("</xml>") :] if office else html
    return html.replace("<!--[if mso]>", "").replace("<![endif]-->", "")


@pytest.mark.parametrize(
    "markup",
    [
        "<p>x</div>",
        "<table><p>x</p></table>",
        "<p title='a' title='b'>x</p>",
        "<p>a & b &nosuchthing; c</p>",
        "<b><i>x</b></i>",
        "<td>x</td>",
        "<table><tr><td>x</table></table>",
        "<p>x</p",
    ],
)
def test_an_error_is_found(markup: str) -> None:
    """Else the tests above prove nothing."""
    with pytest.raises(ParseError):
        PARSER.parse(f"<!doctype html><title>x</title><body>{markup}</body>")
