import numpy as np
import pytest
from qiskit import QuantumCircuit, generate_preset_pass_manager
from qiskit.quantum_info import Operator, Statevector

from qcluster.device import read_calibration, read_profile
from qcluster.device.circuits.schedule import DECOUPLING, schedule
from qcluster.device.circuits.twirl import twirl


@pytest.fixture(scope="module")
def compiled(torino, ghz):
    return generate_preset_pass_manager(2, backend=torino, seed_transpiler=1).run(ghz(6, "mine"))


def on_active(circuit):
    """The unitary part on the qubits in use only, in ascending order."""
    used = sorted({circuit.find_bit(q).index for item in circuit.data if item.name == "sx" for q in item.qubits})
    place = {q: i for i, q in enumerate(used)}
    small = QuantumCircuit(len(used))
    for item in circuit.data:
        qubits = [circuit.find_bit(q).index for q in item.qubits]
        if item.name not in {"measure", "barrier", "delay"}:
            small.append(item.operation, [place[q] for q in qubits])
    return small


def test_qiskit_and_we_agree_on_the_schedule(torino, ghz, compiled):
    (mine,) = schedule([compiled], torino.target)
    theirs = generate_preset_pass_manager(2, backend=torino, seed_transpiler=1, scheduling_method="alap")
    assert mine.estimate_duration(torino.target, "s") == pytest.approx(
        theirs.run(ghz(6)).estimate_duration(torino.target, "s")
    )
    assert mine.count_ops()["delay"] > 0
    assert (mine.name, mine.layout) == ("mine", compiled.layout)


@pytest.mark.parametrize("dd", DECOUPLING)
def test_decoupling_changes_waiting_and_nothing_else(torino, compiled, dd):
    (bare,), (pulsed,) = schedule([compiled], torino.target), schedule([compiled], torino.target, dd)
    calibration = read_calibration(torino)
    before, after = (read_profile(c, calibration, dt=torino.dt) for c in (bare, pulsed))
    assert after.counts_by_kind["x"] > before.counts_by_kind.get("x", 0)
    assert after.idle.sum() < before.idle.sum()
    assert after.duration == pytest.approx(before.duration)
    assert Statevector(on_active(pulsed)).equiv(Statevector(on_active(bare)))


@pytest.mark.parametrize("dd", DECOUPLING)
def test_sequences_are_the_identity(dd):
    from qcluster.device.circuits.schedule import _sequence

    gates, spacing = _sequence(dd)
    product = Operator(np.eye(2))
    for gate in gates:
        product = product.compose(Operator(gate))
    assert product.equiv(Operator(np.eye(2)))
    assert sum(spacing) == 1
    assert len(spacing) == len(gates) + 1


def test_twirls_schedule_without_a_rest(torino, compiled):
    twirls = twirl(compiled, 4, torino.target, seed=1)
    for dressed in schedule(twirls.circuits, torino.target, "XX"):
        assert dressed.layout.final_index_layout() == compiled.layout.final_index_layout()
        for item in dressed.data:
            if item.name != "barrier":
                qubits = tuple(dressed.find_bit(q).index for q in item.qubits)
                assert torino.target.instruction_supported(item.name, qubits)


def test_refusals(torino, compiled):
    with pytest.raises(ValueError, match="dd must be one of XX, XpXm, XY4 or None; got 'CPMG'"):
        schedule([compiled], torino.target, "CPMG")
    circuit = QuantumCircuit(1, 1, name="branching")
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    with pytest.raises(ValueError, match="'branching' cannot be scheduled"):
        schedule([circuit], torino.target)
