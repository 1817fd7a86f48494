"""A drop-in Sampler whose counts are mitigated."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.primitives import BaseSamplerV2, BitArray, DataBin, PrimitiveResult, SamplerPubResult
from qiskit.primitives.containers.sampler_pub import SamplerPub

from qcluster.core.checks import make_rng
from qcluster.core.counts.distribution import Distribution, whole_shots
from qcluster.core.decision.gate import check_gates
from qcluster.core.methods.registry import check_given, every, find
from qcluster.core.mitigate import DEFAULTS, mitigate
from qcluster.core.mitigation import Mitigation, left
from qcluster.core.noise.noise_argument import kind_of, noise_of_run, read_noise
from qcluster.core.words import short_repr
from qcluster.device.circuits.identity import identify_circuits
from qcluster.device.circuits.schedule import is_free, round_delays
from qcluster.device.execute import send
from qcluster.device.machines.calibration import Calibration
from qcluster.device.machines.machine import Machine, find_machine
from qcluster.device.noise.faults import unknown_faults
from qcluster.device.noise.measured import MeasuredReference, is_reusable
from qcluster.device.prepare import (
    Options,
    check_metadata,
    check_program,
    check_registers,
    compile_circuits,
    note_placed_anew,
    prepare,
    wrap_angles,
    writes_bits,
)
from qcluster.device.request import Prepared, check_share, reference_shots
from qcluster.device.run import Run
from qcluster.device.sampler_job import SamplerJob
from qcluster.errors import QClusterError
from qcluster.folders import folder_path

_REMEMBERED = 64
"""Most compiled circuits, and most references, that a sampler keeps for later calls, as in a loop over parameters."""

_REFERENCE_OPTIONS = (
    "twirls", "measure_twirl", "twirling", "group", "strategy", "dd", "simulation", "runtime", "reference"
)  # fmt: skip
"""Options that must be the same for a reference to serve a later call."""
_MITIGATE_KEYWORDS = frozenset(signature(mitigate).parameters) - {"counts"}
"""Keywords of `qcluster.mitigate`, which a sampler takes and passes on."""


class MitigatedSampler(BaseSamplerV2):  # type: ignore[misc]
    """A Qiskit Sampler that mitigates the counts.

    If neither `noise` nor `method` is given, counts are mitigated as by ``qcluster.mitigate(run)``: under the faults of
    the compiled circuit if the calibration provides them and they explain the counts, else from the counts alone.

    The data of a result are whole shots in random order that follow the mitigated distribution as closely as whole
    shots can. The metadata of each PUB result hold two arrays of the PUB's shape: ``"mitigations"`` (`Mitigation`: the
    exact distribution, the raw counts and the verdict of each parameter set) and ``"runs"`` (`Run`: where the counts
    come from).

    A circuit that measures nothing is not run. As with Qiskit's Samplers, its registers read 0; if it has no
    registers, its data are empty, and a warning says so. Its `Mitigation` and `Run` are None.

    With ``reference=True`` (or a number), a loop pays for its reference once. The measurement is kept for 24 hours and
    serves later calls with the same gates on the same qubits (the same skeleton and layout); their `Run.notes` give its
    age. A new reference is measured if none fits: for other gates, after a change of twirls, decoupling, runtime
    options or the number of references, or if the new one would have more shots. A reference can serve other calls only
    once its job has finished.

    Args:
        backend: a backend or its name, as in `qcluster.execute`.
        shots: default number of shots, for PUBs that set none.
        seed: the same seed gives the same results on a simulator in every run, unless a reference of an earlier call is
            reused. A Generator advances from run to run.
        noise: what is known about the noise, as `qcluster.mitigate` takes it, or a function that returns it for a
            `Run`. None uses what each run provides and the method can use.
        method: as in `qcluster.mitigate`; "none" turns mitigation off.
        directory: where requests and results are kept, each request in a subdirectory named by its id; see
            `qcluster.execute`.
        options: twirls, measure_twirl, twirling, group, strategy, dd, optimization_level, mode, simulation,
            max_circuits, reference, reference_share and runtime, as in `qcluster.execute`. ``reference`` may be the
            `Run.reference` of an earlier run, which must fit every circuit; a warning says if no answer uses it. Other
            keywords of `qcluster.mitigate`, such as ``guard=False``, are passed on to it.

    Attributes:
        noise, method, seed, directory: as given. They may be changed between runs, and are checked by the next one.

    Raises:
        ValueError, TypeError: an option is invalid; the message says what must hold.
        AttributeError: an option is set as an attribute of the sampler, where it would have no effect.

    Example:
        >>> from qiskit import QuantumCircuit
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.x(0), circuit.measure_all()
        >>> sampler = MitigatedSampler("aer", seed=7, method="none")
        >>> result = sampler.run([circuit], shots=100).result()
        >>> result[0].data.meas.get_counts()
        {'01': 100}
        >>> result[0].metadata["mitigations"].item().applied
        False
    """

    def __init__(
        self,
        backend: Any,
        *,
        shots: int = 4096,
        seed: int | np.random.Generator | None = None,
        noise: Any = None,
        method: str | None = None,
        directory: str | Path | None = None,
        **options: Any,
    ) -> None:
        execution = {name: value for name, value in options.items() if name in Options.__dataclass_fields__}
        unknown = sorted(set(options) - set(execution) - _MITIGATE_KEYWORDS)
        if unknown:
            keywords = _MITIGATE_KEYWORDS | set(Options.__dataclass_fields__)
            raise TypeError(f"options must be among {', '.join(sorted(keywords))}; got {unknown[0]!r}")
        self.backend = backend
        self.options = SamplerOptions(shots=shots, **execution)
        self.seed = seed
        self.noise = noise
        self.method = method
        self.mitigation = {name: value for name, value in options.items() if name not in execution}
        self.directory = directory
        self._references: dict[tuple[str, str, str], MeasuredReference] = {}
        self._check_mitigation()

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; AttributeError for an option, which would have no effect here."""
        if name in Options.__dataclass_fields__:
            raise AttributeError(f"{name} must be set among the options: sampler.options.{name} = {short_repr(value)}")
        if name in _MITIGATE_KEYWORDS - {"noise", "method"}:
            raise AttributeError(
                f"{name} must be given when the sampler is made: MitigatedSampler(backend, {name}={short_repr(value)})"
            )
        super().__setattr__(name, value)

    @property
    def backend(self) -> Any:
        """The backend or its name, as it was given. It may be changed between runs: circuits are compiled again."""
        return self._backend

    @backend.setter
    def backend(self, backend: Any) -> None:
        self._backend = backend
        self._found: Machine | None = None
        self._compiled: dict[str, Any] = {}

    @property
    def default_shots(self) -> int:
        """Shots of PUBs that set none: ``options.shots``, under the name that Qiskit's Samplers use."""
        return self.options.shots  # type: ignore[no-any-return]

    @default_shots.setter
    def default_shots(self, shots: int) -> None:
        self.options.shots = shots

    @property
    def options(self) -> SamplerOptions:
        """How circuits are run.

        Its fields may be changed between runs, and are checked when they are set. A mapping can be set as a whole as
        well; options that it does not name have their defaults.
        """
        return self._options

    @options.setter
    def options(self, options: Any) -> None:
        if isinstance(options, Mapping):
            given, options = options, SamplerOptions()
            options.update(**given)
        if not isinstance(options, SamplerOptions):
            raise TypeError(f"options must be SamplerOptions or a mapping; got {type(options).__name__}")
        self._options = options

    @property
    def _machine(self) -> Machine:
        if self._found is None:
            self._found = find_machine(self._backend)
        return self._found

    def run(self, pubs: Iterable[Any], *, shots: int | None = None) -> SamplerJob:
        """Compile circuits, send them to the machine, and mitigate the results when they arrive.

        Args:
            pubs: circuits, or tuples (circuit, parameter values, shots), as Qiskit's Sampler interface defines them.
            shots: shots of PUBs that set none.

        Returns:
            A job whose `result()` is a `PrimitiveResult` with one result per PUB. On hardware, `job_id()` is the
            service's id, and `cancel()` cancels the service's job.
        """
        self._check_mitigation()
        options = self.options.frozen
        reused = [] if self.options.reused is None else [self.options.reused]
        coerced = [SamplerPub.coerce(pub, options.shots if shots is None else shots) for pub in pubs]
        for i, pub in enumerate(coerced):
            check_registers(pub.circuit)
            check_metadata(pub.circuit)
            if not pub.circuit.cregs:
                warnings.warn(
                    f"the circuit of PUB {i} ({pub.circuit.name!r}) has no classical registers, so that its data are "
                    "empty: add circuit.measure_all()",
                    UserWarning,
                    stacklevel=2,
                )
        compiler, order, *seeds = make_rng(self.seed).spawn(2 + len({pub.shots for pub in coerced}))
        measuring = [i for i, pub in enumerate(coerced) if writes_bits(pub.circuit)]
        for i in measuring:
            self._check_noise_and_gates(coerced[i].circuit, options)
        if measuring and options.reference and (choice := self._choice_without_reference):
            warnings.warn(
                f"{choice} uses no reference, so reference={self.options.reference!r} changes no answer: only the "
                'runs hold it. Omit reference, or omit that and choose method=None, "measured" or "circuit"',
                UserWarning,
                stacklevel=2,
            )
        compiler_seed = int(compiler.integers(2**31))  # one for all: a circuit must not depend on the others
        circuits = {i: self._bind(coerced[i], options, compiler_seed) for i in measuring}
        requests = []
        for pub_shots, seed in zip(sorted({pub.shots for pub in coerced}), seeds, strict=True):
            chosen = {i: bound for i, bound in circuits.items() if coerced[i].shots == pub_shots and bound.size}
            flat = [circuit for bound in chosen.values() for circuit in bound.ravel()]
            originals = [coerced[i].circuit for i, bound in chosen.items() for _ in range(bound.size)]
            if flat:
                pub_options = replace(options, shots=pub_shots, twirls=min(options.twirls, pub_shots))
                kept = self._reusable_references(pub_options) if options.reference and not reused else []
                request = prepare(flat, self._machine, pub_options, seed, compiled=True, reused=reused, kept=kept)
                noted = note_placed_anew(request.prepared[: len(flat)], originals, self._machine)
                request = replace(request, prepared=(*noted, *request.prepared[len(flat) :]))
                starts = np.cumsum([0, *(bound.size for bound in chosen.values())])[:-1]
                self._check_faults([request.prepared[start] for start in starts], request.calibration)
                requests.append((chosen, request))
        sent = []  # after all were prepared: if one cannot be, none is sent
        for chosen, request in requests:
            place = None if self.directory is None else folder_path(self.directory) / request.id
            try:
                sent.append((chosen, send(request, self._machine, place)))
            except QClusterError as error:
                if not sent:
                    raise
                places = ", ".join(str(one.directory) for _, one in sent)
                raise type(error)(f"{error}; PUBs of other numbers of shots were sent before, from {places}") from error

        asked = copy(self)  # attributes may be set for the next run while this one waits

        def finish() -> Any:
            runs: dict[int, list[Run]] = {}
            for chosen, one in sent:
                done = one.runs()
                if not reused:
                    asked._keep_references(done)
                remaining = iter(done)
                runs |= {i: [next(remaining) for _ in range(bound.size)] for i, bound in chosen.items()}
            results = [asked._result(pub, runs.get(i, [None] * pub.size), order) for i, pub in enumerate(coerced)]
            return PrimitiveResult(results, metadata={"version": 2})

        return SamplerJob(finish, [one for _, one in sent])

    def _reusable_references(self, options: Options) -> list[MeasuredReference]:
        """References of earlier calls that may serve a call with these options."""
        shots, wanted = reference_shots(options), (self._machine.name, _reference_options(vars(options)))
        measured = [reference for (_, *under), reference in list(self._references.items()) if tuple(under) == wanted]
        return [reference for reference in measured if is_reusable(reference, shots)]

    def _keep_references(self, runs: Sequence[Run]) -> None:
        """Keep the references of runs for later calls: for each skeleton the one with the most shots, unless expired.

        Jobs finish in threads of their own, so each step on the dictionary is atomic.
        """
        for reference, options in {run.reference: run.options for run in runs if run.reference is not None}.items():
            key = reference.skeleton, reference.backend, _reference_options(options)
            kept = self._references.get(key, reference)
            if not is_reusable(kept, 0) or reference.counts.shots >= kept.counts.shots:
                self._references[key] = reference
        for oldest in list(self._references)[:-_REMEMBERED]:
            self._references.pop(oldest, None)

    def _bind(self, pub: Any, options: Options, seed: int) -> npt.NDArray[np.object_]:
        """Compile the circuit of a PUB and bind its parameter values; returns an array of the PUB's shape."""
        fixed = seed if isinstance(self.seed, (int, np.integer)) else None
        settings = f"{options.optimization_level} {options.simulation} {fixed}".encode()
        key = hashlib.sha256(settings + identify_circuits([pub.circuit])).hexdigest()
        if key not in self._compiled:
            if len(self._compiled) >= _REMEMBERED:
                del self._compiled[next(iter(self._compiled))]
            check_program(pub.circuit, self._machine)
            (self._compiled[key],) = compile_circuits([pub.circuit], self._machine, options, seed)
        values = pub.parameter_values
        if not all(np.isfinite(array).all() for array in values.data.values()):
            raise ValueError(f"parameter values must be finite; some of {pub.circuit.name!r} are not")
        compiled = self._compiled[key]
        delays = [item for item in pub.circuit.data if item.name == "delay"]
        in_seconds = any(is_free(delay) and delay.operation.unit != "dt" for delay in delays)
        bound = np.asarray(values.bind_all(compiled), dtype=object).reshape(pub.shape)
        target = getattr(self._machine.backend, "target", None)
        for index, circuit in np.ndenumerate(bound):
            circuit.name = pub.circuit.name
            if in_seconds:
                round_delays(compiled, circuit)
            if compiled.parameters:
                bound[index] = wrap_angles(circuit, target)
        return bound

    def _result(self, pub: Any, runs: Sequence[Run | None], rng: np.random.Generator) -> Any:
        """Mitigate the runs of a PUB, one per parameter set, and write them out as a PUB result."""
        bits = np.zeros((*pub.shape, pub.shots, pub.circuit.num_clbits), dtype=bool)
        mitigations, kept = Answers(pub.shape, dtype=object), Answers(pub.shape, dtype=object)
        for index, run in zip(np.ndindex(pub.shape), runs, strict=True):
            if run is None:
                continue
            kept[index] = run
            fixed = mitigations[index] = self._mitigate(run)
            bits[index] = to_shots(fixed.distribution, pub.shots, rng)
        columns = {bit: i for i, bit in enumerate(pub.circuit.clbits)}
        data = {
            register.name: _bit_array(bits[..., [columns[bit] for bit in register]]) for register in pub.circuit.cregs
        }
        metadata = {"shots": pub.shots, "circuit_metadata": pub.circuit.metadata}
        metadata |= {"mitigations": mitigations, "runs": kept}
        return SamplerPubResult(DataBin(**data, shape=pub.shape), metadata=metadata)

    def _check_mitigation(self) -> None:
        """Refuse an unknown method, and arguments that the method does not take; they may be set between runs."""
        method, noise, mitigation = self.method, self.noise, self.mitigation
        if method == "none":
            if noise is not None or mitigation:
                unused = "noise" if noise is not None else next(iter(mitigation))
                raise ValueError(f'method="none" mitigates nothing: omit {unused}')
        elif method is not None and method not in (names := [registered.name for registered in every()]):
            raise ValueError(f"method must be one of none, {', '.join(names)}; got {method!r}")
        else:
            check_given(_default_method(noise, mitigation) if method is None else method, noise, **mitigation)

    def _check_noise_and_gates(self, circuit: Any, options: Options) -> None:
        """Refuse noise or gates that do not fit a circuit, or missing noise, before any shots are paid for."""
        later = callable(self.noise)
        if self.method == "none" or (later and self.method is None):
            return
        method = find(_default_method(self.noise, self.mitigation) if self.method is None else self.method)
        if gates := self.mitigation.get("gates"):
            method.gate(gates, circuit.num_clbits)
        if later:
            return
        if self.noise is not None:
            noise = read_noise(method.figure(self.noise), circuit.num_clbits)
            if refusal := _refusal(method.name, noise):
                raise ValueError(refusal)
        elif method.needs == "measured" and not options.reference:
            method.check_noise(None)

    def _check_faults(self, circuits: Iterable[Prepared], calibration: Calibration) -> None:
        """Refuse circuits whose faults are unknown if these are needed, before any shots are paid for."""
        method = find(_default_method(self.noise, self.mitigation) if self.method in (None, "none") else self.method)
        names = [gate.names for gate in self.mitigation.get("gates", ())]
        optional = self.method is None and find(DEFAULTS[None]).weighs in names
        if self.noise is not None or method.needs != "faults" or optional:
            return
        for prepared in circuits:
            if missing := unknown_faults(prepared.profile, calibration, idle=prepared.method == "hardware"):
                choice = "the gates given" if self.method is None else f"method={self.method!r}"
                name = prepared.profile.name
                raise ValueError(f"{choice} needs the faults of {name!r}, which are unknown: {missing}")

    @property
    def _choice_without_reference(self) -> str:
        """The argument that makes mitigation ignore a reference, in words; empty if it is not ignored.

        Also empty without mitigation, and if a function computes the noise of each run.
        """
        if self.method == "none" or callable(self.noise):
            return ""
        if self.noise is not None:
            return f"the noise given, {short_repr(self.noise)},"
        choosing = [name for name in ("settings", "gates") if self.mitigation.get(name)]  # a method that takes them
        if self.method is None and not choosing:
            return ""
        takes = find(self.method or _default_method(None, self.mitigation)).takes
        given = f"mitigation with the {choosing[0]} given" if self.method is None else f"method={self.method!r}"
        return "" if {"measured", "faults"} & set(takes) else given

    def _mitigate(self, run: Run) -> Mitigation:
        if self.method == "none":
            return left(run.counts, "none", "mitigation is turned off")
        noise = self.noise(run) if callable(self.noise) else self.noise
        measured: Any = noise_of_run(run, "measured") if noise is None else None
        if self.method is not None and (refusal := _refusal(self.method, measured)):  # no error: the shots are paid for
            return left(run.counts, self.method, refusal, measured.rates)
        return mitigate(run, noise, method=self.method, **self.mitigation)


