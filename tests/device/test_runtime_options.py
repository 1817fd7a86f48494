"""The runtime's own options, sessions, ids, cancelling and usage, as its own client sends them over the wire."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import qiskit_ibm_runtime
from qiskit import QuantumCircuit
from qiskit.providers import JobStatus
from qiskit_ibm_runtime import Batch, Session
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.fake_provider import FakeManilaV2
from qiskit_ibm_runtime.options import SamplerExecutionOptionsV2
from qiskit_ibm_runtime.options_models import SamplerExecutionOptions, SamplerOptions
from requests.exceptions import ConnectionError as NoNetwork

from qcluster.device import MitigatedSampler, jobs
from qcluster.device.execute import execute
from qcluster.device.machines.machine import find_machine
from qcluster.device.prepare import Options, prepare
from qcluster.device.request import Request, describe_usage, estimate_usage, reference_cost
from qcluster.device.runtime_options import sampler_options
from qcluster.errors import JobError
from qcluster.qnn import QNNClassifier

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:qiskit_ibm_runtime")


def bell():
    circuit = QuantumCircuit(2, name="bell")
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def test_options_of_the_runtime_arrive_with_the_job(cloud, backend):
    runtime = {
        "max_execution_time": 60,
        "execution": {"rep_delay": 1e-4, "init_qubits": False},
        "environment": {"job_tags": ["mine", "today"], "private": True, "log_level": "INFO"},
    }
    (run,) = execute([bell()], backend, shots=40, twirls=2, seed=1, runtime=runtime)
    job = cloud.jobs["c001"]
    assert job["told"]["max_execution_time"] == 60
    assert job["told"]["private"] is True
    assert job["told"]["log_level"] == "INFO"
    assert {"mine", "today"} < set(job["tags"]), "our own tags are there as well, by which a lost job is found"
    sent = job["params"]["options"]
    assert (sent["rep_delay"], sent["init_qubits"]) == (1e-4, False)
    assert set(run.counts.to_counts()) == {"00", "11"}
    assert run.options["runtime"] == runtime


@pytest.mark.parametrize("kind", [Session, Batch])
def test_an_open_session_is_used_and_stays_open(cloud, backend, kind):
    with kind(backend=backend) as mode:
        for _ in range(2):
            (run,) = execute([bell()], mode, shots=20, seed=1)
            assert run.shots == 20
        MitigatedSampler(mode, seed=1, method="none").run([bell()], shots=10).result()
        assert cloud.sessions == ["opened"]
    assert cloud.sessions == ["opened", "closed"]
    assert [job["session"] for job in cloud.jobs.values()] == ["session"] * 3
    with kind(backend=backend) as mode, pytest.raises(ValueError, match="an open one was given as backend"):
        execute([bell()], mode, shots=20, mode="batch")


@pytest.mark.parametrize("kind", [Batch, Session])
def test_a_classifier_measures_in_the_session_that_is_open(cloud, backend, kind):
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    model = QNNClassifier(random_state=0).fit(X, [0, 0, 1, 1])
    exact = model.decision_function(X)
    with kind(backend=backend) as mode:
        model.set_params(backend=mode, execution={"mitigation": "none"}, shots=400)
        assert abs(model.measure(X).values - exact).max() < 0.05
    assert cloud.sessions == ["opened", "closed"]
    assert [job["session"] for job in cloud.jobs.values()] == ["session"]


def test_a_session_around_a_simulator_is_that_simulator():
    (run,) = execute([bell()], Session(backend=FakeManilaV2()), shots=20, seed=1)
    assert run.backend == "fake_manila"


@pytest.mark.parametrize("strategy", ["active", "active-accum", "active-circuit", "all"])
@pytest.mark.parametrize("group", ["pauli", "balanced_pauli"])
def test_the_runtime_twirls_as_it_is_told(cloud, backend, strategy, group):
    """Each strategy and group leaves the distribution; how many qubits it dresses is seen in what is sent."""
    runtime = {"twirling": {"strategy": strategy, "group": group, "shots_per_randomization": 30}}
    (run,) = execute([bell()], backend, shots=100, twirling="server", seed=1, runtime=runtime)
    assert run.counts.shots == 120, "4 randomisations of 30 shots: rounded up"
    assert set(run.counts.to_counts()) == {"00", "11"}
    (item,) = cloud.jobs["c001"]["program"].items
    assert (item.shape, cloud.jobs["c001"]["program"].shots) == ((4,), 30)


@pytest.mark.parametrize("group", ["pauli", "balanced_pauli", "local_c1", "local_pauli"])
@pytest.mark.parametrize("strategy", [None, "active", "active-accum", "active-circuit", "all"])
def test_strategy_and_group_are_words_for_either_twirling(strategy, group):
    """By the same keywords as of our own twirling; None leaves the runtime its own default."""
    options = Options(shots=64, twirls=4, twirling="server", strategy=strategy, group=group)
    arrived = SamplerOptions(**sampler_options(vars(options), ["tag"])).twirling
    assert (arrived.strategy, arrived.group) == (strategy or SamplerOptions().twirling.strategy, group)


def test_local_groups_are_drawn_by_the_runtime(cloud, backend):
    (run,) = execute([bell()], backend, shots=64, twirls=4, twirling="server", seed=1, strategy="all", group="local_c1")
    assert set(run.counts.to_counts()) == {"00", "11"}
    (item,) = cloud.jobs["c001"]["program"].items
    assert item.shape == (4,)


def test_idle_neighbours_are_twirled_where_all_is_asked_for(cloud, backend):
    """`strategy="all"` dresses the three qubits of the machine that the circuit leaves idle."""
    dressed = []
    for strategy in ("active", "all"):
        runtime = {"twirling": {"strategy": strategy}}
        execute([bell()], backend, shots=64, twirls=2, twirling="server", seed=1, runtime=runtime)
        (item,) = list(cloud.jobs.values())[-1]["program"].items
        dressed.append({item.circuit.find_bit(q).index for i in item.circuit.data if i.name == "rz" for q in i.qubits})
    assert len(dressed[0]) == 2
    assert dressed[1] == set(range(5))


@pytest.mark.parametrize(
    ("twirls", "twirling", "shots", "taken"),
    [
        (1, {"num_randomizations": "auto"}, 1000, 16 * 64),
        (1, {"num_randomizations": 7}, 1000, 7 * 143),
        (5, {"shots_per_randomization": 9}, 45, 45),
        (3, {"strategy": "active"}, 100, 102),
    ],
)
def test_shots_of_the_runtimes_twirling_are_those_that_it_takes(cloud, backend, twirls, twirling, shots, taken):
    (run,) = execute(
        [bell()], backend, shots=shots, twirls=twirls, twirling="server", seed=1, runtime={"twirling": twirling}
    )
    assert run.shots == taken


def test_decoupling_takes_the_runtimes_details(cloud, backend):
    runtime = {"dynamical_decoupling": {"scheduling_method": "asap", "skip_reset_qubits": True}}
    request = prepare([bell()], find_machine(backend), Options(shots=20, dd="XY4", runtime=runtime), seed=1)
    assert Request.from_json(request.to_json()).options["runtime"] == runtime
    options = SamplerOptions(**sampler_options(request.options, ["tag"]))
    found = options.dynamical_decoupling
    assert (found.enable, found.sequence_type, found.scheduling_method) == (True, "XY4", "asap")
    assert found.skip_reset_qubits


@pytest.mark.parametrize("kind", [SamplerOptions, qiskit_ibm_runtime.SamplerOptions])
def test_the_runtimes_own_options_object_is_taken(kind):
    """The package offers those of its older Sampler, which were refused."""
    options = kind()
    assert Options(runtime=options).runtime == {}
    options.max_execution_time, options.execution.rep_delay, options.experimental = 30, 1e-4, {"image": "a:b"}
    wanted = {"max_execution_time": 30, "execution": {"rep_delay": 1e-4}, "experimental": {"image": "a:b"}}
    assert Options(runtime=options).runtime == wanted
    options.twirling.enable_gates = True
    with pytest.raises(ValueError, match=r"'twirling.enable_gates' is set by twirling='server'"):
        Options(runtime=options)


@pytest.mark.parametrize("execution", [SamplerExecutionOptions, SamplerExecutionOptionsV2])
def test_groups_of_options_are_checked_like_their_values(execution):
    """A job of kerneled data could be sent, of which no counts came back."""
    assert Options(runtime={"execution": execution(rep_delay=1e-4)}).runtime == {"execution": {"rep_delay": 1e-4}}
    with pytest.raises(ValueError, match="must be 'classified', since counts are mitigated; got 'kerneled'"):
        Options(runtime={"execution": execution(meas_type="kerneled")})


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"runtime": {"max_time": 3}}, ValueError, "runtime option 'max_time': Extra inputs are not permitted"),
        (
            {"runtime": {"execution": {"rep_delay": "soon"}}},
            ValueError,
            "runtime option 'execution.rep_delay': .*'soon'",
        ),
        ({"runtime": {"default_shots": 3}}, ValueError, "'default_shots' is set by shots"),
        ({"runtime": {"twirling": {"enable_gates": True}}}, ValueError, "set by twirling='server' with twirls"),
        ({"runtime": {"dynamical_decoupling": {"enable": True}}}, ValueError, "is set by dd"),
        ({"runtime": {"dynamical_decoupling": {"skip_reset_qubits": True}}}, ValueError, "go with dd"),
        ({"runtime": {"twirling": {"strategy": "all"}}}, ValueError, "'strategy', go with twirling='server'"),
        (
            {"runtime": {"twirling": {"num_randomizations": 3}}, "twirling": "server", "twirls": 2},
            ValueError,
            "set by twirls: omit one",
        ),
        ({"runtime": {"execution": {"meas_type": "kerneled"}}}, ValueError, "'classified', since counts are mitigated"),
        ({"runtime": {"simulator": {"seed_simulator": 3}}}, ValueError, "is set by seed"),
        ({"runtime": {"simulator": {"angle_decimals": 3}}}, ValueError, "simulator .* has the noise of its backend"),
        ({"group": "local_c1"}, ValueError, "drawn by the runtime only, with twirling='server'"),
        (
            {"runtime": {"twirling": {"strategy": "all"}}, "twirling": "server", "strategy": "active"},
            ValueError,
            "'twirling.strategy' is set by strategy: omit one",
        ),
        (
            {"runtime": {"twirling": {"group": "pauli"}}, "twirling": "server", "group": "local_c1"},
            ValueError,
            "'twirling.group' is set by group: omit one",
        ),
        ({"runtime": 7}, TypeError, "must be a mapping of the runtime's Sampler options; got int"),
        ({"runtime": {"execution": 7}}, ValueError, "runtime option"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_words(options, error, said):
    with pytest.raises(error, match=said):
        Options(**options)


def test_the_tests_that_the_table_of_options_names_are_there():
    here = Path(__file__).parent
    named = set(re.findall(r"`(test_\w+)`", (here.parents[1] / "docs" / "device.md").read_text()))
    assert len(named) > 15
    text = "".join(path.read_text() for path in here.glob("test_*.py"))
    assert not [name for name in named if f"def {name}(" not in text]


def names(model, prefix=""):
    """All options of the runtime's Sampler, dotted."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if hasattr(type(value), "model_fields"):
            yield from names(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


VALUES = {
    "max_execution_time": 60,
    "execution.rep_delay": 1e-4,
    "environment.job_tags": ["mine"],
    "environment.image": "image:1",
    "experimental": {"anything": 1},
    "environment.max_execution_time": 60,
    "simulator.layer_noise_model": [],
    "simulator.seed_simulator": 3,
}
"""For options whose usual value says nothing; of the others the usual one is given."""

OURS = {"default_shots", "dynamical_decoupling.enable", "dynamical_decoupling.sequence_type"}
OURS |= {"twirling.enable_gates", "twirling.enable_measure", "environment.max_execution_time"}


@pytest.mark.parametrize("name", [name for name, _ in names(SamplerOptions())])
def test_every_option_of_the_runtime_is_taken_or_refused(name):
    """Also those that a newer runtime brings: each arrives as it was given, or its refusal names what to use."""
    value = VALUES.get(name, dict(names(SamplerOptions())).get(name))
    given = value
    for part in reversed(name.split(".")):
        given = {part: given}
    around = {"dd": "XX"} if name.startswith("dynamical") else {}
    around |= {"twirling": "server"} if name.startswith("twirling") else {}
    if name in OURS or name.startswith("simulator"):
        with pytest.raises(ValueError, match=f"runtime option '{name}'|runtime options of simulator"):
            Options(runtime=given, **around)
        return
    options = Options(runtime=given, **around)
    arrived = SamplerOptions(**sampler_options(vars(options), ["ours"]))
    for part in name.split("."):
        arrived = getattr(arrived, part)
    assert arrived == (["ours", "mine"] if name.endswith("job_tags") else value)


def test_a_rehearsal_says_that_the_runtimes_options_do_nothing(ghz):
    (run,) = execute([ghz(2)], "fake_manila", shots=20, seed=1, runtime={"max_execution_time": 60})
    assert "runtime options are for IBM's machines and not used: max_execution_time" in run.notes


def test_a_job_of_the_sampler_is_the_services(cloud, backend):
    job = MitigatedSampler(backend, seed=1, max_circuits=2, twirls=4, method="none").run([bell()], shots=40)
    assert job.job_id() == "c001"
    assert job.job_ids == ("c001", "c002")
    assert set(job.result()[0].data.meas.get_counts()) == {"00", "11"}
    assert job.usage() == 6.0
    assert job.status() == JobStatus.DONE
    local = MitigatedSampler("aer", seed=1).run([bell()], shots=10)
    assert local.result()[0].data.meas.num_shots == 10
    assert len(local.job_id()) == 36
    assert local.job_ids == ()


def test_cancelling_reaches_the_service_and_keeps_what_came(cloud, backend, tmp_path):
    cloud.begins_as = "Queued"
    job = MitigatedSampler(backend, seed=1, twirls=2, max_circuits=1, method="none", directory=tmp_path).run([bell()])
    cloud.jobs["c001"]["status"] = "Completed"
    assert job.status() == JobStatus.QUEUED
    assert job.cancel()
    assert [one["status"] for one in cloud.jobs.values()] == ["Completed", "Cancelled"]
    with pytest.raises(JobError, match=r"1 of 2 jobs .* job c002 ended as CANCELLED"):
        job.result()
    assert job.status() == JobStatus.CANCELLED
    (folder,) = tmp_path.glob("qcluster-*")
    assert [path.name for path in (folder / "results").iterdir()] == ["0000.json"]
    service = cloud.account("mine")
    assert jobs.cancel(folder, service=service) == []
    cloud.begins_as = "Completed"
    (run,) = jobs.collect(folder, service=service, resubmit=True)
    assert run.shots == 4096


def test_a_job_that_ended_while_it_was_cancelled_is_left(cloud, backend, monkeypatch):
    folder = jobs.submit(prepare([bell()], find_machine(backend), Options(shots=20), seed=1), find_machine(backend))
    service = jobs.open_jobs(cloud.account("mine"))
    service.cancel("c001")
    assert cloud.jobs["c001"]["status"] == "Completed"
    assert jobs.usage(folder, service=service) == {"c001": 3.0}


def test_the_use_of_a_machine_is_estimated_before_anything_is_sent(cloud, backend):
    """IBM's formula: 2 s a job, and for every shot the circuit and the delay."""
    machine = find_machine(backend)
    plain = prepare([bell(), bell()], machine, Options(shots=1000, max_circuits=1), seed=1)
    each = plain.prepared[0].profile.duration
    assert estimate_usage(plain) == pytest.approx(2 * 2 + 2000 * (each + 250e-6))
    slow = Options(shots=1000, runtime={"execution": {"rep_delay": 1e-3}})
    assert estimate_usage(prepare([bell()], machine, slow, seed=1)) == pytest.approx(2 + 1000 * (each + 1e-3))
    assert "estimated use of ibm_manila: 4.5 s" in describe_usage(plain)
    dense = Options(shots=1000, runtime={"execution": {"rep_delay": 0.0}})
    assert estimate_usage(prepare([bell()], machine, dense, seed=1)) == pytest.approx(2 + 1000 * each)
    slow = Options(shots=1000, reference=True, runtime={"execution": {"rep_delay": 1e-3}})
    assert "1000 shots (100% more), some 1.0 s" in reference_cost(prepare([bell()], machine, slow, seed=1))
    apart = Options(shots=1000, reference=True, reference_share=0.5)
    assert "500 shots (50% more), some 2.1 s" in reference_cost(prepare([bell()], machine, apart, seed=1)), "a job more"
    served = prepare([bell()], machine, Options(shots=1000, twirls=32, twirling="server", reference=True), seed=1)
    assert "1024 shots (100% more), some 0.3 s" in reference_cost(served), "32 times 32, as the runtime rounds up"
    assert "reference of 1 circuit, 1024 shots" in served.prepared[-1].notes
    assert cloud.spent == 0


URL = "for url: https://quantum.cloud.ibm.com/api/v1/jobs"
POOL = "HTTPSConnectionPool(host='quantum.cloud.ibm.com', port=443)"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RequestsApiError(f"429 Client Error: Too Many Requests {URL}", 429), "wait until running jobs are done"),
        (
            RequestsApiError(f"429 Client Error: {URL}. You have reached the maximum number of pending jobs", 429),
            "wait until running jobs are done",
        ),
        (
            RequestsApiError(f"409 Client Error: Conflict {URL}. Instance usage has reached its limit of 600 s", 409),
            "see what is left of the plan's time",
        ),
        (
            RequestsApiError(
                f'400 Client Error: {URL}. {{"errors":[{{"message":"Execution time limit reached"}}]}}', 400
            ),
            "see what is left of the plan's time",
        ),
        (
            RequestsApiError(f"400 Client Error: Bad Request {URL}. Number of circuits exceeds the limit of 300", 400),
            "smaller max_circuits",
        ),
        (RequestsApiError(f"413 Client Error: Payload Too Large {URL}", 413), "smaller max_circuits"),
        (RequestsApiError(f"403 Client Error: Forbidden {URL}", 403), "the plan of the instance allows this"),
        (RequestsApiError(f"401 Client Error: Unauthorized {URL}", 401), "check the API key"),
        (RequestsApiError(f"503 Server Error: Service Unavailable {URL}", 503), "try again later"),
        (RequestsApiError(f"504 Server Error: Gateway Timeout {URL}", 504), "try again later"),
        (RequestsApiError(f"400 Client Error: Bad Request {URL}. Session has been closed", 400), "open a new Session"),
        (RequestsApiError(f"{POOL}: Max retries exceeded with url: /api/v1/jobs", -1), "check the network"),
        (RequestsApiError(f"{POOL}: Read timed out. (read timeout=None)", -1), "check the network"),
        (NoNetwork("Max retries exceeded with url"), "check the network"),
        (OSError("Network is unreachable"), "check the network"),
    ],
)
def test_refusals_say_in_one_line_what_to_do(cloud, backend, error, said):
    cloud.refusal = error
    with pytest.raises(JobError, match=rf"ibm_manila did not take the job: .*{said}") as caught:
        execute([bell()], backend, shots=20, seed=1, directory="kept")
    assert "\n" not in str(caught.value)
    cloud.refusal = None
    (run,) = execute([bell()], backend, shots=20, seed=1, directory="kept")
    assert run.shots == 20
    assert cloud.spent == 1


