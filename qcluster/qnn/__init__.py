"""The Farhi-Neven classifier (arXiv:1802.06002): closed form, circuits, and a scikit-learn estimator."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qcluster.qnn.ansatz import Ansatz, Term
    from qcluster.qnn.classifier import QNNClassifier
    from qcluster.qnn.data import LabelledBits, images_to_bits, load_digits_4x4, subset_majority, subset_parity
    from qcluster.qnn.device import DeviceReadout
    from qcluster.qnn.explicit import majority_angles, parity_angles, reed_muller_angles
    from qcluster.qnn.figure import plot_loss
    from qcluster.qnn.images import load_csv, load_idx, load_images
    from qcluster.qnn.measured import ContractedReadout, Readouts, Slope
    from qcluster.qnn.storage import load_model, save_model

_HOMES = {
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
"""Public names and their files; scikit-learn is imported with the classifier, not before."""

__all__ = [
    "Ansatz",
    "ContractedReadout",
    "DeviceReadout",
    "LabelledBits",
    "QNNClassifier",
    "Readouts",
    "Slope",
    "Term",
    "images_to_bits",
    "load_csv",
    "load_digits_4x4",
    "load_idx",
    "load_images",
    "load_model",
    "majority_angles",
    "parity_angles",
    "plot_loss",
    "reed_muller_angles",
    "save_model",
    "subset_majority",
    "subset_parity",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"qcluster.qnn.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'qcluster.qnn' has no attribute {name!r}")