def _default_method(noise: Any, mitigation: Mapping[str, Any]) -> str:
    """Name of the method that `mitigate` uses by default for noise of this kind; with gates for known circuits, for the
    faults that runs bring."""
    gates = check_gates(mitigation.get("gates", ()))
    of_circuits = noise is None and find("circuit").weighs in [gate.names for gate in gates]
    return DEFAULTS["faults" if of_circuits else kind_of(noise)]


def _refusal(method: str, noise: Any) -> str:
    """Why a method refuses the measurement of a reference; empty if it does not."""
    return getattr(noise, "refusal", "") if method == DEFAULTS["measured"] else ""


def _reference_options(options: Mapping[str, Any]) -> str:
    """Write the options that a reference must share with the circuits it serves as one text."""
    return json.dumps([options[name] for name in _REFERENCE_OPTIONS], sort_keys=True)


class SamplerOptions:
    """Options of a sampler: the fields of `Options`, as keywords of `qcluster.execute`, checked whenever one is set.

    Example:
        >>> options = SamplerOptions(shots=100)
        >>> options.update(twirls=8, runtime={"max_execution_time": 60})
        >>> options.shots = 200
        >>> options
        SamplerOptions(shots=200, twirls=8, runtime={'max_execution_time': 60})

    Raises:
        AttributeError: there is no such option; the message says where options of the runtime are given.
        ValueError, TypeError: a value is invalid, or conflicts with the others.
    """

    frozen: Options
    """The current options. If `reference` was given as a reference measured earlier, it is True here."""
    reused: MeasuredReference | None
    """The reference measured earlier, if one was given."""

    def __init__(self, **options: Any) -> None:
        given, reused = _split_reference(options)
        self._set(Options(**given), reused)

    def update(self, **options: Any) -> None:
        """Set several options at once; if one is wrong, none is set."""
        options = {"shots" if name == "default_shots" else name: value for name, value in options.items()}
        unknown = sorted(set(options) - set(Options.__dataclass_fields__))
        if unknown:
            raise AttributeError(
                f"options must be among {', '.join(Options.__dataclass_fields__)}; got {unknown[0]!r}. Options of the "
                f"runtime go into runtime, named as there: options.runtime = {{{unknown[0]!r}: ...}}"
            )
        given, reused = _split_reference(options)
        self._set(replace(self.frozen, **given), reused if "reference" in options else self.reused)

    def _set(self, frozen: Options, reused: MeasuredReference | None) -> None:
        check_share(reused, frozen.reference_share)
        object.__setattr__(self, "frozen", frozen)
        object.__setattr__(self, "reused", reused)

    def __getattr__(self, name: str) -> Any:
        if name in Options.__dataclass_fields__ or name == "default_shots":
            if name == "reference" and self.reused is not None:
                return self.reused
            return getattr(self.frozen, "shots" if name == "default_shots" else name)
        raise AttributeError(f"options have no {name!r}: they are {', '.join(Options.__dataclass_fields__)}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *Options.__dataclass_fields__, "default_shots"})

    def __setattr__(self, name: str, value: Any) -> None:
        self.update(**{name: value})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SamplerOptions) and self._comparable == other._comparable

    @property
    def _comparable(self) -> tuple[Options, str | None]:
        return self.frozen, None if self.reused is None else self.reused.to_json()

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> Any:
        return partial(SamplerOptions, **vars(self.frozen) | {"reference": self.reference}), ()

    def __repr__(self) -> str:
        defaults = Options()
        values = vars(self.frozen) | {"reference": self.reference}
        changed = ", ".join(f"{name}={value!r}" for name, value in values.items() if value != getattr(defaults, name))
        return f"SamplerOptions({changed})"


