"""The regions of the United States as Meta numbers them.

Meta's keys for the states run alphabetically from 3843 with the District of Columbia between Delaware and Florida.
The table is built from that rule and not from a list of keys, so that a list with a wrong key cannot agree with it.
"""

_FIRST_KEY = 3843

_NAMES = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California", "CO": "Colorado",
    "CT": "Connecticut", "DE": "Delaware", "DC": "Washington D. C.", "FL": "Florida", "GA": "Georgia", "HI": "Hawaii",
    "ID": "Idaho", "IL": "Illinois", "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky",
    "LA": "Louisiana", "ME": "Maine", "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota",
    "MS": "Mississippi", "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire",
    "NJ": "New Jersey", "NM": "New Mexico", "NY": "New York", "NC": "North Carolina", "ND": "North Dakota",
    "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon", "PA": "Pennsylvania", "RI": "Rhode Island",
    "SC": "South Carolina", "SD": "South Dakota", "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont",
    "VA": "Virginia", "WA": "Washington", "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming",
}  # fmt: skip

KEY_BY_STATE = {state: str(key) for key, state in enumerate(_NAMES, start=_FIRST_KEY)}
STATE_BY_KEY = {key: state for state, key in KEY_BY_STATE.items()}
NAME_BY_KEY = {key: _NAMES[state] for key, state in STATE_BY_KEY.items()}


def region(key: str) -> dict[str, str]:
    """Return a region as Meta reads it back: key, name and country. Raises KeyError for a key that is none."""
    return {"key": key, "name": NAME_BY_KEY[key], "country": "US"}


def search_result(key: str) -> dict[str, object]:
    """Return a region as Meta's targeting search lists it."""
    return {
        "key": key,
        "name": NAME_BY_KEY[key],
        "type": "region",
        "country_code": "US",
        "country_name": "United States",
        "supports_region": True,
        "supports_city": True,
    }
