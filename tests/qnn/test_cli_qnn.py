"""The commands, through Typer's own runner."""

import json
import re

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from qcluster.cli.qnn import qnn_app, train
from qcluster.qnn import ContractedReadout, load_digits_4x4, load_model


def run(*arguments):
    return CliRunner().invoke(qnn_app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_train_and_evaluate_exactly(tmp_path):
    model, values = tmp_path / "model.json", tmp_path / "values.json"
    done = run("train", "--out", model, "--ansatz", "zx-xx", "--reps", 2, "--solver", "adam", "--max-iter", 5)
    assert done.exit_code == 0, done.output
    shown = done.stdout.splitlines()
    assert shown[0] == "65 parameters on 16 data qubits; 254 samples to train, 110 to test"  # no bar
    assert shown[-1] == f"model: {model}"
    assert "25/25" in done.stderr
    assert json.loads(model.read_text())["format"] == "qcluster-qnn"
    done = run("evaluate", model, "--json", values)
    assert done.exit_code == 0, done.output
    assert "110 samples" in done.output
    assert len(json.loads(values.read_text())["ideal"]) == 110


def test_images_of_the_users_own(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.random((60, 6, 6))
    images[:30, :3] += 1
    np.savez(tmp_path / "set.npz", images=images / 2, labels=np.repeat(["top", "flat"], 30))
    for encoding in ("basis", "angle"):
        done = run("train", "--data", tmp_path / "set.npz", "--size", 3, "--out", tmp_path / "m.json",
                   "--encoding", encoding)  # fmt: skip
        assert done.exit_code == 0, done.output
        assert "10 parameters on 9 data qubits" in done.output
        assert "test 1.0" in done.output or "test 0.9" in done.output
        assert run("evaluate", tmp_path / "m.json", "--data", tmp_path / "set.npz", "--size", 3).exit_code == 0
        with pytest.raises(ValueError, match="9 features of the model; they have 16: see --size"):
            run("evaluate", tmp_path / "m.json", "--data", tmp_path / "set.npz")


def test_bad_names_are_told(tmp_path):
    with pytest.raises(ValueError, match="ansatz must be one of"):
        run("train", "--ansatz", "nothing", "--out", tmp_path / "m.json")
    with pytest.raises(Exception, match="cannot read"):
        run("evaluate", tmp_path / "none.json")


def test_a_model_is_not_scored_on_other_classes(tmp_path):
    run("train", "--out", tmp_path / "m.json", "--a", 1, "--b", 2)
    with pytest.raises(ValueError, match="the model's classes, 1 and 2; they are of 3 and 6: see --a, --b"):
        run("evaluate", tmp_path / "m.json")


def test_values_measured_on_a_backend_are_calibrated(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.random((40, 4, 4))
    images[:20, :2] += 1
    np.savez(tmp_path / "set.npz", images=images / 2, labels=np.repeat(["top", "flat"], 20))
    data = ("--data", tmp_path / "set.npz", "--size", 2)
    assert run("train", *data, "--out", tmp_path / "m.json").exit_code == 0
    done = run("evaluate", tmp_path / "m.json", *data, "--backend", "fake_manila", "--json", tmp_path / "v.json")
    assert done.exit_code == 0, done.output
    assert "calibrated on" in done.output
    content = json.loads((tmp_path / "v.json").read_text())
    low, high = content["slope"]["interval"]
    assert low < content["slope"]["value"] < high
    assert np.array(content["measured"]) * content["slope"]["value"] == pytest.approx(content["raw"])
    assert "reference" not in content
    beside = ("--backend", "fake_manila", "--mitigation", "none", "--reference")
    done = run("evaluate", tmp_path / "m.json", *data, *beside, "--json", tmp_path / "v.json")
    assert done.exit_code == 0, done.output
    assert "fake_manila, by" in done.output
    content = json.loads((tmp_path / "v.json").read_text())
    ideal, mitigated = np.array(content["ideal"]), np.array(content["reference"]["measured"])
    off = {"raw": np.array(content["measured"]) - ideal, "mitigated": mitigated - ideal}
    rms = {name: np.sqrt(np.mean(values**2)) for name, values in off.items()}
    assert rms["mitigated"] < rms["raw"] / 2
    with pytest.raises(ValueError, match="--reference would have no effect"):
        run("evaluate", tmp_path / "m.json", *data, "--reference")
    twice = ("--backend", "fake_manila", "--mitigation", "reference", "--reference")  # of two equal ways one was kept
    with pytest.raises(ValueError, match="--reference would have no effect: --mitigation reference measures beside"):
        run("evaluate", tmp_path / "m.json", *data, *twice)


def test_tables_idx_files_and_a_drawn_loss(tmp_path):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (200, 3))
    lines = [f"{a},{b},{c},{'abc'[a + b]}" for a, b, c in bits]
    (tmp_path / "rows.csv").write_text("\n".join(["x,y,z,kind", *lines]))
    data = ("--data", tmp_path / "rows.csv")
    done = run("train", *data, "--out", tmp_path / "m.json", "--plot", tmp_path / "loss.png")
    assert done.exit_code == 0, done.output
    assert "test 1.0000" in done.output
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    done = run("evaluate", tmp_path / "m.json", *data)
    assert done.exit_code == 0, done.output
    assert "1.0000" in done.output
    with pytest.raises(ValueError, match="one readout, and this model has 3"):
        run("evaluate", tmp_path / "m.json", *data, "--backend", "aer")
    done = run("train", *data, "--classes", "a,c", "--out", tmp_path / "m.json")
    assert "4 parameters on 3 data qubits" in done.output
    images = np.zeros((40, 4, 4), dtype=np.uint8)
    images[:20, :2] = 255
    head = b"\0\0\x08\x03" + np.array(images.shape, dtype=">u4").tobytes()
    (tmp_path / "my-images-idx3-ubyte").write_bytes(head + images.tobytes())
    (tmp_path / "my-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x28" + bytes([3] * 20 + [6] * 20))
    done = run("train", "--data", tmp_path / "my-images-idx3-ubyte", "--classes", "3,6", "--size", 2,
               "--out", tmp_path / "m.json")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "test 1.0000" in done.output


def test_an_evaluation_counts_the_strings_that_it_runs(tmp_path):
    """Rows of numbers that are cut to the same bits are one input, as the number of circuits shows."""
    cells = np.linspace(0, 1, 40)
    lines = [f"{a},{a * a},{'yes' if a > 0.5 else 'no'}" for a in cells]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,label", *lines]))
    data = ("--data", tmp_path / "rows.csv")
    assert run("train", *data, "--out", tmp_path / "m.json").exit_code == 0
    done = run("evaluate", tmp_path / "m.json", *data, "--backend", "aer", "--mitigation", "none")
    n_circuits = re.search(r"│ aer .*│ +(\d+) +│ +\d+ +│", done.output)[1]
    assert f"12 samples, {n_circuits} distinct inputs" in done.output
    assert int(n_circuits) < 4


def test_columns_in_another_order_are_found_by_name(tmp_path):
    """The names were lost, and each feature was taken for the one at its place: an accuracy of 0."""
    lines = [f"{a},{1 - a},{'yes' if a else 'no'}" for a in (0, 1) * 20]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,label", *lines]))
    (tmp_path / "turned.csv").write_text("\n".join(["b,a,label", *lines]).replace("yes", "?").replace("no", "yes")
                                         .replace("?", "no"))  # fmt: skip
    assert run("train", "--data", tmp_path / "rows.csv", "--out", tmp_path / "m.json").exit_code == 0
    assert load_model(tmp_path / "m.json").feature_names_in_.tolist() == ["a", "b"]
    for name in ("rows.csv", "turned.csv"):
        done = run("evaluate", tmp_path / "m.json", "--data", tmp_path / name, "--backend", "aer", "--shots", 100)
        assert done.exit_code == 0, done.output
        assert done.output.count("1.0000") == 2
    (tmp_path / "other.csv").write_text("\n".join(["a,c,label", *lines]))
    with pytest.raises(ValueError, match="must have the model's columns, a, b; they have a, c"):
        run("evaluate", tmp_path / "m.json", "--data", tmp_path / "other.csv")
    (tmp_path / "bare.csv").write_text("\n".join(lines))
    assert "1.0000" in run("evaluate", tmp_path / "m.json", "--data", tmp_path / "bare.csv").output


def test_an_evaluation_takes_the_split_of_the_training(tmp_path):
    """It scored rows that the model was trained on, unless the seed and the share were given again."""
    data = ("--data", tmp_path / "rows.csv")
    rng = np.random.default_rng(0)
    lines = [",".join(map(str, bits)) for bits in rng.integers(0, 2, (40, 3))]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    train_options = ("--seed", 3, "--test-share", 0.45, "--out", tmp_path / "m.json")
    shown = run("train", *data, *train_options).output
    scored = re.search(r"test ([\d.]+) \(ideal", shown)[1]
    for options in ((), ("--test-share", 0.45), ("--seed", 9)):
        done = run("evaluate", tmp_path / "m.json", *data, *options, "--json", tmp_path / "v.json")
        assert done.exit_code == 0, done.output
        assert "18 samples" in done.output
        assert scored in done.output
    with pytest.raises(ValueError, match=r"--test-share must be that of the model's training, 0\.45; got 0\.3"):
        run("evaluate", tmp_path / "m.json", *data, "--test-share", 0.3)
    stored = json.loads((tmp_path / "m.json").read_text())
    assert stored["split"] == {"seed": 3, "test_share": 0.45}
    del stored["split"]  # as in a file of an earlier version
    (tmp_path / "old.json").write_text(json.dumps(stored))
    assert scored in run("evaluate", tmp_path / "old.json", *data, "--seed", 3, "--test-share", 0.45).output
    assert "12 samples" in run("evaluate", tmp_path / "old.json", *data).output


def test_an_archive_may_have_any_name(tmp_path):
    """One with idx in its name was taken for a file of MNIST's format."""
    images = np.zeros((20, 2, 2))
    images[:10, 0] = 1
    np.savez(tmp_path / "idx_of_all.npz", images=images, labels=np.repeat([3, 6], 10))
    done = run("train", "--data", tmp_path / "idx_of_all.npz", "--size", 2, "--out", tmp_path / "m.json")
    assert done.exit_code == 0, done.output
    assert "test 1.0000" in done.output


def test_options_of_other_data_are_refused(tmp_path):
    (tmp_path / "rows.csv").write_text("0,a\n1,b\n")
    with pytest.raises(ValueError, match="--classes would have no effect"):
        run("train", "--classes", "3,6")
    with pytest.raises(ValueError, match="--size would have no effect"):
        run("train", "--data", tmp_path / "rows.csv", "--size", 3)


@pytest.mark.parametrize("error", [OSError("the line is dead"), KeyboardInterrupt()])
def test_a_training_that_breaks_off_keeps_what_was_paid_for(tmp_path, monkeypatch, capsys, error):
    """The model was lost, with the shots of all rounds before."""
    batches = []

    def measure(self, *given, **options):
        batches.append(given)
        if len(batches) > 4:
            raise error
        return ContractedReadout(0.9).measure(*given, **options)

    monkeypatch.setattr("qcluster.qnn.device.DeviceReadout.measure", measure)
    with pytest.raises(type(error)):
        train(typer.Context(typer.main.get_command(qnn_app)), tmp_path / "m.json", backend="aer", shots=100)
    assert "training broke off after 4 rounds" in capsys.readouterr().err
    model = load_model(tmp_path / "m.json")
    assert (model.n_iter_, len(model.loss_curve_)) == (4, 4)
    first = model.loss_curve_[0]
    model.set_params(warm_start=True, backend=ContractedReadout(0.9), train_on="backend", max_iter=2)
    digits = load_digits_4x4(3, 6)
    assert model.fit(digits.X, digits.y).loss_curve_[0] < first


def test_a_bar_ends_at_its_end(tmp_path):
    """Where starts converged before max_iter, it ended at 839/1000."""
    done = run("train", "--out", tmp_path / "m.json")
    rounds, planned = re.findall(r"(\d+)/(\d+)", done.stderr)[-1]
    assert rounds == planned


def test_a_training_that_never_began_writes_nothing(tmp_path, capsys):
    """An empty bar stood before the error."""
    context = typer.Context(typer.main.get_command(qnn_app))
    for wrong in ({"solver": "newton"}, {"ansatz": "zy"}, {"backend": "fake_torrino"}):
        with pytest.raises(ValueError, match="must"):
            train(context, tmp_path / "m.json", **wrong)
    assert not (tmp_path / "m.json").exists()
    assert not capsys.readouterr().err.strip()
