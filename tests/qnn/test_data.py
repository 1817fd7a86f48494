"""Labelled bit strings."""

import gzip
import struct
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from sklearn.datasets import load_digits

from qcluster.errors import StorageError
from qcluster.qnn.data import images_to_bits, load_digits_4x4, subset_majority, subset_parity
from qcluster.qnn.images import load_csv, load_idx, load_images


def test_digits():
    """Counts from the specification: 364 images, 66 distinct, none contradictory at threshold 8."""
    digits = load_digits_4x4(3, 6)
    assert digits.X.shape == (364, 16)
    assert set(np.unique(digits.X)) == {0, 1}
    assert len(set(digits.groups)) == 66
    for threshold, kept in ((8, 364), (6, 354), (4, 297)):
        cut = load_digits_4x4(3, 6, threshold=threshold, duplicates="drop_contradictory")
        assert (len(cut.X), cut.dropped) == (kept, 364 - kept)
        pairs = {(tuple(x), label) for x, label in zip(cut.X, cut.y, strict=True)}
        assert len(pairs) == len({x for x, _ in pairs}), "no image is left with two labels"
    grey = load_digits_4x4(3, 6, threshold=None)
    assert grey.X.max() <= 1
    assert ((grey.X > 0.5) == digits.X).all()


def test_images_are_cut_into_blocks():
    image = np.arange(30).reshape(5, 6) / 29
    data = images_to_bits([image, image * 0], ["a", "b"], size=2, threshold=None)
    assert data.X[0] == pytest.approx([image[:3, :3].mean(), image[:3, 3:].mean(), image[3:, :3].mean(),
                                       image[3:, 3:].mean()])  # fmt: skip
    with pytest.raises(ValueError, match="both at least 4"):
        images_to_bits(np.zeros((1, 3, 9)), [1])
    with pytest.raises(ValueError, match="both at least 4"):
        images_to_bits(np.zeros((2, 9, 9)), [1])
    with pytest.raises(ValueError, match="duplicates must be"):
        images_to_bits(np.zeros((1, 9, 9)), [1], duplicates="drop")


@pytest.mark.parametrize("duplicates", ["keep", "drop_contradictory"])
def test_no_images_are_no_rows(duplicates):
    data = images_to_bits(np.zeros((0, 4, 4)), [], size=2, duplicates=duplicates)
    assert (data.X.shape, data.y.shape, data.dropped) == ((0, 4), (0,), 0)


def test_images_from_files(tmp_path):
    from matplotlib.image import imsave

    images = np.random.default_rng(1).integers(0, 256, (4, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "images.npz", images=images, labels=np.array(["a", "a", "b", "b"]))
    for number, image in enumerate(images):
        folder = tmp_path / "folder" / "aabb"[number]
        folder.mkdir(parents=True, exist_ok=True)
        imsave(folder / f"{number}.png", np.stack([image] * 3, axis=-1))
    from_npz, from_png = load_images(tmp_path / "images.npz"), load_images(tmp_path / "folder")
    assert from_npz.X.shape == (4, 16)
    assert (from_npz.X == from_png.X).all()
    assert (from_npz.y == from_png.y).all()


def test_bad_files_are_named(tmp_path):
    np.savez(tmp_path / "half.npz", images=np.zeros((1, 8, 8)))
    with pytest.raises(ValueError, match=r"lacks \['labels'\]"):
        load_images(tmp_path / "half.npz")
    with pytest.raises(ValueError, match="one subfolder of PNG or JPEG files per class"):
        load_images(tmp_path)
    from matplotlib.image import imsave

    for number in (8, 9):
        (tmp_path / "set" / str(number)).mkdir(parents=True)
        imsave(tmp_path / "set" / str(number) / "x.png", np.zeros((number, number)))
    with pytest.raises(ValueError, match="one shape"):
        load_images(tmp_path / "set")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00"])
def test_what_is_no_archive_is_named(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises((StorageError, ValueError)):
        load_images(tmp_path / "x.npz")


def test_damaged_files_are_named(tmp_path):
    (tmp_path / "x-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x08\x03" + b"\1" * 40)[:-9])
    with pytest.raises(ValueError, match=r"x-images-idx3-ubyte\.gz must be gzipped whole; it is cut short"):
        load_idx(tmp_path / "x-images-idx3-ubyte.gz", tmp_path / "x-images-idx3-ubyte.gz")
    (tmp_path / "set" / "a").mkdir(parents=True)
    (tmp_path / "set" / "a" / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 30)
    with pytest.raises(StorageError, match=r"x\.png: damaged, or of another kind"):
        load_images(tmp_path / "set")
    (tmp_path / "x.csv").write_text('a,label\n"' + "1" * 200_000 + '",2\n')
    with pytest.raises(StorageError, match=r"x\.csv: damaged, or of another kind"):
        load_csv(tmp_path / "x.csv")
    (tmp_path / "x.csv").write_bytes("a,größe,label\n1,2,3".encode("latin-1"))
    with pytest.raises(StorageError, match=r"x\.csv: damaged, or of another kind: UnicodeDecodeError"):
        load_csv(tmp_path / "x.csv")


@pytest.mark.parametrize("labels", [[0, 1, 0], [[0], [1]], 3])
def test_an_archive_has_one_label_for_each_image(tmp_path, labels):
    """NumPy's words on boolean indices came through."""
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 4, 4)), labels=labels)
    with pytest.raises(ValueError, match=r"a label each; got \(2, 4, 4\) and \("):
        load_images(tmp_path / "x.npz")


