"""Title, description and methods of a campaign, stored beside its shots for reports and for results collected later."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from qcluster.files import parse_json
from qcluster.folders import read_managed, write_managed

FILE = "about.json"


@dataclass(frozen=True)
class About:
    """Title and description of a campaign, and the methods that score it."""

    title: str = ""
    """Title of the report; empty if unknown."""
    description: str = ""
    """One or two sentences below the title."""
    methods: tuple[str, ...] = ()
    """Methods named in the campaign's file; empty if unknown."""


def keep_about(folder: Path, about: About) -> None:
    """Store a campaign's title, description and methods in its folder.

    Raises:
        StorageError: it cannot be written.
    """
    write_managed(folder / FILE, json.dumps(asdict(about), indent=1) + "\n")


def read_about(folder: Path) -> About:
    """Read what `keep_about` stored; empty if it is missing or damaged, so that a report is still possible."""
    try:
        content = parse_json(read_managed(folder / FILE))
    except (OSError, ValueError):
        return About()
    if not isinstance(content, dict):
        return About()
    methods = content.get("methods")
    named = [name for name in methods if isinstance(name, str)] if isinstance(methods, list) else []
    title, description = (str(content.get(key, "")) for key in ("title", "description"))
    return About(title, description, tuple(named))
