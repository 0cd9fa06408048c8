"""Images and labels: what is embedded, what is read from disk, and what a damaged or missing file says."""

import _socket
import functools
import gzip
import hashlib
import http.server
import io
import os
import pickle
import shutil
import struct
import threading
import urllib.error
import zlib
from urllib.request import urlopen

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
import torchvision
from PIL import Image

from prunekit import datasets
from prunekit.datasets import sources
from prunekit.errors import UserError
from prunekit.names import CIFAR100_SUPERCLASSES, DATASETS


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Downloads fail at once; sockets do not open."""

    def offline(*_, **__):
        raise urllib.error.URLError("the network is unreachable")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    monkeypatch.setattr("socket.socket.connect", offline)


def encoded(value, size=(32, 32), mode="RGB", form="PNG"):
    buffer = io.BytesIO()
    Image.new("RGB", size, (value, 2 * value, 7)).convert(mode).save(buffer, form, lossless=True)
    return buffer.getvalue()


def bomb(side):
    """Return a PNG of a few bytes that says it has side x side pixels."""
    header = struct.pack(">II5B", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 999)), (b"IEND", b""))
    content = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        content += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return content


def write_shard(file, columns, images, *labels):
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"bytes": image, "path": None} for image in images]
    pyarrow.parquet.write_table(pyarrow.table(dict(zip(columns, (rows, *labels), strict=True))), file)


def write_snapshot(
    root, name, form="PNG", train=50_000, test=10_000, shards=2, last=None, broken=None, mode="RGB", image=None
):
    """Write a snapshot whose image of row i is of colour i % 100 and whose labels count up (coarse: their group)."""
    columns = [image or sources._IMAGES[name == "mnist"], *(column for column in sources._COLUMNS[name] if column)]
    classes = len(DATASETS[name].classes)
    images = [encoded(value, form=form, mode=mode) for value in range(100)]
    for part, count, parts in (("train", train, shards), ("test", test, 1)):
        for shard, rows in enumerate(np.array_split(np.arange(count), parts)):
            shown = [images[row % 100] for row in rows]
            labels = rows % classes
            if broken is not None:
                shown[0] = broken
            if part == "test" and last is not None:
                labels[-1] = last
            coarse = [sources.coarse_of(labels % 100)] if name == "cifar100" else []
            file = root / name / f"{part}-{shard:05d}-of-{parts:05d}.parquet"
            write_shard(file, columns, shown, labels, *coarse)
    return root


def write_idx(root, train=60_000, test=10_000):
    """Write MNIST in torchvision's layout: an image is of its label's grey, classes are as large as MNIST's."""
    about = DATASETS["mnist"]
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count, each in (("train", train, about.train_counts), ("t10k", test, about.test_counts)):
        labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10, dtype=np.uint8), each))[:count]
        sizes = np.array([count, 28, 28], ">i4").tobytes()
        pixels = np.repeat(labels, 28 * 28).tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + sizes + pixels)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + sizes[:4] + labels.tobytes())
    return root


def complaint(name, root):
    """Return the one line that reading the dataset comes to."""
    with pytest.raises(UserError) as error:
        datasets.read(name, root)
    assert "\n" not in str(error.value)
    assert str(root) in str(error.value), "the line names the folder"
    return str(error.value)


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    return write_idx(tmp_path_factory.mktemp("mnist"))


# What ships with scikit-learn


@pytest.mark.parametrize(
    ("name", "train", "test", "classes", "coarse"),
    [("digits", 1437, 360, 10, 0), ("digit-pairs", 4000, 1000, 100, 10)],
)
def test_embedded_data_has_its_shape(name, train, test, classes, coarse):
    data = datasets.load(name, root="/nowhere")
    assert data.image_shape == (3, 32, 32)
    assert (len(data.classes), len(data.coarse_classes)) == (classes, coarse)
    for split, count in ((data.train, train), (data.test, test)):
        assert split.images.shape == (count, 3, 32, 32) and split.images.dtype == torch.uint8
        assert split.labels.shape == (count,) and split.labels.dtype == torch.int64
        assert split.labels.unique().tolist() == list(range(classes))
        assert (split.images.min(), split.images.max()) == (0, 255)
        assert (split.coarse_labels is not None) == bool(coarse)


