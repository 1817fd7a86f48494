"""Time the overhead of execute and MitigatedSampler over a bare Sampler call, without the simulation, in one run.

Run from the repository: python -m benchmarks.speed.device
Writes benchmarks/results/speed_device.csv. The simulator replays a recorded result, the same for all calls, so the
times contain only compilation, twirling, scheduling, intake and mitigation. The bare call is Qiskit's compiler at level
3 and its BackendSamplerV2. GHZ-10 on FakeTorino, 4096 shots; fastest of interleaved repeats.
"""

from time import perf_counter

from qiskit import generate_preset_pass_manager
from qiskit.primitives import BackendSamplerV2
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.fake_provider import FakeTorino

from benchmarks.chain import ghz
from benchmarks.data import write_row_by_row
from qcluster.device import MitigatedSampler
from qcluster.device.execute import execute

BITS, SHOTS, REPEATS = 10, 4096, 5


class Player(AerSimulator):
    """A simulator that simulates each kind of call once, and then replays the result."""

    recorded: dict = {}  # noqa: RUF012 (shared by copies on purpose)

    def run(self, circuits, *args, shots, memory=False, **options):
        n_circuits = len(circuits) if isinstance(circuits, list) else 1
        key = n_circuits, shots, memory
        if key not in self.recorded:
            ideal = AerSimulator(method="stabilizer")
            self.recorded[key] = ideal.run([ghz(BITS, measured=True)] * n_circuits, shots=shots, memory=memory).result()
        result = self.recorded[key]
        return type("Job", (), {"result": lambda self: result})()


def main() -> None:
    circuit, torino = ghz(BITS, measured=True), FakeTorino()
    player = Player.from_backend(torino, noise_model=None)
    compiled = generate_preset_pass_manager(3, backend=torino, seed_transpiler=1).run(circuit)
    samplers = {k: MitigatedSampler(player, shots=SHOTS, twirls=k, noise=0.02, method="paper", seed=1) for k in (1, 16)}

    def bare() -> None:
        passes = generate_preset_pass_manager(3, backend=torino, seed_transpiler=1)
        BackendSamplerV2(backend=player).run([passes.run(circuit)], shots=SHOTS).result()

    works = {
        "Sampler, circuit compiled before": lambda: (
            BackendSamplerV2(backend=player).run([compiled], shots=SHOTS).result()
        ),
        "compile + Sampler": bare,
        "execute": lambda: execute([circuit], player, shots=SHOTS, seed=1),
        "execute, 16 twirls": lambda: execute([circuit], player, shots=SHOTS, twirls=16, seed=1),
        "MitigatedSampler, first call": lambda: (
            MitigatedSampler(player, shots=SHOTS, noise=0.02, method="paper", seed=1).run([circuit]).result()
        ),
        "MitigatedSampler, later calls": lambda: samplers[1].run([circuit]).result(),
        "MitigatedSampler, later calls, 16 twirls": lambda: samplers[16].run([circuit]).result(),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for repeat in range(REPEATS + 1):
        for name, work in works.items():
            start = perf_counter()
            work()
            if repeat:  # the first round fills caches
                times[name].append(perf_counter() - start)
    rows = ({"call": name, "milliseconds": round(1e3 * min(values), 1)} for name, values in times.items())
    write_row_by_row("speed_device.csv", rows)


if __name__ == "__main__":
    main()
