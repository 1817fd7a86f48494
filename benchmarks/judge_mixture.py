"""Judge the guarded mixture against raw counts, the paper's method and HAMMER, on recorded and synthetic counts.

Run from the repository: python -m benchmarks.judge_mixture [--sets brussels lrqaoa synthetic] [--every 1] [--each 40]
                         python -m benchmarks.judge_mixture --ablations
                         python -m benchmarks.judge_mixture --leave-out
Writes benchmarks/results/judge_mixture.csv, one row a record, judge_ablations.csv or judge_left_out.csv. All methods
get the same shots.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.data import records, write_rows
from benchmarks.synthetic import cases
from qcluster.core.distribution import Distribution
from qcluster.core.guard import combine
from qcluster.core.metrics import entropy, hellinger_fidelity
from qcluster.core.mixture import MixtureFit, fit_mixture
from qcluster.core.paper import q_cluster
from qcluster.core.verdict import Guarded, GuardSettings

HARM = 0.02
"""A record is harmed when its fidelity falls by more than this."""


@dataclass(frozen=True)
class Record:
    """One judged record."""

    name: str
    """What it is called."""
    group: str
    """What it is averaged with."""
    machine: str
    """Where it ran."""
    counts: Distribution
    """What was read."""
    ideal: Distribution
    """What should have been read."""


def lrqaoa(every: int) -> Iterator[Record]:
    """Read the LR-QAOA records, even and odd lines apart, by entropy of the ideal."""
    ideals = {record["ideal_id"]: record["ideal"] for record in records("lrqaoa_ibm_dev_ideals.jsonl.gz")}
    for line, record in enumerate(records("lrqaoa_ibm_dev.jsonl.gz")):
        if line // 2 % every:
            continue
        ideal = Distribution.of(ideals[record["ideal_id"]])
        share = entropy(ideal, normalised=True)
        level = "low" if share < 0.4 else "mid" if share <= 0.7 else "high"
        group = f"lrqaoa {('even', 'odd')[line % 2]} {level}"
        yield Record(record["id"], group, record["machine"], Distribution.of(record["counts"]), ideal)


def everything(sets: list[str], every: int, each: int) -> Iterator[Record]:
    """Give all records of the chosen sets."""
    if "brussels" in sets:
        for record in records("ibm_brussels_2025.jsonl.gz"):
            ideal = Distribution.of(record["ideal"])
            yield Record(record["id"], record["id"], "ibm_brussels", Distribution.of(record["counts"]), ideal)
    if "lrqaoa" in sets:
        yield from lrqaoa(every)
    if "synthetic" in sets:
        for number, case in enumerate(cases(20251, each)):
            name = f"{number} " + " ".join(f"{key}={value}" for key, value in case.note.items())
            yield Record(name, f"synthetic {case.group}", "synthetic", case.counts, case.ideal)


def as_distribution(answer: Guarded) -> Distribution:
    """Give the answer of the guard as a Distribution."""
    return Distribution(answer.bits, answer.weights)


def hammer_or_none() -> Callable[[Distribution], Distribution] | None:
    """Find HAMMER where the baselines are built."""
    try:
        from qcluster.baselines.hammer import hammer
    except ImportError:
        return None
    return hammer


def judge(record: Record, hammer: Callable[[Distribution], Distribution] | None) -> dict[str, Any]:
    """Score every method on one record."""
    counts, ideal = record.counts, record.ideal
    start = perf_counter()
    fit = fit_mixture(counts.bits, counts.weights)
    fitted = perf_counter()
    answer = combine(counts, fit)
    done = perf_counter()
    rate = np.full((counts.n_bits, 2), float(np.clip(fit.flip_rate, 0.005, 0.45)))
    bare = Distribution(fit.centroids, fit.weights * counts.shots)
    row = {
        "record": record.name,
        "group": record.group,
        "machine": record.machine,
        "raw": hellinger_fidelity(counts, ideal),
        "paper": hellinger_fidelity(q_cluster(counts, rate, None)[0], ideal),
        "hammer": hellinger_fidelity(hammer(counts), ideal) if hammer else float("nan"),
        "bare": hellinger_fidelity(bare, ideal),
        "mixture": hellinger_fidelity(as_distribution(answer), ideal),
        "applied": int(answer.applied),
        "share": answer.share,
        "confidence": answer.confidence,
        "fit_ms": 1e3 * (fitted - start),
        "guard_ms": 1e3 * (done - fitted),
        "reason": answer.reason,
    }
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


def summary(rows: list[dict[str, Any]], methods: tuple[str, ...]) -> None:
    """Print means, harm and worst loss of each group, then of each machine, then the calibration of confidence."""
    for key in ("group", "machine"):
        for name in dict.fromkeys(row[key] for row in rows):
            held = [row for row in rows if row[key] == name]
            raw = np.array([row["raw"] for row in held])
            line = f"{name:42} n={len(held):4d} raw {raw.mean():.3f}"
            for method in methods:
                got = np.array([row[method] for row in held])
                change = got - raw
                line += f" | {method} {got.mean():.3f} ({np.median(got):.3f})"
                line += f" harm {(change < -HARM).mean():5.1%} worst {min(change.min(), 0):+.2f}"
            if "fit_ms" in held[0]:
                line += " | ms {:.0f}+{:.0f}".format(*(np.mean([r[k] for r in held]) for k in ("fit_ms", "guard_ms")))
            print(line)
    used = [row for row in rows if row.get("applied")]
    for low, high in ((0, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
        won = [row["mixture"] > row["raw"] for row in used if low <= row["confidence"] < high]
        if won:
            print(f"confidence {low:.1f}-{min(high, 1):.1f}: {len(won)} records, {np.mean(won):.0%} improved")


ABLATIONS: dict[str, GuardSettings] = {
    "all": GuardSettings(),
    "no raw share": replace(GuardSettings(), insured=0.0, insured_when_good=0.0),
    "raw share .3, whatever the counts": replace(GuardSettings(), insured=0.3, insured_when_good=0.0),
    "evidence at face value": replace(GuardSettings(), doubt=1.0),
    "evidence ignored": replace(GuardSettings(), doubt=1e6),
    "evidence grows with every shot": replace(GuardSettings(), telling=1e9),
    "no ideal is smooth": replace(GuardSettings(), blurred=0.0),
    "all but one string is smooth": replace(GuardSettings(), blurred=1.0),
    "lost shots say nothing of flips": replace(GuardSettings(), typical=0.06, typical_when_lost=0.06),
    "no drift": replace(GuardSettings(), drift=0.0),
    "sparse hypotheses only": replace(GuardSettings(), densities=(0.1,)),
    "dense hypotheses only": replace(GuardSettings(), strings=(), densities=(0.3, 1.0, 4.0)),
    "flat ideals as likely as others": replace(GuardSettings(), flat_odds=1.0),
    "one flip rate": replace(GuardSettings(), flips=(0.11,)),
    "only strings that were read": replace(GuardSettings(), widest=0),
}


def ablate(held: list[Record]) -> list[dict[str, Any]]:
    """Score the guard without one part at a time, on the same fits."""
    fits: list[MixtureFit] = [fit_mixture(record.counts.bits, record.counts.weights) for record in held]
    rows = []
    for record, fit in zip(held, fits, strict=True):
        raw = hellinger_fidelity(record.counts, record.ideal)
        row: dict[str, Any] = {"record": record.name, "group": record.group, "raw": round(raw, 4)}
        for name, settings in ABLATIONS.items():
            answer = combine(record.counts, fit, settings=settings)
            row[name] = round(hellinger_fidelity(as_distribution(answer), record.ideal), 4)
        rows.append(row)
    return rows


CHOICES: dict[str, GuardSettings] = {
    "as shipped": GuardSettings(),
    "half the doubt": replace(GuardSettings(), doubt=7.5),
    "twice the doubt": replace(GuardSettings(), doubt=30.0),
    "half as many flips expected": replace(GuardSettings(), typical=0.015, typical_when_lost=0.075),
    "twice as many flips expected": replace(GuardSettings(), typical=0.06, typical_when_lost=0.3),
    "ideals half as often smooth": replace(GuardSettings(), blurred=0.015, mostly_blurred=0.5),
    "ideals twice as often smooth": replace(GuardSettings(), blurred=0.06, mostly_blurred=2.0),
    "flips expected within e^1.6": replace(GuardSettings(), spread=1.6),
    "insured less when lost": replace(GuardSettings(), insured_when_lost=0.4),
    "insured more when lost": replace(GuardSettings(), insured_when_lost=0.9),
    "insured less when good": replace(GuardSettings(), insured_when_good=0.3),
    "flat ideals rarer": replace(GuardSettings(), flat_odds=0.1),
    "flat ideals as likely as others": replace(GuardSettings(), flat_odds=1.0),
}


def leave_out(held: list[Record]) -> list[dict[str, Any]]:
    """Choose the constants on one machine's even lines, and judge them on every line of another machine."""
    fits = [fit_mixture(record.counts.bits, record.counts.weights) for record in held]
    raw = np.array([hellinger_fidelity(record.counts, record.ideal) for record in held])
    gain = {}
    for name, settings in CHOICES.items():
        answers = [combine(record.counts, fit, settings=settings) for record, fit in zip(held, fits, strict=True)]
        pairs = zip(answers, held, strict=True)
        gain[name] = np.array([hellinger_fidelity(as_distribution(a), r.ideal) for a, r in pairs]) - raw
    machine = np.array([record.machine for record in held])
    even = np.array(["even" in record.group for record in held])
    rows = []
    for left in np.unique(machine):
        seen = (machine != left) & even
        worth = {name: change[seen].mean() - 2 * (change[seen] < -HARM).mean() for name, change in gain.items()}
        chosen = max(worth, key=lambda name: worth[name])
        for name in dict.fromkeys((chosen, "as shipped")):
            change = gain[name][machine == left]
            row = {"left_out": left, "constants": name, "chosen": int(name == chosen), "records": len(change)}
            figures = {"raw": raw[machine == left].mean(), "gain": change.mean(), "harm": (change < -HARM).mean()}
            rows.append({**row, **{k: round(float(v), 4) for k, v in {**figures, "worst": change.min()}.items()}})
            print(rows[-1])
    return rows