@pytest.mark.parametrize("name", sources.EMBEDDED)
def test_embedded_data_is_always_the_same_and_leaves_no_file(name, tmp_path):
    """Whatever its reader has done to it."""
    one = datasets.read(name)
    images, labels = one.train.images.copy(), one.test.labels.copy()
    for part in (one.train, one.test):
        part.images[:], part.labels[:] = 0, 0
    two = datasets.read(name)
    assert np.array_equal(images, two.train.images) and np.array_equal(labels, two.test.labels)
    assert not list(tmp_path.iterdir())


def test_digit_pairs_are_left_and_right_digits():
    data = datasets.read("digit-pairs")
    assert data.classes[37] == "37" and data.coarse_classes[3] == "3x"
    for part, per_class in ((data.train, 40), (data.test, 10)):
        assert np.array_equal(part.coarse_labels, part.labels // 10)
        assert np.bincount(part.labels).tolist() == [per_class] * 100


def test_digit_pairs_of_training_and_test_share_no_digit():
    data = datasets.read("digit-pairs")
    train, test = (
        {half.tobytes() for image in part.images[:, 0] for half in (image[:, :16], image[:, 16:])}
        for part in (data.train, data.test)
    )
    assert len(train) > 1000 and len(test) > 300
    assert not train & test


def test_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"unknown dataset 'cifar'; did you mean cifar10\?"):
        datasets.load("cifar")


@pytest.mark.parametrize("name", datasets.NAMES)
def test_every_dataset_says_how_its_pixels_are_normalised(name):
    transform = datasets.TRANSFORMS[name]
    assert all(0 < value < 1 for value in (*transform.mean, *transform.std))


# Snapshots and torchvision's layout


def test_snapshot_of_cifar10_keeps_the_order_of_its_shards(tmp_path, monkeypatch):
    """A tenth of its images, in twelve shards."""
    assert DATASETS["cifar10"][2:4] == (50_000, 10_000)
    monkeypatch.setitem(DATASETS, "cifar10", DATASETS["cifar10"]._replace(train=5_000, test=1_000))
    root = write_snapshot(tmp_path, "cifar10", form="WebP", shards=12, train=5_000, test=1_000)
    data = datasets.read("cifar10", root)
    for part, count in ((data.train, 5_000), (data.test, 1_000)):
        assert part.images.shape == (count, 3, 32, 32) and part.images.flags.c_contiguous
        assert np.array_equal(part.images[:, 0, 31, 0], np.arange(count) % 100)
        assert np.array_equal(part.images[:, 1, 0, 31], 2 * (np.arange(count) % 100))
        assert np.array_equal(part.labels, np.arange(count) % 10)
        assert part.coarse_labels is None


def test_snapshot_of_cifar100_has_groups(tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "cifar100", DATASETS["cifar100"]._replace(train=1_000, test=500))
    data = datasets.read("cifar100", write_snapshot(tmp_path, "cifar100", train=1_000, test=500))
    assert len(data.classes) == 100 and list(data.classes) == sorted(data.classes)
    for part in (data.train, data.test):
        for fine in range(100):
            (group,) = set(part.coarse_labels[part.labels == fine])
            assert data.classes[fine] in CIFAR100_SUPERCLASSES[data.coarse_classes[group]]


def test_mnist_in_torchvisions_layout(mnist):
    data = datasets.load("mnist", mnist)
    assert data.train.images.shape == (60_000, 1, 28, 28) and data.test.images.shape == (10_000, 1, 28, 28)
    assert torch.equal(data.train.images[:, 0, 5, 5].long(), data.train.labels)
    assert data.train.labels.dtype == torch.int64


def test_images_with_a_palette_are_read_as_colours(tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "cifar10", DATASETS["cifar10"]._replace(train=200, test=100))
    data = datasets.read("cifar10", write_snapshot(tmp_path, "cifar10", train=200, test=100, mode="P"))
    assert data.train.images.shape == (200, 3, 32, 32)
    assert data.train.images.max() > 99


@pytest.fixture
def small_cifar(monkeypatch):
    monkeypatch.setitem(DATASETS, "cifar10", DATASETS["cifar10"]._replace(train=200, test=100))


