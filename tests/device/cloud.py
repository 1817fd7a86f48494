"""The far end of the runtime's own client: `QiskitRuntimeService`, `IBMBackend` and `RuntimeJobV2` run on it unchanged.

It stands where the client would speak HTTP. Accounts are API keys, jobs belong to the account that sent them, and what
is sent is decoded from the wire and simulated without noise; its results go back over the wire as well.
"""

import datetime
import json
from pathlib import Path

import qiskit_ibm_runtime.qiskit_runtime_service as runtime_service
from ibm_quantum_schemas.common.tensor import CompressedTensorModel
from ibm_quantum_schemas.executor.version_2_0 import QuantumProgramResultModel
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime import QiskitRuntimeService
from qiskit_ibm_runtime.accounts.account import Account
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.fake_provider.executor.run_quantum_program import run_quantum_program
from qiskit_ibm_runtime.options_models import SimulatorOptions
from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS

INSTANCE = "crn:v1:bluemix:public:quantum-computing:us-east:a/{0}:{0}::"


class Cloud:
    """Machines and jobs behind the wire; `install` puts it there."""

    def __init__(self, machine):
        """Offer one machine, a recorded one from the runtime's fake provider."""
        self.machine = machine
        self.name = machine.name.replace("fake_", "ibm_")
        self.jobs = {}
        self.spent = 0
        self.remembers = True
        self.begins_as = "Completed"  # "Queued" holds jobs until `finish`
        self.refusal = None  # what is raised where a job is sent
        self.sessions = []  # what was opened and closed, in order

    def install(self, monkeypatch, home):
        """Stand behind every `QiskitRuntimeService`; accounts are saved in a home of their own."""
        monkeypatch.setattr(runtime_service, "RuntimeClient", lambda params: Client(self, params))
        monkeypatch.setattr(Account, "list_instances", lambda account: [instance_of(account.token)])
        monkeypatch.setattr(
            "qiskit_ibm_runtime.accounts.management._DEFAULT_ACCOUNT_CONFIG_JSON_FILE", str(home / "accounts.json")
        )
        for name in ("TOKEN", "URL", "INSTANCE", "CHANNEL"):
            monkeypatch.delenv(f"QISKIT_IBM_{name}", raising=False)
        return self

    def account(self, token):
        """Open an account by its key, as a user does."""
        return QiskitRuntimeService(channel="ibm_quantum_platform", token=token, instance=instance_of(token)["crn"])

    def earlier(self, facts, moment):
        """Properties as they were at a moment: readout errors are 1e-4 times the hour of the day."""
        for qubit in facts["qubits"]:
            for one in qubit:
                if one["name"].startswith(("prob_meas", "readout_error")):
                    one["value"] = 1e-4 * moment.hour
        return facts | {"last_update_date": moment.isoformat()}

    def finish(self):
        """Let all jobs that wait be done."""
        for job in self.jobs.values():
            job["status"] = job["status"].replace("Queued", "Completed")

    def delete(self, job_id):
        """Delete a job, as its owner may at any time."""
        del self.jobs[job_id]


def instance_of(token):
    """The one instance of an account."""
    return {"crn": INSTANCE.format(token), "plan": "open", "name": token, "tags": [], "pricing_type": "free"}


def save_account(token, instance=None):
    """Save an account as the default one of this computer, with one of its instances, by name, or without."""
    crn = {} if instance is None else {"instance": instance_of(instance)["crn"]}
    QiskitRuntimeService.save_account(
        token=token, channel="ibm_quantum_platform", set_as_default=True, overwrite=True, **crn
    )


def cut_off(service, job_id, monkeypatch):
    """Let a service not answer for one job."""
    whole = service.job

    def hiccup(wanted):
        if wanted == job_id:
            raise ConnectionError("no route")
        return whole(wanted)

    monkeypatch.setattr(service, "job", hiccup)