def _split_reference(options: dict[str, Any]) -> tuple[dict[str, Any], MeasuredReference | None]:
    """Replace a reference measured earlier by True, as `Options` takes it, and return it separately."""
    reference = options.get("reference")
    if isinstance(reference, MeasuredReference):
        return options | {"reference": True}, reference
    return options, None


class Answers(np.ndarray):
    """An array of objects that RuntimeDecoder can read back after RuntimeEncoder has saved it.

    The decoder reads lists only, so an array without dimensions is saved as a list of one object.
    """

    def tolist(self) -> Any:
        """Return nested lists of the objects; a list of one object if the array has no dimensions."""
        return super().tolist() if self.ndim else [self.item()]


def _bit_array(bits: npt.NDArray[np.bool_]) -> Any:
    """Make a BitArray; `BitArray.from_bool_array` does not accept a register without bits."""
    if bits.shape[-1]:
        return BitArray.from_bool_array(bits, "little")
    return BitArray(np.zeros(bits.shape, dtype=np.uint8), 0)


def to_shots(distribution: Distribution, shots: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Write a distribution as whole shots, (shots, n_bits) bool, rounded by largest remainders, in random order."""
    rows = np.repeat(np.arange(distribution.n_outcomes), whole_shots(distribution.weights, shots))
    shuffled: npt.NDArray[np.bool_] = distribution.bits[rng.permutation(rows)]
    return shuffled
