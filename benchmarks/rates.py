"""How well effective flip rates are predicted, on the published table and on our own, and how much it matters.

Run from the repository, in this order or any of them:

    python -m benchmarks.rates published    # model family on 145 real rows, all splits side by side (minutes)
    python -m benchmarks.rates own          # leave machines, families, circuits of our simulated table out (minutes)
    python -m benchmarks.rates importance   # which columns matter on circuits left out; also a figure
    python -m benchmarks.rates transfer     # trained on our table only, tested on the 145 real rows
    python -m benchmarks.rates brussels     # six real records: predicted beside published rates
    python -m benchmarks.rates fidelity     # method="paper" with estimated, published and wrong rates
    python -m benchmarks.rates speed        # fit from CSV, and one prediction

Each writes benchmarks/results/rates_NAME.csv.
"""

import csv
import sys
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import numpy as np

import qcluster as qc
from benchmarks.data import DATA, RESULTS, brussels
from qcluster.learn.features import NAMES, features
from qcluster.learn.physics import closed_form
from qcluster.learn.rates import estimate_rates, new_model, rate_model
from qcluster.learn.table import RateTable, read_table

EIGHT = ("n_qubits", "n_measured", "rz", "sx", "x", "two_qubit", "entropy", "esp")
SEEDS = range(4)


def real_rows() -> RateTable:
    """Read the published table. Its shots are not in it: those of the six published records, by width, stand in."""
    with (DATA / "effective_rates_2025.csv").open() as file:
        rows = list(csv.DictReader(file))
    table = np.full((len(rows), len(NAMES)), np.nan)
    for name in EIGHT:
        table[:, NAMES.index(name)] = [float(row[name]) for row in rows]
    bits = table[:, NAMES.index("n_measured")]
    table[:, NAMES.index("shots")] = np.where(bits <= 12, 4096, np.where(bits <= 16, 8192, 16384))
    circuits = np.array([row["circuit"] for row in rows])
    facts = {
        "circuit": circuits,
        "family": np.array([name.rsplit("_", 1)[0] for name in circuits.tolist()]),
        "machine": np.array([row["machine"] for row in rows]),
    }
    return RateTable(table, np.array([float(row["target"]) for row in rows]), facts)


def r2(truth: np.ndarray, said: np.ndarray) -> float:
    return float(1 - ((truth - said) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def mae(truth: np.ndarray, said: np.ndarray) -> float:
    return float(np.abs(truth - said).mean())


def bootstrap(figure: Callable[[np.ndarray], float], groups: np.ndarray, draws: int = 1000) -> tuple[float, float]:
    """95 % interval of a figure of some rows, over groups drawn with replacement."""
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    values = [
        figure(np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))]))
        for _ in range(draws)
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def left_out(groups: np.ndarray) -> Iterator[np.ndarray]:
    for name in np.unique(groups):
        yield groups == name


def dealt(groups: np.ndarray, folds: int = 10) -> np.ndarray:
    """Deal groups into folds."""
    places = np.unique(groups, return_inverse=True)[1]
    return np.random.default_rng(0).permutation(places.max() + 1)[places] % folds


def five_folds(n: int, seed: int) -> Iterator[np.ndarray]:
    order = np.random.default_rng(seed).permutation(n)
    for part in np.array_split(order, 5):
        yield np.isin(np.arange(n), part)


def published() -> list[dict[str, Any]]:
    from sklearn.ensemble import ExtraTreesRegressor

    table = real_rows()
    y, circuits = table.rates, table.facts["circuit"]
    eight = table.features[:, [NAMES.index(name) for name in EIGHT]]
    twins = np.where(np.isin(circuits, ["wstate_n8", "wstate_n14"]), "wstate_n8+n14", circuits)
    splits = {
        "grouped leave-one-circuit-out": twins,
        "leave-one-circuit-out": circuits,
        "leave-one-family-out": table.facts["family"],
        "leave-one-machine-out": table.facts["machine"],
        "random 5-fold": None,
    }
    makers: dict[str, Callable[[int, np.ndarray, np.ndarray], np.ndarray]] = {
        "ours": lambda seed, train, test: (
            new_model(seed).fit(table.features[train], y[train]).predict(table.features[test])
        ),
        "plain ExtraTrees, eight columns": lambda seed, train, test: (
            ExtraTreesRegressor(100, random_state=seed).fit(eight[train], y[train]).predict(eight[test])
        ),
        "closed form 1-esp^(1/m)": lambda seed, train, test: 1 - eight[test, 7] ** (1 / eight[test, 1]),
    }
    rows = []
    for split, groups in splits.items():
        for model, make in makers.items():
            seeds = SEEDS if "closed" not in model else range(1)
            said = np.empty((len(seeds), len(y)))
            for seed in seeds:
                for out in left_out(groups) if groups is not None else five_folds(len(y), seed):
                    said[seed, out] = make(seed, ~out, out)
            rows.append({"split": split, "model": model} | figures(y, said, twins))
            print(rows[-1], flush=True)
    return rows


