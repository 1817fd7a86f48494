"""What a campaign is called, about and scored by: kept beside its shots, for reports and for what comes in later."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from qcluster.files import parse_json
from qcluster.folders import read_own, write_own

FILE = "about.json"


@dataclass(frozen=True)
class About:
    """Title and description of a campaign, and what scores it."""

    title: str = ""
    """Heading of the report; empty where none is known."""
    description: str = ""
    """A sentence or two below it."""
    methods: tuple[str, ...] = ()
    """Methods that its file names; empty where none are known."""


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
    methods = content.get("methods")
    named = [name for name in methods if isinstance(name, str)] if isinstance(methods, list) else []
    title, description = (str(content.get(key, "")) for key in ("title", "description"))
    return About(title, description, tuple(named))
