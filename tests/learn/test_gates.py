"""Files of gates: one that was written is read, whatever else is refused with its name and a reason."""

import gzip
import json
from dataclasses import asdict, replace
from inspect import signature

import numpy as np
import pytest
from typer.testing import CliRunner

from qcluster.cli.decision import decision_app
from qcluster.cli.decision import train as train_command
from qcluster.core.decision.candidates import NAMES
from qcluster.core.decision.circuit_candidates import NAMES as CIRCUIT
from qcluster.core.decision.gate import Gate, shipped
from qcluster.errors import StorageError
from qcluster.learn.decision import cases
from qcluster.learn.decision.gates import read_gate
from qcluster.learn.decision.score import RECORDED, answers
from qcluster.learn.decision.table import tabulate, write
from qcluster.learn.decision.train import Training, write_gate


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("gates") / "gate.npz"
    write_gate(shipped(), path)
    return path


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("names", [NAMES, CIRCUIT])
def test_a_gate_survives_its_file(tmp_path, names, wide):
    gate = shipped(names, wide=wide)
    write_gate(gate, tmp_path / "gate.npz")
    again = read_gate(tmp_path / "gate.npz", names, wide=wide)
    assert again.names == names
    assert again.card == gate.card
    features = np.random.default_rng(0).normal(size=(5, len(again.mean)))
    np.testing.assert_allclose(again.logits(features), gate.logits(features), rtol=1e-6)
    with pytest.raises(StorageError, match=f"{'up to' if wide else 'more than'} 12 bits; got one for counts"):
        read_gate(tmp_path / "gate.npz", names, wide=not wide)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(64) + data[middle + 64 :]


@pytest.mark.parametrize("damage", [cut, flipped, gzip.compress, lambda data: b"", lambda data: b"PK\x03\x04"])
def test_a_damaged_file_is_named(whole, tmp_path, damage):
    path = tmp_path / "mine.npz"
    path.write_bytes(damage(whole.read_bytes()))
    with pytest.raises(StorageError, match=r"mine\.npz"):
        read_gate(path)


def test_what_is_no_archive_or_not_there_is_named(tmp_path):
    np.save(tmp_path / "one.npy", np.arange(3.0))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "text.npz").write_text("{}")
    (tmp_path / "folder").mkdir()
    for name in ("one.npy", "objects.npy", "text.npz", "nothing.npz", "folder"):
        with pytest.raises(StorageError, match=name.replace(".", r"\.")):
            read_gate(tmp_path / name)
    with pytest.raises(StorageError, match=r"^cannot read .*nothing\.npz: No such file or directory$"):
        read_gate(tmp_path / "nothing.npz")


def arrays(path, **changed):
    with np.load(path) as held:
        return {name: held[name] for name in held.files if changed.get(name, 0) is not None} | {
            name: value for name, value in changed.items() if value is not None
        }


@pytest.mark.parametrize("name", ["mean", "scale", "names", "card", "w1", "b1", "w2", "b2", "w3", "b3"])
def test_every_array_is_needed(whole, tmp_path, name):
    np.savez(tmp_path / "mine.npz", **arrays(whole, **{name: None}))
    with pytest.raises(StorageError, match=rf"mine\.npz.*{name}"):
        read_gate(tmp_path / "mine.npz")


@pytest.mark.parametrize("name", ["mean", "scale", "w1", "b1", "w2", "b2", "w3", "b3"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda held: held[:-1], "must fit together"),
        (lambda held: held[..., :-1], "must fit together"),
        (lambda held: held[None], "must fit together"),
        (lambda held: np.full_like(held, np.nan), "must be finite"),
        (lambda held: held.astype(str), "must be finite"),
    ],
)
def test_arrays_must_fit_together_and_be_numbers(whole, tmp_path, name, change, words):
    np.savez(tmp_path / "mine.npz", **arrays(whole, **{name: change(arrays(whole)[name])}))
    with pytest.raises(StorageError, match=rf"mine\.npz.*{words}"):
        read_gate(tmp_path / "mine.npz")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"scale": np.zeros(len(shipped().scale), np.float32)}, "must be above zero; got 0"),
        ({"card": np.array("[]")}, "must be a JSON object"),
        ({"card": np.array("{")}, "must hold a gate"),
        ({"names": np.array(NAMES[:-1])}, "must weigh the candidates"),
    ],
)
def test_scales_card_and_candidates_are_checked(whole, tmp_path, changed, words):
    np.savez(tmp_path / "mine.npz", **arrays(whole, **changed))
    with pytest.raises(StorageError, match=rf"mine\.npz.*{words}"):
        read_gate(tmp_path / "mine.npz")


def test_a_gate_of_counts_is_none_of_circuits(whole):
    with pytest.raises(StorageError, match=r"gate\.npz must hold a gate for counts of known circuits.*got raw, smooth"):
        read_gate(whole, CIRCUIT)


@pytest.fixture(scope="module")
def table():
    return tabulate(cases.full(seed) for seed in range(3))


def test_a_gate_of_other_features_is_refused_by_scores(table):
    gate = shipped()
    other = replace(gate, mean=gate.mean[1:], scale=gate.scale[1:], layers=(gate.layers[0][:, 1:], *gate.layers[1:]))
    assert isinstance(other, Gate)
    with pytest.raises(ValueError, match=f"equally many features; got {len(gate.mean) - 1} and {len(gate.mean)}"):
        answers(table, other)


def test_the_command_names_what_is_no_gate(table, tmp_path):
    (tmp_path / "table").mkdir()
    write(table, tmp_path / "table" / "full-0.npz")
    (tmp_path / "mine.npz").write_bytes(b"PK")
    with pytest.raises(StorageError, match=r"mine\.npz"):
        CliRunner().invoke(
            decision_app,
            ["score", "--table", str(tmp_path / "table"), "--gate", str(tmp_path / "mine.npz")],
            catch_exceptions=False,
        )


def test_by_default_the_training_is_that_of_the_gate_that_ships():
    """Those of wide counts and of circuits differ in what docs give beside the command."""
    settings = asdict(Training())
    assert json.loads(shipped().card)["settings"] == settings
    assert json.loads(shipped(wide=True).card)["settings"] == settings | {"epochs": 155, "members": 16}
    assert json.loads(shipped(CIRCUIT).card)["settings"] == settings | {"epochs": 180, "missed": 1, "harm": 10.0}
    assert json.loads(shipped(CIRCUIT, wide=True).card)["settings"] == settings | {"epochs": 160}
    given = {name: one.default for name, one in signature(train_command).parameters.items()}
    shared = settings.keys() & given.keys()
    assert shared == {"seed", "harm", "epochs", "members", "missed", "hidden"}
    assert {name: given[name] for name in shared} == {name: settings[name] for name in shared}
    assert given["recorded"] == RECORDED
