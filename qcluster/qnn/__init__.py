"""The Farhi-Neven classifier (arXiv:1802.06002): closed form, circuits, and a scikit-learn estimator."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qcluster.qnn.ansatz import Ansatz as Ansatz
    from qcluster.qnn.ansatz import Term as Term
    from qcluster.qnn.classifier import QNNClassifier as QNNClassifier
    from qcluster.qnn.data import LabelledBits as LabelledBits
    from qcluster.qnn.data import images_to_bits as images_to_bits
    from qcluster.qnn.data import load_digits_4x4 as load_digits_4x4
    from qcluster.qnn.data import subset_majority as subset_majority
    from qcluster.qnn.data import subset_parity as subset_parity
    from qcluster.qnn.device import DeviceReadout as DeviceReadout
    from qcluster.qnn.explicit import majority_angles as majority_angles
    from qcluster.qnn.explicit import parity_angles as parity_angles
    from qcluster.qnn.explicit import reed_muller_angles as reed_muller_angles
    from qcluster.qnn.figure import plot_loss as plot_loss
    from qcluster.qnn.images import load_csv as load_csv
    from qcluster.qnn.images import load_idx as load_idx
    from qcluster.qnn.images import load_images as load_images
    from qcluster.qnn.measured import ContractedReadout as ContractedReadout
    from qcluster.qnn.measured import Readouts as Readouts
    from qcluster.qnn.measured import Slope as Slope
    from qcluster.qnn.storage import load_model as load_model
    from qcluster.qnn.storage import save_model as save_model

_MODULES = {
    "Ansatz": "ansatz",
    "ContractedReadout": "measured",
    "DeviceReadout": "device",
    "LabelledBits": "data",
    "QNNClassifier": "classifier",
    "Readouts": "measured",
    "Slope": "measured",
    "Term": "ansatz",
    "images_to_bits": "data",
    "load_csv": "images",
    "load_digits_4x4": "data",
    "load_idx": "images",
    "load_images": "images",
    "load_model": "storage",
    "majority_angles": "explicit",
    "parity_angles": "explicit",
    "plot_loss": "figure",
    "reed_muller_angles": "explicit",
    "save_model": "storage",
    "subset_majority": "data",
    "subset_parity": "data",
}
"""Public names and the modules that define them; a module, and scikit-learn with it, is imported on first use."""

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"qcluster.qnn.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'qcluster.qnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