@pytest.mark.parametrize("layout", ["named image", "folders", "config's folders", "checkpoints", "linked", "circle"])
def test_snapshots_as_people_have_them(tmp_path, small_cifar, layout):
    write_snapshot(tmp_path, "cifar10", train=200, test=100, image="image" if layout == "named image" else None)
    plain, folder = datasets.read("cifar10", tmp_path), tmp_path / "cifar10"
    shards = sorted(folder.glob("*.parquet"))
    if "folders" in layout:
        for shard in shards:
            which = shard.name.partition("-")[0]
            place = folder / ("plain_text/partial-x" if "config" in layout else ".") / which
            place.mkdir(parents=True, exist_ok=True)
            shard.rename(place / f"{len(list(place.iterdir())):04d}.parquet")
    elif layout == "checkpoints":
        (folder / ".ipynb_checkpoints").mkdir()
        for shard in shards:
            (folder / ".ipynb_checkpoints" / f"{shard.stem}-checkpoint.parquet").write_bytes(shard.read_bytes())
    elif layout == "linked":
        folder.rename(tmp_path / "elsewhere")
        folder.mkdir()
        (folder / "plain_text").symlink_to(tmp_path / "elsewhere")
    elif layout == "circle":
        (folder / "again").symlink_to(folder)
    data = datasets.read("cifar10", tmp_path)
    assert np.array_equal(data.train.images, plain.train.images) and np.array_equal(data.test.labels, plain.test.labels)


@pytest.mark.parametrize("kind", ["I;16", "RGBA", "LA", "RGB"])
def test_greys_are_the_same_in_whatever_mode_they_are_written(kind):
    """Of 16 bits 257 are one of 8."""
    greys = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = Image.fromarray(greys.astype(np.uint16) * 257) if kind == "I;16" else Image.fromarray(greys).convert(kind)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    assert Image.open(io.BytesIO(buffer.getvalue())).mode == kind
    for channels in (1, 3):
        found = sources.decode_images(np.array([buffer.getvalue()]), channels, 16, 16)
        assert np.array_equal(found, np.repeat(greys[None, None], channels, axis=1))


def _written(mode, form, **more):
    buffer = io.BytesIO()
    Image.new(mode, (16, 16), *more.pop("colour", ())).save(buffer, form, **more)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (_written("CMYK", "JPEG"), "CMYK"),
        (_written("RGBA", "PNG", colour=[(1, 2, 3, 4)]), "transparent.*RGBA"),
        (_written("P", "PNG", transparency=0), r"transparent.*\(mode P\)"),
    ],
)
def test_pixels_that_are_more_than_a_colour_are_refused_by_their_mode(content, words):
    with pytest.raises(ValueError, match=words):
        sources.decode_images(np.array([content]), 3, 16, 16)


# What is wrong is said in one line


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"train": 49_999}, ["49,999 training images of 50,000"]),
        ({"test": 9_000}, ["9,000 test images of 10,000"]),
        ({"last": 10}, ["labels", "0 to 9"]),
        ({"last": -1}, ["labels", "0 to 9"]),
        ({"broken": b"no image"}, ["an image cannot be read"]),
        ({"broken": encoded(1)[:60]}, ["an image cannot be read"]),
        ({"broken": encoded(1, size=(16, 16))}, ["an image cannot be read (it has 16x16 pixels, not 32x32)"]),
        ({"broken": encoded(1, size=(16, 64))}, ["an image cannot be read (it has 16x64 pixels, not 32x32)"]),
        ({"broken": bomb(20_000)}, ["an image cannot be read (Image size (400000000 pixels) exceeds limit"]),
        ({"broken": bomb(10_000)}, ["an image cannot be read (Image size (100000000 pixels) exceeds limit"]),
        ({"broken": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n"}, ["an image cannot be read"]),
        ({"train": 0}, ["train-00000-of-00002.parquet is damaged"]),
    ],
    ids=[
        "train",
        "test",
        "label 10",
        "label -1",
        "no image",
        "half an image",
        "another size",
        "another shape",
        "a bomb",
        "a small bomb",
        "a program",
        "empty",
    ],
)
def test_wrong_snapshot(tmp_path, wrong, words):
    line = complaint("cifar10", write_snapshot(tmp_path, "cifar10", **wrong))
    assert all(word in line for word in words), line