def table(rows: list[dict[str, Any]]) -> None:
    """Print the ablations as a Markdown table: mean fidelity, and harm in percent."""
    names = list(dict.fromkeys(row["group"] for row in rows))
    print("| | " + " | ".join(names) + " |\n|---" * 1 + "|---" * len(names) + "|")
    raw = {name: np.array([row["raw"] for row in rows if row["group"] == name]) for name in names}
    print("| raw | " + " | ".join(f"{raw[name].mean():.3f}" for name in names) + " |")
    for ablation in ABLATIONS:
        cells = []
        for name in names:
            got = np.array([row[ablation] for row in rows if row["group"] == name])
            cells.append(f"{got.mean():.3f} / {(got < raw[name] - HARM).mean():.1%}")
        print(f"| {ablation} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sets", nargs="+", default=["brussels", "lrqaoa", "synthetic"])
    parser.add_argument("--every", type=int, default=1, help="take each such pair of LR-QAOA lines")
    parser.add_argument("--each", type=int, default=40, help="synthetic cases a group")
    parser.add_argument("--ablations", action="store_true")
    parser.add_argument("--leave-out", action="store_true", help="choose constants on one machine, judge on another")
    options = parser.parse_args()
    if options.leave_out:
        write_rows("judge_left_out.csv", leave_out(list(lrqaoa(options.every))))
        return
    held = list(everything(options.sets, options.every, options.each))
    if options.ablations:
        rows = ablate([record for record in held if record.counts.n_bits <= GuardSettings().widest])
        write_rows("judge_ablations.csv", rows)
        table(rows)
        return
    hammer = hammer_or_none()
    rows = [judge(record, hammer) for record in held]
    write_rows("judge_mixture.csv", rows)
    summary(rows, ("paper", "hammer", "bare", "mixture") if hammer else ("paper", "bare", "mixture"))


if __name__ == "__main__":
    main()
