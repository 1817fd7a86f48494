"""Public names, their parameters and their fields change only on purpose: they are held in public_names.txt.

After a change that is meant: python -m tests.test_public_names
"""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

HELD = Path(__file__).with_name("public_names.txt")
ROOMS = ("qcluster", "qcluster.baselines", "qcluster.device", "qcluster.qnn")
ALSO = {
    "qcluster.baselines.door": ("enter",),
    "qcluster.core.checks": ("check_real", "check_whole"),
    "qcluster.core.methods.registry": ("Method", "every", "find", "register"),
    "qcluster.core.counts.metrics": ("entropy", "hellinger_fidelity", "success_probability", "total_variation"),
    "qcluster.core.mitigation": ("left",),
    "qcluster.device.noise.faults": ("fault_masks", "run_faults"),
    "qcluster.device.jobs": ("Part", "collect", "fetch", "read", "read_arrived", "status", "submit"),
    "qcluster.device.machines.machine": ("Machine", "find_machine"),
    "qcluster.device.prepare": ("Options", "prepare"),
    "qcluster.files": ("read_counts",),
    "qcluster.learn.rates": ("Rates", "new_model", "rate_model"),
    "qcluster.learn.table": ("RateTable", "effective_rate", "read_table"),
}
"""Public names outside the __all__ of the rooms: what the reference lists beside them."""


def public() -> Iterator[tuple[str, Any]]:
    for module in ROOMS:
        for name in import_module(module).__all__:
            yield f"{module}.{name}", getattr(import_module(module), name)
    for module, names in ALSO.items():
        for name in names:
            yield f"{module}.{name}", getattr(import_module(module), name)


def parameters(function: Any) -> str:
    """Names and kinds, and that there is a default; types and values of defaults may get better."""
    plain = []
    for each in inspect.signature(function).parameters.values():
        default = each.empty if each.default is each.empty else ...
        plain.append(each.replace(annotation=each.empty, default=default))
    return str(inspect.Signature(plain)).replace("Ellipsis", "...")


def members(cls: type) -> Iterator[str]:
    """Public methods with their parameters, properties and fields, but for what foreign bases bring along."""
    ours = [base for base in cls.__mro__ if base.__module__.startswith("qcluster")]
    known = {key: value for base in reversed(ours) for key, value in vars(base).items()}
    for key in sorted(known.keys() | {field for base in ours for field in inspect.get_annotations(base)}):
        if not key.startswith("_") and not key.endswith("_request"):  # scikit-learn adds set_fit_request and the like
            member = getattr(known.get(key), "__func__", known.get(key))
            yield key + (parameters(member) if inspect.isfunction(member) else "")


def lines() -> list[str]:
    found = []
    for name, it in public():
        simple = inspect.ismodule(it) or (inspect.isclass(it) and issubclass(it, Exception))
        found.append(name if simple else name + parameters(it))
        if inspect.isclass(it):
            found += [f"{name}.{member}" for member in members(it)]
    return sorted(set(found))


def test_public_names_change_on_purpose():
    held = HELD.read_text(encoding="utf-8").splitlines()
    gone, new = sorted(set(held) - set(lines())), sorted(set(lines()) - set(held))
    assert (gone, new) == ([], []), "if that is meant: python -m tests.test_public_names, and a line in the changelog"


def test_public_names_are_in_the_reference():
    pages = Path(__file__).parents[1] / "docs" / "reference"
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages.glob("*.md"))
    listed = re.findall(r"^\.\. auto(?:class|function):: \S+\.(\w+)$", text, re.MULTILINE)
    whole = re.findall(r"^\.\. automodule:: (\S+)$", text, re.MULTILINE)
    for name, it in public():
        place = it.__name__ if inspect.ismodule(it) else it.__module__
        assert name.rpartition(".")[2] in listed or place in whole or place == "qcluster.baselines", name


def asked(line: str) -> tuple[str, set[str]]:
    """Name and parameters of a line."""
    name, _, rest = line.partition("(")
    return name, {part.strip(" *)").partition("=")[0] for part in rest.split(",")} - {""}


def test_what_is_gone_since_0_1_0_is_in_the_migration_notes():
    """Names, or for members of a class that is gone the class, and parameters."""
    page = (Path(__file__).parents[1] / "docs" / "migration.md").read_text(encoding="utf-8")
    now = dict(map(asked, lines()))
    was = dict(map(asked, HELD.with_name("public_names_0.1.0.txt").read_text(encoding="utf-8").splitlines()))
    gone = {name for name in was if name not in now}
    assert len(gone) > 20
    for name in gone:
        owner, _, last = name.rpartition(".")
        whole = owner in gone and owner.rpartition(".")[2] in page
        assert whole or re.search(rf"\b{last}\b", page), name
    for name, parts in was.items():
        for part in parts - now.get(name, parts):
            assert re.search(rf"\b{part}=", page), (name, part)


RENAMED = {"rates": "noise", "profile": "known", "calibration": "machine"}
"""Parameters of `mitigate` and `estimate_rates` that have another name, by the names of 0.1.0."""


def test_what_is_left_of_0_1_0_kept_its_place():
    """The migration notes say so: what was given by position means the same."""
    now = {line.partition("(")[0]: places(line) for line in lines() if "(" in line}
    held = HELD.with_name("public_names_0.1.0.txt").read_text(encoding="utf-8").splitlines()
    was = {line.partition("(")[0]: places(line) for line in held}
    for name, before in was.items():
        if name in now and before:
            kept = [part if part in now[name] else RENAMED.get(part) for part in before]
            kept = [part for part in kept if part in now[name]]
            assert now[name][: len(kept)] == kept, name


def places(line: str) -> list[str]:
    """Give what may stand by position, in its order."""
    parts = [part.strip(" )").partition("=")[0] for part in line.partition("(")[2].split(",")]
    return parts[: next((place for place, part in enumerate(parts) if part.startswith("*")), len(parts))]


if __name__ == "__main__":
    HELD.write_text("\n".join(lines()) + "\n", encoding="utf-8")