def test_boolean_functions_of_subsets():
    chosen = np.array([1, 0, 1, 1, 0], dtype=bool)
    parity = subset_parity(5, 200, subset=chosen, seed=1)
    assert (parity.y == parity.X[:, chosen].sum(axis=1) % 2).all()
    majority = subset_majority(5, 200, subset=chosen, seed=1)
    assert (majority.y == (parity.X[:, chosen].sum(axis=1) > 1.5)).all()
    assert (parity.X == majority.X).all(), "same seed, same strings"
    drawn = subset_majority(6, 100, seed=3)
    assert set(drawn.y) == {0, 1}
    assert (subset_parity(6, 50, seed=3).y == subset_parity(6, 50, seed=3).y).all()


def idx(array, code=8):
    """Write an array of bytes by the format's definition: 0 0 type rank, big-endian sizes, the numbers."""
    return struct.pack(f">4B{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files_are_those_of_mnist(tmp_path, zipped):
    images = np.random.default_rng(1).integers(0, 256, (6, 8, 8)).astype(np.uint8)
    labels = np.array([3, 6, 3, 1, 6, 6], dtype=np.uint8)
    ending, pack = (".gz", gzip.compress) if zipped else ("", bytes)
    source = tmp_path / f"train-images-idx3-ubyte{ending}"
    source.write_bytes(pack(idx(images)))
    (tmp_path / f"train-labels-idx1-ubyte{ending}").write_bytes(pack(idx(labels)))
    data = load_idx(source, classes=(3, 6))
    assert data.y.tolist() == [3, 6, 3, 6, 6]
    assert (data.X == images_to_bits(images[labels != 1] / 255, data.y).X).all()
    with pytest.raises(ValueError, match=r"classes must be among \[1, 3, 6\]; got \[7\]"):
        load_idx(source, classes=(3, 7))
    source.write_bytes(pack(idx(images)[:-1]))
    with pytest.raises(ValueError, match=r"must hold \(6, 8, 8\) numbers of 1 bytes"):
        load_idx(source)
    source.write_bytes(pack(idx(images[:5])))
    with pytest.raises(ValueError, match="a label each"):
        load_idx(source)
    source.write_bytes(b"PNG")
    with pytest.raises(ValueError, match="must be an idx file"):
        load_idx(source)
    with pytest.raises(ValueError, match="labels must be given"):
        load_idx(tmp_path / "x.idx")


def test_idx_numbers_of_other_types(tmp_path):
    images = np.array([[[0.0, 1.0], [0.25, 0.75]]], dtype=">f4")
    (tmp_path / "images").write_bytes(idx(images, 13))
    (tmp_path / "labels").write_bytes(idx(np.array([2], dtype=np.uint8)))
    assert load_idx(tmp_path / "images", size=2, threshold=None).X.tolist() == [[0, 1, 0.25, 0.75]]


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_picture_that_is_cut_short_is_named(tmp_path, ending):
    """Pillow's error does not name it, among thousands of others in the folder."""
    from matplotlib.image import imsave

    folder = tmp_path / "set" / "a"
    folder.mkdir(parents=True)
    imsave(folder / f"x.{ending}", np.random.default_rng(0).random((32, 32)))
    content = (folder / f"x.{ending}").read_bytes()
    for end in (20, len(content) // 2):
        (folder / f"x.{ending}").write_bytes(content[:end])
        with pytest.raises(StorageError, match=rf"x\.{ending}: damaged, or of another kind"):
            load_images(tmp_path / "set")


def test_an_archive_with_a_wrong_place_or_a_wrong_array_is_named(tmp_path):
    """The first is an OSError without a name; for the second, NumPy says how to load a pickle."""
    path = tmp_path / "x.npz"
    np.savez(path, images=np.zeros((2, 4, 4)), labels=np.arange(2))
    content = path.read_bytes()
    directory = content.rfind(b"PK\x05\x06")
    path.write_bytes(content[: directory + 16] + b"\xff\xff\xff\x7f" + content[directory + 20 :])
    with pytest.raises(StorageError, match=r"x\.npz: damaged, or of another kind"):
        load_images(path)
    for content, said in ((b"no array", "holds something else"), (b"\x93NUMPY\x01\x00\x00\x00", "")):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("images.npy", content)
            archive.writestr("labels.npy", content)
        with pytest.raises(ValueError, match=rf"x\.npz must hold the arrays images and labels; {said}"):
            load_images(path)


@pytest.mark.parametrize("load", [load_csv, load_images, lambda path: load_idx(path, path)])
def test_a_file_that_cannot_be_read_is_named(load, tmp_path):
    with pytest.raises(StorageError, match=r"cannot read .*missing: No such file or directory"):
        load(tmp_path / "missing")


def test_pictures_of_any_kind_and_case(tmp_path):
    from matplotlib.image import imsave

    image = np.zeros((16, 16, 3), dtype=np.uint8)
    image[:8] = 255
    for label, ending in (("a", "PNG"), ("b", "jpg"), ("c", "JPEG")):
        (tmp_path / label).mkdir()
        imsave(tmp_path / label / f"x.{ending}", image)
    data = load_images(tmp_path, size=2, threshold=None)
    assert data.y.tolist() == ["a", "b", "c"]
    assert data.X.tolist() == [pytest.approx([1, 1, 0, 0], abs=0.02)] * 3
    assert load_images(tmp_path, classes=["c", "a"], size=2).y.tolist() == ["a", "c"]


def test_rows_of_a_csv(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("a,label,b\n1.5,7,0\n-2,3,1e-1\n")
    data = load_csv(file)
    assert (data.X.tolist(), data.y.tolist()) == ([[1.5, 0], [-2, 0.1]], [7, 3])
    file.write_text("1,0,yes\n0,1,no\n")
    assert load_csv(file).y.tolist() == ["yes", "no"]
    for text, match in (("a,b\n1,x\n?,y\n", r"must be numbers; got '\?'"), ("a,b\n", "only the names"),
                        ("1,2\n1\n", "rows of one length"), ("", "rows of one length")):  # fmt: skip
        file.write_text(text)
        with pytest.raises(ValueError, match=match):
            load_csv(file)


def test_the_index_of_a_table_is_no_feature(tmp_path):
    """Rows sorted by their label gave a model that read it off the row number, with an accuracy of 1."""
    file = tmp_path / "rows.csv"
    for head in (",a,label", "a,label,", "a, ,label"):
        file.write_text(f"{head}\n0,1,yes\n1,1,no\n")
        with pytest.raises(ValueError, match=r"column \d has neither: leave out the index of a table"):
            load_csv(file)


@pytest.mark.parametrize(
    ("head", "labels"),
    [("0,1,label", [1, 0]), ("0,1,label", ["yes", "no"]), ("0,1,y", [1, 0]), ("0,label,1", [1, 0])],
)
def test_numbers_may_name_the_columns(tmp_path, head, labels):
    """As pandas names those of an array: they were a row, whose label was a class of its own."""
    place, file = head.split(",").index(head.strip("01,")), tmp_path / "x.csv"
    rows = [["0", "1"], ["1", "1"]]
    for row, label in zip(rows, labels, strict=True):
        row.insert(place, str(label))
    file.write_text("\n".join([head, *map(",".join, rows)]))
    data = load_csv(file)
    assert (data.X.tolist(), data.y.tolist()) == ([[0, 1], [1, 1]], labels)
    file.write_text("0,1,yes\n1,1,no\n")
    assert load_csv(file).y.tolist() == ["yes", "no"]


def test_noise_of_the_labels_leaves_the_strings():
    for draw in (subset_parity, subset_majority):
        clean, noisy = draw(5, 4000, seed=1), draw(5, 4000, label_noise=0.2, seed=1)
        assert (clean.X == noisy.X).all()
        assert (clean.y != noisy.y).mean() == pytest.approx(0.2, abs=0.025)
        with pytest.raises(ValueError, match=r"label_noise must be a finite number in \[0, 0.5\]"):
            draw(5, 10, label_noise=0.6)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"n_bits": 0}, "n_bits must be a whole number of at least 1; got 0"),
        ({"n_samples": -5}, "n_samples must be a whole number of at least 0; got -5"),
        ({"subset": [0, 2]}, r"subset must be \(3,\) of True and False, one for each bit; got \[0, 2\]"),
        ({"subset": [0, 1, 2]}, r"subset must be \(3,\) of True and False"),
        ({"seed": "x"}, "seed must be a whole number"),
    ],
)
def test_what_no_strings_can_be_drawn_from_is_named(wrong, said):
    for draw in (subset_parity, subset_majority):
        with pytest.raises(ValueError, match=said):
            draw(**{"n_bits": 3, "n_samples": 5} | wrong)


