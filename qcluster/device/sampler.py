"""A drop-in Sampler whose counts are mitigated."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.primitives import BaseSamplerV2, BitArray, DataBin, PrimitiveResult, SamplerPubResult
from qiskit.primitives.containers.sampler_pub import SamplerPub

from qcluster.core.checks import make_rng
from qcluster.core.counts.distribution import Distribution, whole_shots
from qcluster.core.methods.registry import check_given, every, find
from qcluster.core.mitigate import DEFAULTS, mitigate
from qcluster.core.mitigation import Mitigation, left
from qcluster.core.noise.given import brought, kind_of, read_noise
from qcluster.core.words import shown
from qcluster.device.circuits.identity import identify_circuits
from qcluster.device.circuits.schedule import is_free, settle_delays
from qcluster.device.execute import send
from qcluster.device.machines.machine import Machine, find_machine
from qcluster.device.noise.measured import MeasuredReference, may_serve
from qcluster.device.prepare import (
    Options,
    check_program,
    check_registers,
    compile_circuits,
    prepare,
    wrap_angles,
    writes_bits,
)
from qcluster.device.request import check_share, reference_shots
from qcluster.device.run import Run
from qcluster.device.sampler_job import SamplerJob

_REMEMBERED = 64
"""Compiled circuits that a sampler keeps, so that a loop over parameters compiles once; references, likewise."""

_ALIKE = ("twirls", "measure_twirl", "twirling", "group", "strategy", "dd", "simulation", "runtime", "reference")
"""Options under which a reference must have been measured to serve a later call."""


class MitigatedSampler(BaseSamplerV2):  # type: ignore[misc]
    """Sample circuits as any Qiskit Sampler does, and mitigate the counts.

    With neither noise nor a method given, counts are mitigated under the faults of the compiled circuit where the
    calibration gives these and they explain the counts, else by the counts alone: see `qcluster.mitigate`.

    The data of a result are whole shots that follow the mitigated distribution as closely as whole shots can, in
    random order. Beside them, in the metadata of each PUB result, are ``"mitigations"`` (the exact distribution, the
    raw counts and the verdict of each parameter set: `Mitigation`) and ``"runs"`` (where the counts come from: `Run`),
    both arrays of the PUB's shape.

    A circuit that measures nothing is not run: as with Qiskit's Samplers its registers read 0, and without registers
    its data are empty, with a warning. Its `Mitigation` and `Run` are None.

    With ``reference=True`` (or a number) a loop pays once: what a call measured is kept for 24 hours, and serves later
    calls on the same gates and places (one skeleton and layout), whose `Run.notes` give its age. A new one is measured
    where none fits: for other gates, after a change of twirls, decoupling, runtime options or the number of references,
    or where it would have more shots than the one that is there. A job that has not finished has none yet.

    Args:
        backend: as in `qcluster.execute`: a backend or its name.
        shots: default number of shots, for PUBs that set none.
        seed: same seed, same results on a simulator, run after run, but for a reference that is there from an earlier
            call; a Generator moves on.
        noise: what is known of the noise, as `qcluster.mitigate` takes it, or a function that makes it from a `Run`;
            counts are then mitigated by this. None takes what each run brings, as the method can use it.
        method: as in `qcluster.mitigate`; "none" turns mitigation off.
        directory: where requests and results are kept, each in a directory of its own named by its id; see
            `qcluster.execute`.
        options: twirls, measure_twirl, twirling, group, strategy, dd, optimization_level, mode, simulation,
            max_circuits, reference, reference_share and runtime as in `qcluster.execute`, so that ``reference`` may be
            the `Run.reference` of an earlier run, which must fit every circuit; a warning tells where no answer uses
            it, only the runs hold it. Further keywords of `qcluster.mitigate`, such as ``guard=False``, are passed on.

    Attributes:
        options: how circuits are run (`SamplerOptions`); may be changed between runs, each field checked as it is set.

    Raises:
        ValueError, TypeError: an option that makes no sense, saying what must hold.

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
        known = set(signature(mitigate).parameters) - {"counts"}
        unknown = sorted(set(options) - set(execution) - known)
        if unknown:
            known |= set(Options.__dataclass_fields__)
            raise TypeError(f"options must be among {', '.join(sorted(known))}; got {unknown[0]!r}")
        chosen = {name: value for name, value in options.items() if name not in execution}
        if method == "none":
            if noise is not None or chosen:
                given = "noise" if noise is not None else next(iter(chosen))
                raise ValueError(f'method="none" mitigates nothing: leave {given} away')
        elif method is not None and method not in (names := [known.name for known in every()]):
            raise ValueError(f"method must be one of none, {', '.join(names)}; got {method!r}")
        else:
            check_given(_default(noise) if method is None else method, noise, **chosen)
        self.backend = backend
        self.options = SamplerOptions(shots=shots, **execution)
        self.seed = seed
        self.noise = noise
        self.method = method
        self.mitigation = chosen
        self.directory = directory
        self._compiled: dict[str, Any] = {}
        self._measured: dict[tuple[str, str], MeasuredReference] = {}

    @property
    def default_shots(self) -> int:
        """Shots of PUBs that set none: ``options.shots``, by the name that Qiskit's Samplers have for it."""
        return self.options.shots  # type: ignore[no-any-return]

    @default_shots.setter
    def default_shots(self, shots: int) -> None:
        self.options.shots = shots

    @cached_property
    def _machine(self) -> Machine:
        return find_machine(self.backend)

    def run(self, pubs: Iterable[Any], *, shots: int | None = None) -> SamplerJob:
        """Compile, send to the machine, and mitigate once results are in.

        Args:
            pubs: circuits, or tuples (circuit, parameter values, shots), as the Sampler interface has them.
            shots: for PUBs that set none.

        Returns:
            A job: its `result()` is a `PrimitiveResult` with one result per PUB. On hardware `job_id()` is the
            service's, and `cancel()` reaches it.
        """
        options, reused = self.options.frozen, self.options.reused
        asked = [SamplerPub.coerce(pub, options.shots if shots is None else shots) for pub in pubs]
        for i, pub in enumerate(asked):
            check_registers(pub.circuit)
            if not pub.circuit.cregs:
                warnings.warn(
                    f"the circuit of PUB {i} ({pub.circuit.name!r}) has no classical registers, so that its data are "
                    "empty: add circuit.measure_all()",
                    UserWarning,
                    stacklevel=2,
                )
        compiler, order, *seeds = make_rng(self.seed).spawn(2 + len({pub.shots for pub in asked}))
        measuring = [i for i, pub in enumerate(asked) if writes_bits(pub.circuit)]
        for i in measuring:
            self._check_noise(asked[i].circuit, options)
        if measuring and options.reference and (unused := self._unused):
            warnings.warn(
                f"{unused} takes nothing of a reference, so that no answer uses what "
                f"reference={self.options.reference!r} measures, only the runs hold it: leave it away, or leave noise "
                'away with method=None, "measured" or "circuit"',
                UserWarning,
                stacklevel=2,
            )
        compiled_by = int(compiler.integers(2**31))  # one for all, so that a circuit's does not depend on the others
        circuits = {i: self._bind(asked[i], options, compiled_by) for i in measuring}
        ready = []
        for amount, seed in zip(sorted({pub.shots for pub in asked}), seeds, strict=True):
            chosen = {i: bound for i, bound in circuits.items() if asked[i].shots == amount and bound.size}
            flat = [circuit for bound in chosen.values() for circuit in bound.ravel()]
            if flat:
                fitting = replace(options, shots=amount, twirls=min(options.twirls, amount))
                kept = self._fitting(fitting) if options.reference and reused is None else []
                request = prepare(flat, self._machine, fitting, seed, compiled=True, reused=reused, kept=kept)
                ready.append((chosen, request))
        sent = []  # only now: where one cannot be made ready, none is sent
        for chosen, request in ready:
            place = None if self.directory is None else Path(self.directory) / request.id
            sent.append((chosen, send(request, self._machine, place)))

        def finish() -> Any:
            runs: dict[int, list[Run]] = {}
            for chosen, answer in sent:
                done = answer.runs()
                if reused is None:
                    self._keep(done)
                found = iter(done)
                runs |= {i: [next(found) for _ in range(bound.size)] for i, bound in chosen.items()}
            results = [self._result(pub, runs.get(i, [None] * pub.size), order) for i, pub in enumerate(asked)]
            return PrimitiveResult(results, metadata={"version": 2})

        return SamplerJob(finish, [answer for _, answer in sent])

    def _fitting(self, options: Options) -> list[MeasuredReference]:
        """References of earlier calls that may serve one with these options."""
        shots, how = reference_shots(options), _alike(vars(options))
        measured = [reference for (_, under), reference in list(self._measured.items()) if under == how]
        return [reference for reference in measured if may_serve(reference, shots)]

    def _keep(self, runs: Sequence[Run]) -> None:
        """Keep what references measured for later calls: of two of a skeleton that with more shots, unless it is old.

        Jobs finish in threads of their own: each step on the dictionary is one that Python does not interrupt.
        """
        for reference, options in {run.reference: run.options for run in runs if run.reference is not None}.items():
            key = reference.skeleton, _alike(options)
            known = self._measured.get(key, reference)
            if not may_serve(known, 0) or reference.counts.shots >= known.counts.shots:
                self._measured[key] = reference
        for oldest in list(self._measured)[:-_REMEMBERED]:
            self._measured.pop(oldest, None)

    def _bind(self, pub: Any, options: Options, seed: int) -> npt.NDArray[np.object_]:
        """Compiled circuits with values bound, an array of the PUB's shape."""
        fixed = seed if isinstance(self.seed, (int, np.integer)) else None
        how = f"{options.optimization_level} {options.simulation} {fixed}".encode()
        key = hashlib.sha256(how + identify_circuits([pub.circuit])).hexdigest()
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
                settle_delays(compiled, circuit)
            if compiled.parameters:
                bound[index] = wrap_angles(circuit, target)
        return bound

    def _result(self, pub: Any, runs: Sequence[Run | None], rng: np.random.Generator) -> Any:
        bits = np.zeros((*pub.shape, pub.shots, pub.circuit.num_clbits), dtype=bool)
        mitigations, kept = Answers(pub.shape, dtype=object), Answers(pub.shape, dtype=object)
        for index, run in zip(np.ndindex(pub.shape), runs, strict=True):
            if run is None:
                continue
            kept[index] = run
            fixed = mitigations[index] = self._mitigate(run)
            bits[index] = whole(fixed.distribution, pub.shots, rng)
        places = {bit: i for i, bit in enumerate(pub.circuit.clbits)}
        data = {
            register.name: _bit_array(bits[..., [places[bit] for bit in register]]) for register in pub.circuit.cregs
        }
        told = {"shots": pub.shots, "circuit_metadata": pub.circuit.metadata, "mitigations": mitigations, "runs": kept}
        return SamplerPubResult(DataBin(**data, shape=pub.shape), metadata=told)

    def _check_noise(self, circuit: Any, options: Options) -> None:
        """Refuse noise that does not fit a circuit, or lacks, before any shots are paid for."""
        if self.method == "none" or callable(self.noise):
            return
        method = find(_default(self.noise) if self.method is None else self.method)
        if self.noise is not None:
            known = read_noise(method.figure(self.noise), circuit.num_clbits)
            if refusal := _refusal(method.name, known):
                raise ValueError(refusal)
        elif method.needs == "measured" and not options.reference:
            method.check_noise(None)

    @property
    def _unused(self) -> str:
        """What was given by which no answer uses a reference, in words; empty where they do, and where there are none
        or a function makes the noise of runs."""
        if self.method == "none" or callable(self.noise):
            return ""
        if self.noise is not None:
            return f"the noise given, {shown(self.noise)},"
        takes = ("measured", "faults") if self.method is None else find(self.method).takes
        return "" if {"measured", "faults"} & set(takes) else f"method={self.method!r}"

    def _mitigate(self, run: Run) -> Mitigation:
        if self.method == "none":
            return left(run.counts, "none", "mitigation is turned off")
        noise = self.noise(run) if callable(self.noise) else self.noise
        own: Any = brought(run, "measured") if noise is None else None
        if self.method is not None and (refusal := _refusal(self.method, own)):  # once the shots are paid for
            return left(run.counts, self.method, refusal, own.rates)
        return mitigate(run, noise, method=self.method, **self.mitigation)


