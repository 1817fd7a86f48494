"""Pages that are written at every build."""

import importlib.util
from pathlib import Path

import pytest

from qcluster.core.methods import registry
from qcluster.core.methods.registry import Method, every, register
from qcluster.core.mitigation import left

ROOT = Path(__file__).parents[2]


@pytest.fixture
def generated():
    spec = importlib.util.spec_from_file_location("generated", ROOT / "docs" / "generated.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_methods_holds_every_method(generated, monkeypatch):
    every()
    monkeypatch.setattr(registry, "_known", dict(registry._known))
    register(Method("mine", "Does nothing.", lambda raw, *_: left(raw, "mine", "as asked"), uses=("rates",)))
    lines = generated.methods_table().splitlines()
    assert len(lines) == 2 + len(every())
    assert lines[-1] == '| `"mine"` | Does nothing. | – | flip rates | – |'
    assert '| `"paper"` |' in "\n".join(lines)
    assert "_generated/methods.md" in (ROOT / "docs" / "guides" / "choose.md").read_text(encoding="utf-8")


def test_the_help_of_the_command_line_names_every_method(generated):
    said = "".join(generated.commands())
    for method in every():
        assert method.name in said
