"""M3 on counts of twirled measurements: with both readout errors as published, and averaged as the twirls average them.

Run from the repository: OMP_NUM_THREADS=1 python -m benchmarks.m3_twirled
Writes benchmarks/results/m3_twirled.csv, two minutes on one core: the Hellinger fidelity to the ideal of each circuit
of up to 8 bits of the campaign of low entropy, without reference circuits, on two recorded machines. Campaigns give M3
the errors as published. In the counts, twirls exchange the two errors of a bit in the shots in which they flip it.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.data import write_row_by_row
from qcluster import baselines
from qcluster.bench.machines import run_task
from qcluster.bench.tasks import find_case, read_campaign
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.device.noise.faults import flipped_share, twirled_readout

CAMPAIGN = Path(__file__).parent / "campaigns" / "low_entropy.toml"
MACHINES, WIDEST = ("FakeTorino", "FakeGuadalupe"), 8


def measure() -> Iterator[dict[str, object]]:
    """Run every circuit on every machine, and score the counts and both answers of M3."""
    for task in replace(read_campaign(CAMPAIGN), machines=MACHINES).tasks():
        if find_case(task.case).n_bits > WIDEST:
            continue
        sample = run_task(task)
        averaged = twirled_readout(sample.readout, flipped_share(sample.run.flips, sample.run.options))
        answers = {
            "raw": sample.counts,
            "published": baselines.m3(sample.counts, sample.readout),
            "averaged": baselines.m3(sample.counts, averaged),
        }
        fidelities = {name: f"{hellinger_fidelity(answer, sample.ideal):.4f}" for name, answer in answers.items()}
        yield {"case": task.case, "machine": task.machine, "twirls": task.twirls, **fidelities}


if __name__ == "__main__":
    write_row_by_row("m3_twirled.csv", measure())
