"""An example of each command, shown below its help."""

import typer

EXAMPLES = {
    "mitigate": "qcluster mitigate counts.json --json fixed.json --plot fixed.png",
    "demo": "qcluster demo --qubits 6 --plot ghz.png",
    "doctor": "qcluster doctor --online",
    "jobs": "qcluster jobs submit ghz.qasm -d ghz --backend fake_torino",
    "jobs submit": "qcluster jobs submit ghz.qasm -d ghz --backend ibm_torino --twirls 8 --reference",
    "jobs status": "qcluster jobs status ghz",
    "jobs collect": "qcluster jobs collect ghz --wait --json counts.json",
    "jobs cancel": "qcluster jobs cancel ghz",
    "jobs usage": "qcluster jobs usage ghz",
    "jobs fetch": "qcluster jobs fetch d0abc1defgh2i3jklmno --json counts.json",
    "calibration": "qcluster calibration show fake_torino",
    "calibration show": "qcluster calibration show fake_torino",
    "calibration fetch": "qcluster calibration fetch ibm_torino --output today.json",
    "calibration diff": "qcluster calibration diff yesterday.json today.json --top 10",
    "bench": "qcluster bench run mine.toml --out mine",
    "bench run": "qcluster bench run mine.toml --out mine --workers 2",
    "bench submit": "qcluster bench submit mine.toml --out mine",
    "bench collect": "qcluster bench collect mine",
    "bench score": "qcluster bench score mine --methods identity,m3,mixture",
    "bench report": 'qcluster bench report mine --title "My circuits on ibm_torino"',
    "qnn": "qcluster qnn train --a 3 --b 6 --out qnn.json",
    "qnn train": "qcluster qnn train --a 3 --b 6 --out qnn.json",
    "qnn evaluate": "qcluster qnn evaluate qnn.json --backend fake_torino --shots 1024",
    "rates": "qcluster rates counts.json",
    "rates estimate": "qcluster rates counts.json --circuit ghz.qasm --backend fake_torino",
    "rates build": "qcluster rates build --out rates --workers 2",
    "rates add": "qcluster rates add mine --table rates.csv",
    "decision": "qcluster decision build --out table --records my_runs.jsonl",
}
"""The examples, by the names of the group and the command."""


def add_examples(app: typer.Typer, path: str = "") -> None:
    """Add the examples of all commands and groups of an application below their help."""
    for command in app.registered_commands:
        name = command.name or (command.callback.__name__.replace("_", "-") if command.callback else "")
        command.epilog = _epilog(f"{path} {name}".strip())
    for group in app.registered_groups:
        inner = group.typer_instance
        if inner is not None:
            name = f"{path} {group.name or inner.info.name}".strip()
            inner.info.epilog = _epilog(name)
            add_examples(inner, name)


def _epilog(name: str) -> str | None:
    return f"Example: {EXAMPLES[name]}" if name in EXAMPLES else None
