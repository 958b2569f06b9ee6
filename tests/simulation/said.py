"""What the product says: of an ad set in a run's result and mails, and of what a recheck has failed at."""

import re
from collections.abc import Mapping
from typing import Any

from sandbox.aws import Mail
from tests.simulation.clauses import GOOD, OPEN
from tests.simulation.judge_state import AdSetFile


def failures_of(campaign: Mapping[str, Any], result: Mapping[str, Any]) -> frozenset[str]:
    """Return what a recheck could not look at in a campaign, without numbers, which may differ each time."""
    adsets = (each for each in campaign["adsets"] if each["result"] in {"deferred", "unverified"})
    said = [f"{each['name']}: {each['result']} {each['issues']}" for each in adsets]
    names = tuple(f"{each['name']} (" for each in (*campaign["adsets"], *result["recovered"]))
    said += [error for error in campaign["errors"] if not error.startswith(names)]
    stuck = (each for each in result["recovered"] if each["campaign"] == campaign["slug"] and _is_stuck(each))
    said += [f"{each['name']}: {each['state']} {each['issues']}" for each in stuck]
    return frozenset(re.sub(r"\d+", "#", text) for text in said)


def _is_stuck(found: Mapping[str, Any]) -> bool:
    """Tell whether a run could take an open change no further; one more vain repair is told of otherwise."""
    return found["state"] in OPEN and found["state"] == found["found"] != "rollback_failed"


def texts(mails: tuple[Mail, ...]) -> tuple[str, ...]:
    """Return the plain texts of mails."""
    return tuple(mail.text for mail in mails)


class Said:
    """What a run said, in its result and its mails."""

    def __init__(self, result: dict[str, Any], mails: tuple[Mail, ...], *, was_refused: bool, is_quiet: bool) -> None:
        self._campaigns: dict[str, Any] = {campaign["slug"]: campaign for campaign in result["campaigns"]}
        self._adsets = {adset["id"]: adset for each in result["campaigns"] for adset in each["adsets"]}
        self._recovered: dict[str, list[dict[str, Any]]] = {}
        for found in result["recovered"]:
            self._recovered.setdefault(found["id"], []).append(found)
        self._unexplained = {pause["adset_id"] for pause in result.get("unexplained", ())}
        self._text = "\n".join(f"{mail.subject}\n{mail.text}" for mail in mails)
        self.is_quiet = is_quiet
        """Whether it is a sync that had no news."""
        self.is_unmailed = was_refused and not mails and result["mail"] == "failed"
        """Unobservable.MAIL_REFUSED."""

    def concerns(self, campaign: str, asked_for: tuple[str, ...]) -> bool:
        """Tell whether the run had to do with a campaign, even if that is switched off."""
        report = self._campaigns.get(campaign)
        return (not asked_for or campaign in asked_for) and not (report is not None and report["left_to"])

    def has_mail_about(self, adset_id: str) -> bool:
        """Tell whether a mail has left that knows what became of an ad set."""
        return bool(self._text) and (adset_id in self._adsets or adset_id in self._recovered)

    def changed_by(self, name: str) -> str:
        """Return the lines of the mails that tell of a change of an ad set by somebody else."""
        words = ("changed by somebody else", "was changed by", ": drift ")
        lines = (line for line in self._text.splitlines() if name in line)
        return "\n".join(line for line in lines if any(word in line.lower() for word in words))

    def result(self, adset_id: str) -> str:
        """Return the word for what became of an ad set."""
        words = [found["state"] for found in self._recovered.get(adset_id, ())]
        if adset_id in self._adsets:
            words.append(self._adsets[adset_id]["result"])
        return ", ".join(words) or "nothing"

    def of(self, adset_id: str, file: AdSetFile) -> tuple[bool, bool, bool]:
        """Return whether the result calls an ad set ill, whether a mail names it, and whether it is called well."""
        adset = self._adsets.get(adset_id)
        found = self._recovered.get(adset_id, [])
        is_named = file.name in self._text
        is_ill = adset_id in self._unexplained or any(each["state"] in OPEN or each["issues"] for each in found)
        if adset is not None:
            is_ill = is_ill or adset["result"] not in GOOD or bool(adset["issues"] and adset["result"] != "reverted")
        elif not found:
            campaign = self._campaigns.get(file.campaign)
            if campaign is None or not campaign["errors"]:
                return False, False, False
            return True, campaign["campaign_name"] in self._text, False
        is_good = not is_ill and (adset is not None or bool(found))
        return is_ill, is_named, is_good