@pytest.mark.parametrize(
    ("a", "b", "said"), [(3, 3, "two digits; got 3 twice"), ("3", 6, "a must be"), (3, 10, "b must be")]
)
def test_digits_are_two(a, b, said):
    with pytest.raises(ValueError, match=said):
        load_digits_4x4(a, b)


def test_values_tell_the_range_of_grey(tmp_path):
    """Floats may be 0..255, and bytes may be zeros and ones."""
    image = np.zeros((2, 4, 4))
    image[0, :2] = 1
    for kind in (image, image * 255, image.astype(np.uint8), (255 * image).astype(np.uint8), image.astype(bool)):
        np.savez(tmp_path / "x.npz", images=kind, labels=["a", "b"])
        assert load_images(tmp_path / "x.npz", size=2).X.tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"images": np.full((1, 4, 4), 255)}, r"grey values in \[0, 1\]; got 255: divide bytes by 255"),
        ({"images": np.full((1, 4, 4), -0.1)}, "got -0.1"),
        ({"images": np.full((1, 4, 4), np.nan)}, "got nan"),
        ({"size": 0}, "size must be a whole number of at least 1; got 0"),
        ({"threshold": "half"}, "threshold must be a finite number; got 'half'"),
    ],
)
def test_what_is_no_grey_image_is_named(wrong, said):
    with pytest.raises(ValueError, match=said):
        images_to_bits(**{"images": np.zeros((1, 4, 4)), "labels": [1], **wrong})


