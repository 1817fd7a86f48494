"""What a campaign is called and about: kept beside its shots, so that a report need not be told again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from qcluster.files import parse_json
from qcluster.folders import read_own, write_own

FILE = "about.json"


@dataclass(frozen=True)
class About:
    """Title and description of a campaign."""

    title: str = ""
    """Heading of the report; empty where none is known."""
    description: str = ""
    """A sentence or two below it."""


def keep_about(folder: Path, about: About) -> None:
    """Write it into the folder of a campaign.

    Raises:
        StorageError: it cannot be written.
    """
    write_own(folder / FILE, json.dumps(asdict(about), indent=1) + "\n")


def read_about(folder: Path) -> About:
    """Read it; empty where there is none, or something else: a report is worth more than its heading."""
    try:
        content = parse_json(read_own(folder / FILE))
    except (OSError, ValueError):
        return About()
    if not isinstance(content, dict):
        return About()
    return About(*(str(content.get(key, "")) for key in ("title", "description")))
