"""What the pages show works: Python blocks run, command lines exist, links within the repository lead somewhere.

How to mark blocks is told in CONTRIBUTING.md.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from qcluster.core.methods import registry

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "RELEASING.md"]
PAGES += [page for page in sorted((ROOT / "docs").rglob("*.md")) if not page.relative_to(ROOT).parts[1].startswith("_")]
HIDDEN = r"^<!-- run\n(?P<hidden>.*?)^-->$"
FENCED = r"^(?:<!-- not run: (?P<reason>.+?) -->\n)?```(?P<language>[^\n]*)\n(?P<shown>.*?)^```$"
BLOCK = re.compile(f"{HIDDEN}|{FENCED}", re.MULTILINE | re.DOTALL)
LANGUAGES = {"python", "bash", "console", "text", "toml", "json", "", "{eval-rst}", "{toctree}", "{include}"}
"""What may stand behind a fence: a misspelt one would never run."""


@dataclass(frozen=True)
class Block:
    """One fenced or hidden block of a page."""

    language: str
    """What stands behind the fence; "python" for a hidden one."""
    code: str
    """Its text."""
    line: int
    """Where it begins."""
    reason: str
    """Why it is not run; empty where it is."""


def blocks(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(text):
        part = "shown" if match["hidden"] is None else "hidden"
        language = "python" if part == "hidden" else match["language"]
        found.append(Block(language, match[part], text.count("\n", 0, match.start(part)), match["reason"] or ""))
    return found


def running(path: Path) -> list[Block]:
    return [block for block in blocks(path) if block.language == "python" and not block.reason]


def cases() -> list[object]:
    slow = {path: "<!-- slow -->" in path.read_text(encoding="utf-8") for path in PAGES}
    return [
        pytest.param(path, id=str(path.relative_to(ROOT)), marks=[pytest.mark.slow] if slow[path] else [])
        for path in PAGES
        if running(path)
    ]


@pytest.mark.parametrize("path", cases())
def test_python_blocks_run_from_top_to_bottom(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    registry.every()
    monkeypatch.setattr(registry, "_known", dict(registry._known))  # pages register methods
    names: dict[str, object] = {"__name__": "__main__"}
    for block in running(path):
        exec(compile("\n" * block.line + block.code, str(path), "exec"), names)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_fence_hides_from_these_tests(path):
    assert {block.language.split(" ")[0] for block in blocks(path)} <= LANGUAGES
    assert not [block for block in blocks(path) if block.reason and block.language != "python"]


def commands() -> list[tuple[str, str]]:
    lines = []
    for path in PAGES:
        for block in blocks(path):
            if block.language != "python":
                for line in block.code.splitlines():
                    for part in line.split("#")[0].split("&&"):
                        if part.strip().startswith("qcluster "):
                            lines.append((str(path.relative_to(ROOT)), part.strip()))
    return lines


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())), ids=lambda text: text)
def test_command_lines_name_commands_and_options_that_there_are(page, line):
    import typer

    from qcluster.cli.main import app

    command, words = typer.main.get_command(app), shlex.split(line)[1:]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    command = getattr(command, "commands", {}).get("estimate", command)  # qcluster rates FILE
    assert not getattr(command, "commands", {}), f"{page}: {line}: there is no such command"
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in words if word.startswith("-") and word != "-" and word not in known]
    assert not unknown, f"{page}: {line}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(path):
    targets = re.findall(
        r"\]\(([^)#\s]+)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    )
    local = [target for target in targets if not target.startswith(("https://", "mailto:"))]
    assert not [target for target in local if not (path.parent / target).exists()]