def test_labels_of_any_text_can_be_kept(tmp_path):
    """The command line has texts only; 1 and "1", -1 and "-1" are the same label there."""
    file = tmp_path / "rows.csv"
    file.write_text("0,1,-1\n1,0,1\n1,1,2\n")
    assert load_csv(file, classes=["-1", 1]).y.tolist() == [-1, 1]
    file.write_text("0,1,1\n1,0,b\n")
    assert load_csv(file, classes=[1]).y.tolist() == ["1"]
    with pytest.raises(ValueError, match=r"classes must be among \['1', 'b'\]; got \['c'\]"):
        load_csv(file, classes=["c", "b"])
    file.write_text("0,1,99999999999999999999\n1,0,1\n")
    assert load_csv(file).y.tolist() == ["99999999999999999999", "1"]


def test_an_idx_file_of_two_bytes_is_named(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).write_bytes(b"\0\0")
    with pytest.raises(ValueError, match="must be an idx file"):
        load_idx(tmp_path / "images")


def test_images_that_are_all_the_same_after_the_cut_are_told(tmp_path):
    """Pixels of 0 to 16 are taken for bytes: no bit was left of them, and training ended at chance without a word."""
    images, labels = load_digits(return_X_y=True)
    np.savez(tmp_path / "x.npz", images=images.reshape(-1, 8, 8), labels=labels)
    with pytest.warns(UserWarning, match=r"differ in a bit; all are 0 .* from 0 to 0\.0627 are cut at 0\.5"):
        load_images(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", images=images.reshape(-1, 8, 8) / 16, labels=labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_images(tmp_path / "x.npz")


def test_pictures_and_arrays_that_unpack_beyond_the_limit_are_refused(tmp_path, monkeypatch):
    """matplotlib goes past the limit of Pillow for PNG; a row of zeros packs a thousandfold."""
    np.savez_compressed(tmp_path / "x.npz", images=np.zeros((64, 64, 64)), labels=np.zeros(64))
    monkeypatch.setattr("qcluster.files.MOST_BYTES", 1 << 20)
    with pytest.raises(ValueError, match=r"1,048,576 bytes or fewer; images\.npy unpacks to more"):
        load_images(tmp_path / "x.npz")
    (tmp_path / "set" / "a").mkdir(parents=True)
    picture = tmp_path / "set" / "a" / "x.png"
    for wide, high in ((20_000, 10_000), (12_000, 12_000)):  # beyond Pillow's limit, and below it
        head = struct.pack(">2I5B", wide, high, 8, 0, 0, 0, 0)
        chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
        packed = (struct.pack(">I", len(data)) + kind + data + crc(kind + data) for kind, data in chunks)
        picture.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
        with pytest.raises(ValueError, match=r"134,217,728 pixels or fewer; .*x\.png has more"):
            load_images(tmp_path / "set")


def crc(data):
    return struct.pack(">I", zlib.crc32(data))