def _default(noise: Any) -> str:
    """Name the method by which `mitigate` takes noise of its kind."""
    return DEFAULTS[kind_of(noise)]


def _refusal(method: str, noise: Any) -> str:
    """Say why a method refuses what a reference measured; empty where it does not."""
    return getattr(noise, "refusal", "") if method == DEFAULTS["measured"] else ""


def _alike(options: Mapping[str, Any]) -> str:
    """Write the options that a reference and the circuits that it serves have in common."""
    return json.dumps([options[name] for name in _ALIKE], sort_keys=True)


class SamplerOptions:
    """Options of a sampler: the fields of `qcluster.execute`'s, checked whenever one is set.

    Example:
        >>> options = SamplerOptions(shots=100)
        >>> options.update(twirls=8, runtime={"max_execution_time": 60})
        >>> options.shots = 200
        >>> options
        SamplerOptions(shots=200, twirls=8, runtime={'max_execution_time': 60})

    Raises:
        AttributeError: there is no such option; the message says where the runtime's own are given.
        ValueError, TypeError: a value makes no sense, or does not go with the others.
    """

    frozen: Options
    """As they are now; `reference` is True where it is one that was measured earlier."""
    reused: MeasuredReference | None
    """That one."""

    def __init__(self, **options: Any) -> None:
        given, reused = _apart(options)
        self._set(Options(**given), reused)

    def update(self, **options: Any) -> None:
        """Set several at once; none is set where one is wrong."""
        options = {"shots" if name == "default_shots" else name: value for name, value in options.items()}
        unknown = sorted(set(options) - set(Options.__dataclass_fields__))
        if unknown:
            raise AttributeError(
                f"options must be among {', '.join(Options.__dataclass_fields__)}; got {unknown[0]!r}. What is the "
                f"runtime's own goes into runtime, as it has it: options.runtime = {{{unknown[0]!r}: ...}}"
            )
        given, reused = _apart(options)
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

    def __setattr__(self, name: str, value: Any) -> None:
        self.update(**{name: value})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SamplerOptions) and self._facts == other._facts

    @property
    def _facts(self) -> tuple[Options, str | None]:
        return self.frozen, None if self.reused is None else self.reused.to_json()

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> Any:
        return partial(SamplerOptions, **vars(self.frozen) | {"reference": self.reference}), ()

    def __repr__(self) -> str:
        usual = Options()
        values = vars(self.frozen) | {"reference": self.reference}
        shown = ", ".join(f"{name}={value!r}" for name, value in values.items() if value != getattr(usual, name))
        return f"SamplerOptions({shown})"