class Client:
    """What `RuntimeClient` does, without HTTP."""

    def __init__(self, cloud, params):
        """Speak for one account and instance."""
        self._cloud, self._token, self._instance = cloud, params.token, params.instance

    def list_backends(self, _mocks=False):
        """One machine."""
        return [{"name": self._cloud.name, "class": "real"}]

    def backend_configuration(self, backend_name, refresh=False, calibration_id=None):
        """Configuration as the server tells it."""
        return self._recorded(self._cloud.machine.conf_filename)

    def backend_properties(self, backend_name, datetime=None, calibration_id=None):
        """Calibration as the server tells it, now or at an earlier moment."""
        facts = self._recorded(self._cloud.machine.props_filename)
        if datetime is None:
            return facts
        return self._cloud.earlier(facts, datetime) if self._cloud.remembers else None

    def _recorded(self, name):
        facts = json.loads((Path(self._cloud.machine.dirname) / name).read_text())
        return facts | {"backend_name": self._cloud.name}

    def backend_status(self, backend_name):
        """It is up."""
        facts = {"backend_name": backend_name, "backend_version": "1", "operational": True}
        return facts | {"pending_jobs": 0, "status_msg": "active"}

    def cloud_usage(self):
        """Time is left."""
        return {}

    def create_session(self, *_, **__):
        """Open a session or a batch."""
        self._cloud.sessions.append("opened")
        return {"id": "session"}

    def close_session(self, session_id):
        """Close one."""
        self._cloud.sessions.append("closed")

    def program_run(self, program_id, backend_name, params, job_tags=None, session_id=None, **told):
        """Take a job from the wire, and run it."""
        assert program_id == "executor"
        if self._cloud.refusal is not None:
            raise self._cloud.refusal
        converter = QUANTUM_PROGRAM_PARAMS_CONVERTERS["v2.0"]
        program, _ = converter.decoder(converter.model(**json.loads(json.dumps(params))))
        for item in program.items:
            if hasattr(item, "samplex"):
                item.samplex.finalize()
        answer = run_quantum_program(AerSimulator(), program, SimulatorOptions(seed_simulator=7))
        self._cloud.spent += 1
        job_id = f"c{self._cloud.spent:03d}"
        self._cloud.jobs[job_id] = {
            "owner": self._token,
            "tags": list(job_tags or ()),
            "status": self._cloud.begins_as,
            "session": session_id,
            "told": told,
            "params": json.loads(json.dumps(params)),
            "program": program,
            "reason": None,
            "running": "2026-11-26T07:30:00Z",
            "backend": backend_name,
            "results": on_the_wire(program, answer),
        }
        return {"id": job_id, "backend": backend_name}

    def _job(self, job_id):
        job = self._cloud.jobs.get(job_id)
        if job is None or job["owner"] != self._token:
            raise RequestsApiError(f"404 Client Error: Job not found {job_id}", 404)
        return job

    def job_get(self, job_id, exclude_params=True):
        """What the server tells of a job; 404 where it is not this account's."""
        job = self._job(job_id)
        return {
            "id": job_id,
            "backend": job["backend"],
            "state": {"status": job["status"], "reason": job["reason"]},
            "status": job["status"],
            "program": {"id": "executor"},
            "created": "2026-11-26T00:00:00Z",
            "tags": job["tags"],
        }

    def job_cancel(self, job_id):
        """Cancel a job that waits; 409 where it has ended."""
        job = self._job(job_id)
        if job["status"] != "Queued":
            raise RequestsApiError("409 Client Error: Job is in a final state", 409)
        job.update(status="Cancelled", results=None)

    def job_metadata(self, job_id):
        """What was charged, 3 seconds a job once it is done, and when it ran."""
        done = self._job(job_id)["status"] == "Completed"
        return {
            "usage": {"status": "final" if done else "pending", "qpu_charge_time_seconds": 3 if done else None},
            "timestamps": {"created": "2026-11-26T00:00:00Z", "running": self._job(job_id)["running"]},
        }

    def jobs_get(self, limit=None, skip=None, job_tags=None, **_):
        """List this account's jobs that carry all the tags."""
        own = [
            job_id
            for job_id, job in self._cloud.jobs.items()
            if job["owner"] == self._token and set(job_tags or ()) <= set(job["tags"])
        ]
        return {"jobs": [self.job_get(job_id) for job_id in own[skip or 0 :][:limit]], "count": len(own)}

    def job_results(self, job_id):
        """The result as it was written; 404 where it has expired."""
        results = self._job(job_id)["results"]
        if results is None:
            raise RequestsApiError("404 Client Error: Job result not found", 404)
        return results


def on_the_wire(program, answer):
    """Write the answer of an executor program as the server does."""
    from qiskit_ibm_runtime.quantum_program.converters.converters_2_0 import passthrough_data_to_2_0

    now = datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC)
    parts = [{"idx_item": i, "size": 1, "permutation": [0], "element_range": (0, 1, 1)} for i in range(len(answer))]
    return QuantumProgramResultModel(
        data=[
            {
                "results": {name: CompressedTensorModel.from_numpy(array) for name, array in item.items()},
                "metadata": {},
            }
            for item in answer
        ],
        metadata={"chunk_timing": [{"start": now, "stop": now, "parts": parts}]},
        passthrough_data=passthrough_data_to_2_0(program.passthrough_data),
        semantic_role=program._semantic_role,
    ).model_dump_json()