@pytest.mark.parametrize("damage", [lambda content: content[:-100], lambda content: b"", lambda _: b"<html>" * 9])
def test_damaged_shard_is_named(tmp_path, damage):
    write_snapshot(tmp_path, "cifar10", train=100, test=100)
    shard = tmp_path / "cifar10" / "train-00001-of-00002.parquet"
    shard.write_bytes(damage(shard.read_bytes()))
    assert f"{shard} is damaged" in complaint("cifar10", tmp_path)


def test_snapshot_without_its_test_part(tmp_path):
    write_snapshot(tmp_path, "cifar10", train=100)
    (tmp_path / "cifar10" / "test-00000-of-00001.parquet").unlink()
    assert "test-*.parquet" in complaint("cifar10", tmp_path)


def test_snapshot_of_another_dataset(tmp_path):
    write_snapshot(tmp_path, "cifar100", train=100, test=100)
    (tmp_path / "cifar100").rename(tmp_path / "cifar10")
    assert "no column label (it has img, fine_label, coarse_label): not cifar10" in complaint("cifar10", tmp_path)


@pytest.mark.parametrize("column", ["bytes alone", "null image", "text image", "text labels", "null label"])
def test_columns_of_another_kind(tmp_path, monkeypatch, column):
    monkeypatch.setitem(DATASETS, "cifar10", DATASETS["cifar10"]._replace(train=2, test=2))
    rows, labels = [{"bytes": encoded(1), "path": None}] * 2, [0, 9]
    others = {"bytes alone": [encoded(1)] * 2, "null image": [None, rows[0]], "text image": [{"bytes": "P1"}] * 2}
    rows = others.get(column, rows)
    labels = {"text labels": ["cat", "dog"], "null label": [0, None]}.get(column, labels)
    (tmp_path / "cifar10").mkdir()
    for part in ("train", "test"):
        table = pyarrow.table({"img": rows, "label": labels})
        pyarrow.parquet.write_table(table, tmp_path / "cifar10" / f"{part}-00000-of-00001.parquet")
    complaint("cifar10", tmp_path)


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
@pytest.mark.parametrize("damage", [lambda content: content[:-100], lambda _: b"", lambda _: b"\0\0\x0a\x01junk"])
def test_damaged_idx_file(tmp_path, mnist, file, damage):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (mnist / "MNIST" / "raw").iterdir():
        os.link(path, raw / path.name)
    content = (raw / file).read_bytes()
    (raw / file).unlink()
    (raw / file).write_bytes(damage(content))
    assert "damaged" in complaint("mnist", tmp_path)


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_dotted_name_of_mnists_archives_is_to_be_changed(tmp_path, mnist, file):
    raw = tmp_path / "MNIST" / "raw"
    shutil.copytree(mnist / "MNIST" / "raw", raw, copy_function=os.link)
    dotted = (raw / file).rename(raw / file.replace("-idx", ".idx"))
    assert complaint("mnist", tmp_path) == f"{dotted}: rename it to {file}, as torchvision has it"


def test_idx_file_of_another_type(tmp_path, mnist):
    raw = tmp_path / "MNIST" / "raw"
    shutil.copytree(mnist / "MNIST" / "raw", raw, copy_function=os.link)
    (raw / "t10k-images-idx3-ubyte").unlink()
    sizes = np.array([10_000, 28, 28], ">i4").tobytes()
    (raw / "t10k-images-idx3-ubyte").write_bytes(b"\0\0\x0d\x03" + sizes + bytes(4 * 10_000 * 28 * 28))
    assert "is damaged" in complaint("mnist", tmp_path)


def test_links_to_nothing_are_named(tmp_path):
    write_snapshot(tmp_path, "cifar10", train=100, test=100)
    shard = tmp_path / "cifar10" / "train-00001-of-00002.parquet"
    shard.unlink()
    shard.symlink_to("../blobs/0123")
    assert f"{shard} links to ../blobs/0123, which is not there" in complaint("cifar10", tmp_path)
    shard.unlink()
    shard.mkdir()
    assert f"{shard} is not a file" in complaint("cifar10", tmp_path)