def test_words_of_the_service_keep_their_quotes_and_have_one_full_stop(cloud, backend):
    """A quote that ends them was cut off, though the one that opens it came later."""
    cloud.refusal = RequestsApiError("503 Server Error: unavailable", 503)
    with pytest.raises(JobError, match=r"Failed to run program: '503 Server Error: unavailable': try again later$"):
        execute([bell()], backend, shots=20, seed=1, directory="kept")
    session = Session(backend=backend)
    session.close()
    with pytest.raises(JobError, match=r"take the job: The session is closed: open a new Session or Batch$"):
        execute([bell()], session, shots=20, seed=1, directory="other")


def test_the_same_call_goes_on_with_the_same_request(cloud, backend, tmp_path):
    """What was paid for is read, what is under way is waited for: nothing is sent twice."""
    first, second = (execute([bell()], backend, shots=40, twirls=2, seed=None, directory="kept") for _ in range(2))
    assert cloud.spent == 1
    assert first[0].counts == second[0].counts
    assert np.array_equal(first[0].flips, second[0].flips)
    with pytest.raises(Exception, match=r"holds another request already, with shots 40: repeat the same call"):
        execute([bell()], backend, shots=41, twirls=2, directory="kept")
    with pytest.raises(Exception, match="with other circuits or another seed"):
        execute([bell()], backend, shots=40, twirls=2, seed=3, directory="kept")
    other = bell()
    other.x(0)
    with pytest.raises(Exception, match="with other circuits or another seed"):
        execute([other], backend, shots=40, twirls=2, directory="kept")
    assert cloud.spent == 1


def test_requests_of_before_do_not_say_what_was_asked(cloud, backend, tmp_path):
    execute([bell()], backend, shots=40, seed=1, directory="kept")
    content = json.loads((tmp_path / "kept" / "request.json").read_text())
    for name in ("runtime", "group", "strategy"):
        del content["options"][name]
    del content["asked"]
    for balanced, group in ((True, "balanced_pauli"), (False, "pauli")):
        content["options"]["balanced"] = balanced
        old = Request.from_json(json.dumps(content))
        assert (old.asked, old.options["runtime"]) == ("", {})
        assert (old.options["group"], old.options["strategy"], "balanced" in old.options) == (group, None, False)
