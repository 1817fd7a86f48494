"""Read labelled rows from files: folders of images, NumPy archives, idx files as of MNIST, and CSV."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Collection
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.device.storage import of_file, reading
from qcluster.files import MOST_BYTES, damaged_file_errors, is_number, open_arrays, read_whole, unpack
from qcluster.qnn.data import LabelledBits, images_to_bits

Duplicates = Literal["keep", "drop_contradictory"]
_PICTURES = {".png", ".jpg", ".jpeg"}
_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def load_images(
    path: str | Path,
    *,
    classes: Collection[Any] | None = None,
    size: int = 4,
    threshold: float | None = 0.5,
    duplicates: Duplicates = "keep",
) -> LabelledBits:
    """Load labelled images from a folder or a NumPy archive.

    Args:
        path: A folder with one subfolder of PNG or JPEG files per class (the case of the extension does not matter),
            or an .npz file with the arrays `images` (samples, height, width), in [0, 1] or 0..255, and `labels`, or
            `x_train` and `y_train` as in Keras.
        classes: The labels to keep, as values or as text; None keeps all.
        size: As in `images_to_bits`.
        threshold: As in `images_to_bits`.
        duplicates: As in `images_to_bits`.

    Raises:
        ValueError: There are no images, they differ in shape, or a class has no images.
        StorageError: A picture or the archive cannot be read, is damaged, or is of another kind.
    """
    source = Path(path)
    images, labels = _read_folder(source) if source.is_dir() else _read_archive(source)
    return _reduce(images, labels, classes, size, threshold, duplicates)


def load_idx(
    images: str | Path,
    labels: str | Path | None = None,
    *,
    classes: Collection[int] | None = None,
    size: int = 4,
    threshold: float | None = 0.5,
    duplicates: Duplicates = "keep",
) -> LabelledBits:
    """Load images and labels in the idx format of MNIST, plain or gzipped.

    Args:
        images: File of (samples, height, width) grey values in 0..255 or [0, 1], such as train-images-idx3-ubyte.gz.
        labels: File of labels, such as train-labels-idx1-ubyte.gz; None takes the file with the corresponding name in
            the folder of the images.
        classes: The labels to keep, as values or as text, such as (3, 6); None keeps all.
        size: As in `images_to_bits`; 4 gives the 16 bits of the paper.
        threshold: As in `images_to_bits`.
        duplicates: As in `images_to_bits`; the paper's experiment drops contradictory images.

    Raises:
        ValueError: A file is not in idx format or is truncated, or the numbers of images and labels differ.
        StorageError: A file cannot be read.

    Example:
        >>> import struct, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pixels, labels = Path(folder, "t-images-idx3-ubyte"), Path(folder, "t-labels-idx1-ubyte")
        ...     _ = pixels.write_bytes(struct.pack(">4B3I4B", 0, 0, 8, 3, 1, 2, 2, 0, 255, 255, 0))
        ...     _ = labels.write_bytes(struct.pack(">4BI1B", 0, 0, 8, 1, 1, 7))
        ...     data = load_idx(pixels, size=2)
        >>> data.X, data.y
        (array([[0., 1., 1., 0.]]), array([7], dtype=uint8))
    """
    source = Path(images)
    beside = source.with_name(source.name.replace("images", "labels").replace("idx3", "idx1"))
    if labels is None and beside == source:
        raise ValueError(f"labels must be given where the images are not named ...images...; got {source.name}")
    pixels, y = _read_idx(source), _read_idx(beside if labels is None else Path(labels))
    return _reduce(pixels, y, classes, size, threshold, duplicates)


def load_csv(path: str | Path, *, classes: Collection[Any] | None = None) -> LabelledBits:
    """Load labelled rows of numbers; `QNNClassifier` binarises features other than bits at their means.

    Args:
        path: A comma-separated file. The first line is a header if its features are not all numbers, if "label" is
            among its entries, or if its label is not a number while all others are (pandas may name features by
            numbers). The label is the column named "label", or else the last one.
        classes: The labels to keep, as values or as text; None keeps all. Labels are integers if all of them are
            whole numbers, and strings otherwise.

    Raises:
        ValueError: There are no rows, a feature is not a number, or a class has no rows; or a column has no name, as
            the index of a pandas table, from which a model could read off the labels.
        StorageError: The file cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "rows.csv")
        ...     _ = file.write_text("label,a,b" + chr(10) + "yes,0,1" + chr(10) + "no,1,1")
        ...     data = load_csv(file)
        >>> data.X.tolist(), data.y.tolist()
        ([[0.0, 1.0], [1.0, 1.0]], ['yes', 'no'])
    """
    with damaged_file_errors(path):
        text = _read_whole(Path(path)).decode("utf-8-sig")
        lines = [line for line in csv.reader(io.StringIO(text, newline="")) if line]
    if not lines or len({len(line) for line in lines}) > 1 or len(lines[0]) < 2:
        raise ValueError(f"{Path(path).name} must hold rows of one length: at least one feature, and a label")
    names = [name.strip().lower() for name in lines[0]]
    if "" in names:
        raise ValueError(
            f"columns of {Path(path).name} must have names or numbers in the first line; column {names.index('') + 1} "
            "has neither: leave out the index of a table, as by to_csv(..., index=False)"
        )
    column = names.index("label") if "label" in names else len(names) - 1
    features = [[*line[:column], *line[column + 1 :]] for line in lines]
    first, *others = [is_number(line[column]) for line in lines]
    columns: tuple[str, ...] = ()
    if "label" in names or (others and not first and all(others)) or not all(map(is_number, features[0])):
        columns = tuple(name.strip() for name in features[0])
        features, lines = features[1:], lines[1:]
    if not lines:
        raise ValueError(f"{Path(path).name} must hold rows; got only the names of the columns")
    try:
        X = np.array(features, dtype=np.float64)
    except ValueError as error:
        invalid = next(cell for row in features for cell in row if not is_number(cell))
        raise ValueError(f"features of {Path(path).name} must be numbers; got {invalid!r}") from error
    labels = [line[column].strip() for line in lines]
    try:
        y = np.array(labels, dtype=np.int64)
    except (ValueError, OverflowError):  # not all are 64-bit integers
        y = np.array(labels)
    keep = _in_classes(y, classes)
    return LabelledBits(X[keep], y[keep], names=columns)


def _reduce(
    images: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    classes: Collection[Any] | None,
    size: int,
    threshold: float | None,
    duplicates: Duplicates,
) -> LabelledBits:
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise ValueError(
            f"files must hold (samples, height, width) images and a label each; got {images.shape} and {labels.shape}"
        )
    keep = _in_classes(labels, classes)
    if (images > 1).any():  # the dtype does not tell: 0..255 may be floats, and zeros and ones bytes
        images = images / 255
    return images_to_bits(images[keep], labels[keep], size=size, threshold=threshold, duplicates=duplicates)


def _in_classes(labels: npt.NDArray[Any], classes: Collection[Any] | None) -> npt.NDArray[np.bool_]:
    """Return True where a label is in `classes`, (samples,)."""
    known = np.unique(labels).tolist()
    by_text = {str(label): label for label in known}
    wanted = known if classes is None else [by_text.get(str(label), label) for label in classes]
    absent = [label for label in wanted if label not in known]
    if absent:
        raise ValueError(f"classes must be among {known}; got {absent}")
    return np.isin(labels, wanted)


def _read_folder(source: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    files = sorted(file for file in source.glob("*/*") if file.suffix.lower() in _PICTURES)
    if not files:
        raise ValueError(
            f"a folder of images needs one subfolder of PNG or JPEG files per class; found none in {source}"
        )
    pixels = [_read_grey(file) for file in files]
    shapes = {image.shape for image in pixels}
    if len(shapes) > 1:
        raise ValueError(f"images must have one shape; got {sorted(shapes)}")
    return np.array(pixels), np.array([file.parent.name for file in files])


def _read_archive(source: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    try:
        with reading(source), open_arrays(source) as archive:
            names = ("x_train", "y_train") if "x_train" in archive else ("images", "labels")
            missing = set(names) - set(archive)
            if missing:
                raise ValueError(f"lacks {sorted(missing)}")
            images, labels = (archive[name] for name in names)
            if not isinstance(images, np.ndarray) or not isinstance(labels, np.ndarray):  # NumPy returns other bytes
                raise ValueError("holds something else by these names")
            return images, labels
    except (ValueError, RuntimeError) as error:  # RuntimeError: an archive that is encrypted, or packed oddly
        raise ValueError(f"{source.name} must hold the arrays images and labels; {error}") from error


def _read_whole(file: Path) -> bytes:
    with reading(file), of_file(file):
        return read_whole(file)


def _read_idx(file: Path) -> npt.NDArray[Any]:
    content = _read_whole(file)
    if content[:2] == b"\x1f\x8b":
        try:
            content = unpack(content)
        except ValueError as error:
            raise ValueError(f"{file.name} must be gzipped whole; {error}") from error
    rank = content[3] if len(content) > 3 else 0
    if len(content) < 4 + 4 * rank or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise ValueError(f"{file.name} must be an idx file, 0 0 type rank; it begins with {content[:4]!r}")
    shape = tuple(np.frombuffer(content, ">u4", rank, 4).tolist())
    kind = np.dtype(_IDX_TYPES[content[2]])
    if len(content) - 4 - 4 * rank != prod(shape) * kind.itemsize:
        raise ValueError(f"{file.name} must hold {shape} numbers of {kind.itemsize} bytes; got {len(content)} bytes")
    return np.frombuffer(content, kind, offset=4 + 4 * rank).reshape(shape).astype(kind.newbyteorder("="))


def _check_size(file: Path) -> None:
    """Refuse a picture that would unpack to more than `MOST_BYTES`; matplotlib lifts Pillow's limit for PNG files."""
    from PIL import Image, UnidentifiedImageError

    most = MOST_BYTES // 4  # one byte for each of three colours and transparency
    with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
        try:
            with Image.open(file) as picture:
                large = prod(picture.size) > most
        except Image.DecompressionBombError:
            large = True
        except UnidentifiedImageError:
            return  # the reader will say what is wrong
    if large:
        raise ValueError(f"pictures must have {most:,} pixels or fewer; {file} has more")


def _read_grey(file: Path) -> Floats:
    from matplotlib.image import imread

    with reading(file), damaged_file_errors(file):
        _check_size(file)
        image = np.asarray(imread(file))
    # matplotlib returns PNG files in [0, 1] and JPEG files as bytes.
    values = image / 255 if np.issubdtype(image.dtype, np.integer) else image.astype(np.float64)
    return values if values.ndim == 2 else values[..., :3].mean(axis=-1) if values.shape[-1] >= 3 else values[..., 0]