def figures(y: np.ndarray, said: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Mean over seeds (first axis) of R2 and MAE, with bootstrap intervals over groups."""

    def mean(figure: Callable[..., float]) -> Callable[[np.ndarray], float]:
        return lambda rows: float(np.mean([figure(y[rows], one[rows]) for one in said]))

    every = np.arange(len(y))
    result: dict[str, Any] = {"rows": len(y), "seeds": len(said)}
    for name, figure in (("r2", mean(r2)), ("mae", mean(mae))):
        low, high = bootstrap(figure, groups)
        result |= {name: round(figure(every), 4), f"{name}_low": round(low, 4), f"{name}_high": round(high, 4)}
    return result | {"r2_seeds": " ".join(f"{r2(y, one):.3f}" for one in said)}


def own() -> list[dict[str, Any]]:
    table = read_table()
    y, rows = table.rates, []
    for split in ("machine", "family", "circuit"):
        groups = table.facts[split]
        said, low, high = np.empty((3, len(y)))
        for out in left_out(dealt(groups) if split == "circuit" else groups):
            model = rate_model(table[~out])
            columns = model[:-1].transform(table.features[out])
            said[out], low[out], high[out] = model[-1].predict_interval(columns, 0.8)
        held = (y >= low) & (y <= high)
        rows.append(
            {"left out": split, "name": "all", "coverage_of_80": round(float(held.mean()), 3)}
            | {"width": round(float(np.median(high - low)), 4)}
            | {k: v for k, v in figures(y, said[None], groups).items() if k != "r2_seeds"}
        )
        print(rows[-1], flush=True)
        bands = np.digitize(y, [0.02, 0.05, 0.1, 0.2, 0.3])
        names = np.array(["<.02", ".02-.05", ".05-.1", ".1-.2", ".2-.3", ">.3"])[bands]
        for name, of in [(g, groups) for g in np.unique(groups)] + [(b, names) for b in np.unique(names)]:
            part = of == name
            rows.append(
                {"left out": split, "name": name if of is groups else f"rate {name}"}
                | {"coverage_of_80": round(float(held[part].mean()), 3)}
                | {"width": round(float(np.median((high - low)[part])), 4), "rows": int(part.sum())}
                | {"mae": round(mae(y[part], said[part]), 4), "bias": round(float((said - y)[part].mean()), 4)}
            )
    return rows


def importance() -> list[dict[str, Any]]:
    """Loss of R2 on circuits left out when one physical column, or all of a part, is shuffled."""
    from qcluster.learn.physics import COLUMNS

    table = read_table()
    rng, parts = np.random.default_rng(0), dealt(table.groups, 5)
    wanted = {name: [place] for place, name in enumerate(COLUMNS)}
    said = {name: np.empty(len(table)) for name in ("nothing", *wanted)}
    for out in left_out(parts):
        model = rate_model(table[~out])
        columns = model[:-1].transform(table.features[out])
        said["nothing"][out] = model[-1].predict(columns)
        for name, places in wanted.items():
            shuffled = columns.copy()
            shuffled[:, places] = columns[rng.permutation(len(columns))][:, places]
            said[name][out] = model[-1].predict(shuffled)
    whole = r2(table.rates, said["nothing"])
    rows = [{"shuffled": name, "r2": round(r2(table.rates, rates), 4)} for name, rates in said.items()]
    for row in rows:
        row["loss"] = round(whole - row["r2"], 4)
    draw_importance(rows[1:])
    return rows


def draw_importance(rows: list[dict[str, Any]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = sorted(rows, key=lambda row: row["loss"])
    figure, axes = pyplot.subplots(figsize=(6, 3), layout="constrained")
    axes.barh([row["shuffled"].replace("_", " ") for row in rows], [row["loss"] for row in rows], color="#3b6ea5")
    axes.set_xlabel("loss of R² on circuits left out when shuffled")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(RESULTS / "rates_importance.png", dpi=150)
    pyplot.close(figure)


def transfer() -> list[dict[str, Any]]:
    """Everything is frozen: this scores the real rows, and nothing was chosen by them."""
    simulated, real = read_table(), real_rows()
    blind = simulated.features.copy()
    blind[:, [place for place, name in enumerate(NAMES) if name not in (*EIGHT, "shots")]] = np.nan
    said = np.stack([new_model(seed).fit(blind, simulated.rates).predict(real.features) for seed in SEEDS])
    esp, bits = (real.features[:, NAMES.index(name)] for name in ("esp", "n_measured"))
    idle = 0.004 * real.features[:, NAMES.index("n_qubits")] * real.features[:, NAMES.index("two_qubit")]
    rows = []
    for model, rates in (
        ("ours, trained on simulations only", said),
        ("closed form 1-esp^(1/m)", (1 - esp ** (1 / bits))[None]),
        ("closed form with idling and uniform part", closed_form(esp * np.exp(-idle), bits)[None]),
    ):
        rows.append({"model": model} | figures(real.rates, rates, real.facts["circuit"]))
        print(rows[-1], flush=True)
    with (RESULTS / "rates_transfer_rows.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["machine", "circuit", "published", "predicted"])
        columns = real.facts["machine"], real.facts["circuit"], real.rates.round(4), said.mean(axis=0).round(4)
        writer.writerows(zip(*columns, strict=True))
    return rows


def described(record: dict[str, Any]) -> tuple[Any, Any]:
    """Read a record's compiled circuit, scheduled on FakeBrussels, whose calibration of another day stands in."""
    from qiskit import qasm3

    from qcluster.bench.rate_table import describe
    from qcluster.device.machine import find_machine

    return describe(qasm3.loads(record["transpiled_openqasm3"]), find_machine("fake_brussels"))


def brussels_rates() -> list[dict[str, Any]]:
    rows = []
    for record in brussels():
        profile, calibration = described(record)
        row = {"record": record["id"], "published": round(record["effective_rate"], 4)}
        for name, known in {
            "all": (profile, calibration, record["counts"]),
            "circuit_and_counts": (profile, None, record["counts"]),
            "before_the_run": (profile, calibration, None),
            "counts_only": (None, None, record["counts"]),
        }.items():
            rates = estimate_rates(*known)
            row[name] = round(rates.value, 4)
            row[f"{name}_interval"] = f"{rates.low:.3f}-{rates.high:.3f}"
        row["in_range"] = rates.in_range
        rows.append(row)
        print(row, flush=True)
    return rows


def fidelity() -> list[dict[str, Any]]:
    """method="paper" with each rate: on the six records, and on simulated machines that the model did not see."""
    from benchmarks.rates_simulated import simulated

    rows = []
    for record in brussels():
        profile, calibration = described(record)
        rows.append(judged(record["id"], record["counts"], record["ideal"], record["effective_rate"],
                           estimate_rates(profile, calibration, record["counts"])))  # fmt: skip
    for name, counts, ideal, truth, rates in simulated():
        rows.append(judged(name, counts, ideal, truth, rates))
    return rows


def judged(name: str, counts: Any, ideal: Any, truth: float, rates: Any) -> dict[str, Any]:
    truth = float(np.clip(truth, 0.001, 0.49))
    row = {"run": name, "true_rate": round(truth, 4), "estimated_rate": round(rates.value, 4)}
    row["raw"] = round(qc.metrics.hellinger_fidelity(counts, ideal), 4)
    for label, rate in {
        "true": truth, "estimated": max(rates.value, 0.001), "per_bit": np.maximum(rates.per_bit, 0.001),
        "half": truth / 2, "half_more": min(1.5 * truth, 0.49),
    }.items():  # fmt: skip
        fixed = qc.mitigate(counts, rate, method="paper")
        row[label] = round(qc.metrics.hellinger_fidelity(fixed.distribution, ideal), 4)
    print(row, flush=True)
    return row


def speed() -> list[dict[str, Any]]:
    rate_model(read_table()[:50])  # imports, which are not what is measured
    start = perf_counter()
    model = rate_model(read_table(), seed=1)
    fitted = perf_counter()
    counts = brussels()[2]["counts"]
    estimate_rates(counts=counts, model=model)
    model.predict(features(counts=counts)[None])
    times = []
    for _ in range(20):
        begin = perf_counter()
        estimate_rates(counts=counts, model=model)
        times.append(perf_counter() - begin)
    return [
        {"what": "fit from CSV", "rows": len(read_table()), "milliseconds": round(1e3 * (fitted - start), 1)},
        {"what": "estimate_rates, 357 strings", "rows": 1, "milliseconds": round(1e3 * float(np.median(times)), 1)},
    ]


RUNS = {"published": published, "own": own, "importance": importance, "transfer": transfer, "brussels": brussels_rates,
        "fidelity": fidelity, "speed": speed}  # fmt: skip


def main(names: list[str]) -> None:
    RESULTS.mkdir(exist_ok=True)
    for name in names or list(RUNS):
        rows = RUNS[name]()
        columns = list(dict.fromkeys(key for row in rows for key in row))
        with (RESULTS / f"rates_{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
