"""Update the test data from caniemail.com: `python -m scripts.caniemail_facts caniemail.json`.

The source is in the npm package `caniemail`: `npm pack caniemail`, then `package/dist/data/caniemail.json`.
"""

import json
import sys
from pathlib import Path

from tests.report.features import CLIENTS, FACTS, features_of, slug_of
from tests.report.mails import mails


def main() -> None:
    """Extract the features that the mails use, for the relevant mail programs."""
    data = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    used = {slug_of(feature) for mail in mails().values() for feature in features_of(mail.html)}
    features = {}
    for feature in sorted(data["data"], key=lambda feature: feature["slug"]):
        if feature["slug"] in used:
            answers = {client: _newest(feature, client) for client in CLIENTS}
            notes = {f"#{number}": text for number, text in (feature["notes_by_num"] or {}).items()}
            used_notes = {
                number: text for number, text in notes.items() if number in " ".join(answers.values()).split()
            }
            features[feature["slug"]] = answers | used_notes
    facts = {
        "source": "https://www.caniemail.com, by Rémi Parmentier, through the npm package caniemail",
        "licence": "MIT, Copyright (c) 2019 HTeuMeuLeu",
        "date": data["last_update_date"],
        "features": features,
    }
    FACTS.write_text(f"{json.dumps(facts, indent=1, ensure_ascii=False)}\n", encoding="utf-8")
    print(f"{len(features)} features; caniemail does not know {sorted(used - set(features))}")


def _newest(feature: dict[str, dict[str, dict[str, dict[str, str]]]], client: str) -> str:
    family, platform = client.split("/")
    versions = feature["stats"].get(family, {}).get(platform, {})
    return list(versions.values())[-1] if versions else "u"


if __name__ == "__main__":
    main()
