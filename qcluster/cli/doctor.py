"""``qcluster doctor``: check the installation."""

from typing import Annotated

import typer

from qcluster.cli.console import open_console


def doctor(
    online: Annotated[bool, typer.Option(help="Open the IBM Quantum service too (needs the network).")] = False,
) -> None:
    """Show versions, look for an account (without showing it), and run and mitigate a small circuit."""
    from qcluster.doctor import examine

    console, wrong = open_console(), 0
    for finding in examine(online=online):
        wrong += not finding.ok
        line = f"{'ok   ' if finding.ok else 'WRONG'}  {finding.name:18}  {finding.text}"
        console.print(line, style=None if finding.ok else "red", soft_wrap=True)
    console.print("all in order" if not wrong else f"{wrong} wrong")
    raise typer.Exit(1 if wrong else 0)