def test_coarse_labels_of_other_classes(tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "cifar100", DATASETS["cifar100"]._replace(train=200, test=100))
    write_snapshot(tmp_path, "cifar100", train=200, test=100)
    shard = tmp_path / "cifar100" / "test-00000-of-00001.parquet"
    table = pyarrow.parquet.read_table(shard)
    wrong = table.set_column(2, "coarse_label", [table["coarse_label"].to_numpy()[::-1].copy()])
    pyarrow.parquet.write_table(wrong, shard)
    assert "coarse labels are not those of the fine ones" in complaint("cifar100", tmp_path)


def test_what_nobody_foresaw_is_one_line(tmp_path, monkeypatch):
    def broken(*_):
        raise RecursionError("two\nlines")

    monkeypatch.setattr(sources, "read", broken)
    assert "cannot be read (RecursionError: two lines)" in complaint("cifar10", tmp_path)


@pytest.fixture
def mirror(tmp_path, mnist, monkeypatch):
    """A mirror on this machine from which torchvision downloads MNIST's four files; returns their archives' folder."""
    archives = tmp_path / "mirror"
    archives.mkdir()
    resources = []
    for file in sorted((mnist / "MNIST" / "raw").iterdir()):
        archive = archives / f"{file.name}.gz"
        archive.write_bytes(gzip.compress(file.read_bytes(), 1))
        resources.append((archive.name, hashlib.md5(archive.read_bytes()).hexdigest()))
    reader = torchvision.datasets.MNIST
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=archives)
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    monkeypatch.setattr("urllib.request._opener", None)  # which keeps the proxies of the test that needed it first
    monkeypatch.setattr("socket.socket.connect", _socket.socket.connect)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        monkeypatch.setattr(reader, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        monkeypatch.setattr(reader, "resources", resources)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield archives
        server.shutdown()


@pytest.mark.parametrize("state", ["nothing", "one file", "half an archive"])
def test_an_unfinished_download_of_mnist_is_finished(tmp_path, mirror, mnist, state):
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    first = min(mirror.iterdir())
    if state == "one file":
        shutil.copy(mnist / "MNIST" / "raw" / first.stem, raw)
    elif state == "half an archive":
        (raw / first.name).write_bytes(first.read_bytes()[:999])
    assert same(datasets.read("mnist", tmp_path / "data"), datasets.read("mnist", mnist))
    shutil.rmtree(mirror)
    assert same(datasets.read("mnist", tmp_path / "data"), datasets.read("mnist", mnist)), "and not downloaded again"


def test_half_of_mnist_without_a_network_is_one_line(tmp_path, mnist):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    shutil.copy(mnist / "MNIST" / "raw" / "train-labels-idx1-ubyte", raw)
    assert "is damaged or not whole, and was not downloaded" in complaint("mnist", tmp_path)


def test_idx_files_with_too_few_images(tmp_path):
    assert "100 training images of 60,000" in complaint("mnist", write_idx(tmp_path, train=100))


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100"])
def test_missing_data_says_where_it_looked_and_what_to_do(tmp_path, name):
    line = complaint(name, tmp_path / "nothing")
    words = (f"nothing/{name}/*.parquet", sources._TORCHVISION[name][1], "--data-dir", "PRUNEKIT_DATA", "network")
    assert all(word in line for word in words), line


def test_data_folder_that_is_a_file(tmp_path):
    (tmp_path / "data").touch()
    assert "not a folder" in complaint("cifar10", tmp_path / "data")


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize(
    ("name", "folder", "files"),
    [
        ("cifar10", "cifar-10-batches-py", ["data_batch_1"]),
        ("cifar10", "cifar-10-batches-py", [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch", "batches.meta"]),
        ("cifar100", "cifar-100-python", ["train", "test", "meta"]),
        ("mnist", "MNIST/processed", ["training.pt", "test.pt"]),
        ("mnist", "MNIST/raw", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"]),
    ],
)
def test_pickles_of_strangers_are_never_opened(tmp_path, name, folder, files):
    (tmp_path / folder).mkdir(parents=True)
    for file in files:
        (tmp_path / folder / file).write_bytes(pickle.dumps(Bomb(tmp_path / "executed")))
    complaint(name, tmp_path)
    assert not (tmp_path / "executed").exists()


# The cache of decoded data


@pytest.fixture
def cached(mnist):
    """MNIST read once, and the file of its cache."""
    data = datasets.read("mnist", mnist)
    (file,) = datasets.cache_root().iterdir()
    return mnist, file, data


def encrypted(content):
    """Set the bit of the last file in a zip's directory that says that it is encrypted."""
    flags = content.rindex(b"PK\1\2") + 8
    return content[:flags] + bytes([content[flags] | 1]) + content[flags + 1 :]


def plain_array():
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def same(one, two):
    return all(
        np.array_equal(getattr(getattr(one, part), field), getattr(getattr(two, part), field))
        for part in ("train", "test")
        for field in ("images", "labels")
    )


def test_second_read_takes_the_cache(cached, monkeypatch):
    root, _, data = cached
    monkeypatch.setattr(sources, "read", None)
    assert same(datasets.read("mnist", root), data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:1_000_000] + bytes([content[1_000_000] ^ 1]) + content[1_000_001:],
        lambda content: content[: len(content) // 2],
        lambda _: b"",
        lambda _: b"junk",
        lambda content: content.replace(b"train_labels.npy", b"train_lebals.npy"),
        lambda content: encrypted(content),
        lambda content: content.replace(b"PK\1\2", b"PK\1\3"),
        lambda _: plain_array(),
    ],
    ids=["a flipped bit", "cut in half", "empty", "junk", "renamed", "encrypted", "directory", "a plain array"],
)
def test_damaged_cache_is_noticed_and_remade(cached, capsys, damage):
    root, file, data = cached
    file.write_bytes(damage(file.read_bytes()))
    assert same(datasets.read("mnist", root), data)
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{file} is damaged" in line
    assert same(datasets.read("mnist", root), data)
    assert not capsys.readouterr().err


def test_a_source_that_was_replaced_is_read_anew_and_its_old_copy_goes(cached):
    """By another of the same size and time, as cp -p and rsync -t leave it."""
    root, file, data = cached
    images = root / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    before, content = images.stat(), images.read_bytes()
    images.write_bytes(content[:-1] + b"\xff")
    os.utime(images, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert datasets.read("mnist", root).test.images[-1, 0, -1, -1] == 255
    (copy,) = file.parent.iterdir()
    assert copy != file
    images.write_bytes(content)
    assert same(datasets.read("mnist", root), data)


def test_copies_of_data_that_are_gone_leave_the_cache_and_there_are_few(cached, tmp_path):
    _, file, data = cached
    part = sources.Split(data.train.images[:2], data.train.labels[:2])
    for number in range(9):
        (tmp_path / f"{number}").touch()
        datasets.write_cache(file.with_name(f"x-{number}.npz"), part, part, tmp_path / f"{number}")
    assert len(list(file.parent.iterdir())) == 6 and not file.exists()
    (tmp_path / "7").unlink()
    datasets.write_cache(file.with_name("y.npz"), part, part, tmp_path / "8")  # where x-8 came from
    assert sorted(copy.stem for copy in file.parent.iterdir()) == ["x-4", "x-5", "x-6", "y"]


def test_the_datasets_made_in_mnists_format_are_not_taken_for_mnist(tmp_path, mnist):
    """Fashion-MNIST and KMNIST have as many images of each class."""
    root = shutil.copytree(mnist, tmp_path / "other")
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        file = root / "MNIST" / "raw" / f"{part}-labels-idx1-ubyte"
        file.write_bytes(file.read_bytes()[:8] + bytes(range(10)) * (count // 10))
    words = complaint("mnist", root)
    assert "6,000 training images have label 0, not 5,923; this is another dataset" in words


def test_cache_folder_that_cannot_be_written_only_warns(mnist, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(datasets.read("mnist", mnist).train.images) == 60_000
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot cache" in line and str(tmp_path / "file") in line


# The real thing


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("mnist", (0.1306604762738429,)),
        ("cifar10", (0.49139968, 0.48215841, 0.44653091)),
        ("cifar100", (0.50707516, 0.48654887, 0.44091784)),
    ],
)
def test_real_data_has_the_published_means(real_data, name, means):
    images = datasets.read(name, real_data).train.images
    assert images.mean(axis=(0, 2, 3)) / 255 == pytest.approx(means, abs=1e-6)
