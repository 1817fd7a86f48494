"""Access to the IBM Quantum service, with a clear message for each failure. Credentials are never stored or shown."""

from __future__ import annotations

from typing import Any

from qcluster.errors import AccountError

_SAVE = (
    "save one with QiskitRuntimeService.save_account(token=..., instance=...), or set QISKIT_IBM_TOKEN and "
    "QISKIT_IBM_INSTANCE"
)


def open_service(instance: str | None = None) -> Any:
    """Open the IBM Quantum service with the account that is saved or set in the environment.

    Args:
        instance: name or CRN of the instance to use; by default that of the account.

    Raises:
        AccountError: there is no account, the service refuses it, or there is no network; the message says what to do.
    """
    from qiskit_ibm_runtime import QiskitRuntimeService
    from qiskit_ibm_runtime.accounts.exceptions import AccountNotFoundError
    from qiskit_ibm_runtime.exceptions import IBMError

    try:
        return QiskitRuntimeService() if instance is None else QiskitRuntimeService(instance=instance)
    except AccountNotFoundError as error:
        raise AccountError(f"there is no IBM Quantum account on this computer: {_SAVE}") from error
    except (IBMError, ValueError, OSError) as error:
        raise AccountError(
            "IBM Quantum refused the account or could not be reached: check the network first, then the API key and "
            f"the instance ({type(error).__name__})"
        ) from error


def open_backend(name: str, service: Any = None, *, instance: str | None = None, fractional: bool = False) -> Any:
    """Open a real machine by name, or the one with the shortest queue for "least_busy".

    Args:
        name: name of the machine, or "least_busy".
        service: a `QiskitRuntimeService`; by default that of the saved account.
        instance: name or CRN of the account's instance; by default any instance with access to the machine. For
            "least_busy", a `service` must have been opened for it.
        fractional: whether the machine offers its fractional gates, rx and rzz.

    Raises:
        AccountError: as in `open_service`, or the account has no access to such a machine.
    """
    from qiskit.exceptions import QiskitError

    if service is None:  # the queues of an instance are known to a service that was opened for it
        service = open_service(instance if name == "least_busy" else None)
    where = {} if instance is None else {"instance": instance}
    try:
        if name == "least_busy":
            return service.least_busy(operational=True, simulator=False)
        return service.backend(name, **where, **({"use_fractional_gates": True} if fractional else {}))
    except (QiskitError, OSError) as error:
        inside = "" if instance is None else f" in the instance {instance!r}"
        raise AccountError(
            f"this account can use no machine {name!r}{inside}: QiskitRuntimeService().backends() lists its machines; "
            f"local ones are 'aer' and names such as 'fake_torino' ({type(error).__name__})"
        ) from error