def _apart(options: dict[str, Any]) -> tuple[dict[str, Any], MeasuredReference | None]:
    """Take a reference that was measured earlier out of options, so that `Options` take them."""
    reference = options.get("reference")
    if isinstance(reference, MeasuredReference):
        return options | {"reference": True}, reference
    return options, None


class Answers(np.ndarray):
    """An array of objects that RuntimeEncoder saves so that RuntimeDecoder reads it: it takes lists only, so that of a
    single object the list has one."""

    def tolist(self) -> Any:
        """Give nested lists of the objects, a list also of a single one."""
        return super().tolist() if self.ndim else [self.item()]


def _bit_array(bits: npt.NDArray[np.bool_]) -> Any:
    """`BitArray.from_bool_array`, which knows no register of no bits."""
    if bits.shape[-1]:
        return BitArray.from_bool_array(bits, "little")
    return BitArray(np.zeros(bits.shape, dtype=np.uint8), 0)


def whole(distribution: Distribution, shots: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Write a distribution out as shots: (shots, n_bits) bool, by largest remainders, in random order."""
    rows = np.repeat(np.arange(distribution.n_outcomes), whole_shots(distribution.weights, shots))
    written: npt.NDArray[np.bool_] = distribution.bits[rng.permutation(rows)]
    return written
