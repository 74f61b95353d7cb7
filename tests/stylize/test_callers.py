"""Filters in other programs: called by many threads, sent to other processes, copied."""

from __future__ import annotations

import copy
import io
import multiprocessing
import os
import pickle
import random
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import THREADS, contents, make_picture, together
from PIL import Image

import fastnst
from fastnst.checkpoint.contents import save_checkpoint
from fastnst.checkpoint.numpy_reader import read_arrays
from fastnst.checkpoint.shipped import Origin, named_models, shipped_models
from fastnst.engines import openvino_engine as engine
from fastnst.engines import openvino_graph as graph
from fastnst.engines.openvino_engine import OpenVinoEngine
from fastnst.errors import CheckpointError, FastnstError, ImageReadError, PictureError
from fastnst.stylize import stylizer as stylize
from fastnst.stylize.file_options import FileOptions
from fastnst.stylize.filters import Filter
from fastnst.stylize.stylizer import Stylizer

needs_openvino = pytest.mark.skipif(not graph.installed(), reason="OpenVINO is not installed")
ENGINES = [pytest.param("openvino", marks=needs_openvino), "torch"]
SIDES = [(64, 96), (72, 96), (80, 96), (96, 64), (33, 57), (64, 64)]


def pictures(count: int = 12) -> list[np.ndarray]:
    """Pictures that differ everywhere, some of one size, some of others."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*SIDES[i % len(SIDES)], 3), np.uint8) for i in range(count)]


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "m.ckpt"
    save_checkpoint(contents(), path)
    return path


# Pictures in every form.

PIXELS = np.asarray(make_picture(24, 16))


class Elsewhere:
    """An array of another library."""

    def __array__(self, dtype=None, copy=None):
        return PIXELS


def upload() -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    return file.getvalue()


def rounded_up() -> np.ndarray:
    above = (PIXELS / np.float32(255)).astype(np.float32)
    above[PIXELS == 255] = 1.0000002
    above[PIXELS == 0] = -1e-7
    return above


FORMS = {
    "floats": lambda: PIXELS / 255,
    "halves": lambda: (PIXELS / 255).astype(np.float16),
    "floats beyond 0..1 by rounding": rounded_up,
    "another library's array": Elsewhere,
    "a tensor": lambda: torch.from_numpy(PIXELS / 255),
    "a file's bytes": upload,
    "a bytearray": lambda: bytearray(upload()),
    "a memoryview": lambda: memoryview(upload()),
    "a file in memory": lambda: io.BytesIO(upload()),
    "a view": lambda: PIXELS[:, ::-1][:, ::-1],
}


@pytest.mark.parametrize("form", FORMS)
def test_pictures_in_every_form_make_the_same_picture(form, path):
    paint = fastnst.load(path, "cpu", "torch")
    assert np.array_equal(paint(FORMS[form]()), paint(PIXELS))


def test_an_open_file_is_read_from_where_it_is(path, tmp_path):
    (tmp_path / "a.png").write_bytes(b"head" + upload())
    paint = fastnst.load(path, "cpu", "torch")
    with open(tmp_path / "a.png", "rb") as file:
        file.seek(4)
        assert np.array_equal(paint(file), paint(PIXELS))
    with pytest.raises(PictureError, match=r"can't be read .*closed"):
        paint(file)
    with (
        open(tmp_path / "a.png", "rb") as file,
        pytest.raises(ImageReadError, match=r"a\.png: not"),
    ):
        paint(file)


NO_PICTURES = {
    "16 bits": (lambda: PIXELS.astype(np.uint16) * 257, "array / 65535 makes floats"),
    "int64": (lambda: PIXELS.astype(np.int64), r"array\.astype\(np\.uint8\)"),
    "floats of 255": (lambda: PIXELS.astype(float), "array / 255 may be meant"),
    "-1 to 1": (lambda: PIXELS / 127.5 - 1, r"\(array \+ 1\) / 2 may be meant"),
    "no numbers": (lambda: PIXELS * np.nan, "floats from nan to nan"),
    "a batch": (lambda: PIXELS[None], "one by one"),
    "channels first": (lambda: np.moveaxis(PIXELS, -1, 0), "puts the channels last"),
    "a tensor (1, 3, H, W)": (lambda: torch.rand(1, 3, 8, 8), "one by one"),
    "a recorded tensor": (lambda: torch.rand(8, 8, 3, requires_grad=True), r"detach\(\)"),
    "a list": (lambda: PIXELS.tolist(), r"np\.asarray"),
    "None": (lambda: None, "not a picture but a NoneType"),
    "a number": (lambda: 5, "not a picture but a int"),
    "text in a file": (lambda: io.StringIO("a"), "mode 'rb'"),
    "another mapping": (lambda: {"pixels": PIXELS[None]}, "'image'"),
}


@pytest.mark.parametrize("form", NO_PICTURES)
def test_what_is_no_picture_is_refused_with_what_is_taken(form, path):
    make, hint = NO_PICTURES[form]
    with pytest.raises(PictureError, match=hint) as caught:
        fastnst.load(path, "cpu", "torch")(make())
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, FastnstError)
    assert form == "another mapping" or "a picture is a path, a PIL image, a" in str(caught.value)


# Threads.


@pytest.mark.parametrize("cores", ["1", "2"])
@pytest.mark.parametrize("name", ENGINES)
def test_each_thread_gets_its_own_pictures_result(name, cores, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", cores)
    before = torch.get_num_threads()
    torch.set_num_threads(int(cores))
    wave, given = fastnst.load("wave", "cpu", name), pictures()
    alone = [np.asarray(wave(picture)).astype(int) for picture in given]
    assert np.abs(alone[0] - alone[6]).max() > 50

    def serve(number: int) -> int:
        order = list(range(len(given))) * 2
        random.Random(number).shuffle(order)
        return sum(np.abs(np.asarray(wave(given[i])) - alone[i]).max() > 1 for i in order)

    try:
        assert together(serve) == [0] * THREADS
    finally:
        torch.set_num_threads(before)


def test_threads_may_share_effects_files_and_strips(tmp_path):
    source, wave = tmp_path / "in.png", fastnst.load("wave", "cpu")
    make_picture(70, 50).save(source)
    options = [
        FileOptions(tile="off"), FileOptions(tile=16),
        FileOptions(effects=stylize.Effects(strength=0.5)),
        FileOptions(effects=stylize.Effects(keep_colors=True), tile=16),
    ]  # fmt: skip

    def serve(number: int) -> np.ndarray:
        target = tmp_path / f"{number}-{threading.get_ident()}.png"
        wave.stylizer.stylize_file(source, target, options[number % 4])
        return np.asarray(Image.open(target)).astype(int)

    alone = [serve(number) for number in range(4)]
    for number, found in enumerate(together(serve)):
        assert np.abs(found - alone[number % 4]).max() <= 1


def test_threads_may_share_tensors_before_there_is_a_network(path, monkeypatch):
    built = []
    real = Stylizer._torch.func

    def counted(stylizer):
        built.append(stylizer)
        return real(stylizer)

    monkeypatch.setattr(Stylizer._torch, "func", counted)
    stylizer, image = Stylizer.load(path, "cpu"), torch.rand(1, 3, 24, 40)
    first, *others = together(lambda _: stylizer(image))
    assert all(torch.equal(first, other) for other in others)
    assert len(built) == 1


@needs_openvino
def test_threads_may_load_at_once_and_start_one_core(monkeypatch):
    started = []

    class Slow:
        def Core(self):  # noqa: N802
            started.append(threading.get_ident())
            threading.Event().wait(0.05)
            return object()

    monkeypatch.setattr(engine, "openvino", Slow)
    engine._core.cache_clear()
    try:
        assert len({id(core) for core in together(lambda _: engine.core())}) == 1
        assert len(started) == 1
    finally:
        engine._core.cache_clear()


@needs_openvino
def test_threads_may_import_the_engine_at_once(monkeypatch):
    """What is set aside for the import is back afterwards, and nobody meets it in between."""
    telemetry = []

    def slowly(name):
        telemetry.append(graph.sys.modules[graph.TELEMETRY])
        threading.Event().wait(0.01)
        return name

    monkeypatch.setattr(graph.importlib, "import_module", slowly)
    assert together(lambda _: graph.openvino()) == ["openvino"] * THREADS
    assert telemetry == [None] * THREADS
    assert graph.TELEMETRY not in graph.sys.modules


@needs_openvino
def test_requests_are_as_many_as_calls_at_once_and_few_wait(path, monkeypatch):
    compiled, made = [], []
    real = engine.compiled

    class Counted:
        def __init__(self, model) -> None:
            self.model = model

        def create_infer_request(self):
            made.append(1)
            return self.model.create_infer_request()

    def counted(*arguments):
        compiled.append(1)
        return Counted(real(*arguments))

    monkeypatch.setattr(engine, "compiled", counted)
    paint, picture = fastnst.load(path, "cpu"), pictures(1)[0]
    for _ in range(30):
        paint(picture)
    assert (len(compiled), len(made)) == (1, 1)
    together(lambda _: [paint(picture) for _ in range(10)])
    (sized,) = paint.stylizer.engine._sized.values()
    assert len(compiled) == 1
    assert len(sized._waiting) <= engine.KEPT_REQUESTS
    monkeypatch.setattr(engine, "KEPT_REQUESTS", THREADS)
    made.clear()
    together(lambda _: [paint(picture) for _ in range(10)])
    assert len(made) <= THREADS


@needs_openvino
def test_a_call_that_fails_takes_its_request_along(path, monkeypatch):
    paint, picture = fastnst.load(path, "cpu"), pictures(1)[0]
    expected = np.asarray(paint(picture))
    (sized,) = paint.stylizer.engine._sized.values()

    class Broken:
        def infer(self, *_: object, **__: object) -> None:
            raise RuntimeError("could not allocate")

    sized._waiting[:] = [Broken()]
    with pytest.raises(RuntimeError, match="allocate"):
        paint(picture)
    assert sized._waiting == []
    assert np.array_equal(np.asarray(paint(picture)), expected)


@needs_openvino
def test_sizes_are_given_up_while_other_threads_compute_them(monkeypatch):
    monkeypatch.setattr(engine, "KEPT_PIXELS", 96 * 96)
    wave, given = fastnst.load("wave", "cpu"), pictures(6)
    alone = [np.asarray(wave(picture)).astype(int) for picture in given]
    released = threading.Event()

    def serve(number: int) -> int:
        if number == 0:
            for _ in range(50):
                wave.stylizer.engine.release()
                released.wait(0.005)
            return 0
        order = [(number + turn) % 6 for turn in range(6)]
        return sum(np.abs(np.asarray(wave(given[i])) - alone[i]).max() > 1 for i in order)

    assert together(serve, 4) == [0] * 4
    assert sum(h * w for h, w in wave.stylizer.engine._sized) <= 96 * 96


# Pickle and copies.


def other_form(filter_: Filter, how: str) -> Filter:
    if how == "deepcopy":
        return copy.deepcopy(filter_)
    return pickle.loads(pickle.dumps(filter_, protocol=int(how)))


@pytest.mark.parametrize("how", ["deepcopy", "2", "4", str(pickle.HIGHEST_PROTOCOL)])
@pytest.mark.parametrize("name", ENGINES)
def test_a_copy_makes_the_same_picture(name, how):
    wave = fastnst.load("wave", "cpu", name, mix={"udnie": 0.4})
    again, picture = other_form(wave, how), pictures(1)[0]
    assert np.array_equal(np.asarray(again(picture)), np.asarray(wave(picture)))
    assert not np.array_equal(
        np.asarray(again(picture)), np.asarray(fastnst.load("wave", "cpu", name)(picture))
    )
    assert (again.stylizer.engine.name, again.stylizer.name) == (name, "wave+udnie40")
    assert again.stylizer is not wave.stylizer


@needs_openvino
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_copy_of_a_stylizer_has_its_options(precision, path):
    stylizer = Stylizer.load(path, "cpu", "openvino", [(path, 0.25)], precision)
    for again in (copy.deepcopy(stylizer), pickle.loads(pickle.dumps(stylizer))):
        assert (again.engine.precision, again.engine.name) == (precision, "openvino")
        assert again.name == stylizer.name
        assert again.name.endswith("25")
        assert again.name == stylizer.name


def test_a_relative_path_is_found_from_another_folder(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paint, picture = fastnst.load("m.ckpt", "cpu"), pictures(1)[0]
    data, expected = pickle.dumps(paint), np.asarray(paint(picture))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert np.array_equal(np.asarray(pickle.loads(data)(picture)), expected)


def test_a_shipped_style_is_found_wherever_fastnst_is_installed(tmp_path, monkeypatch):
    """Its name is sent, not its path; nor is a file of that name taken instead."""
    data = pickle.dumps(fastnst.load("wave", "cpu"))
    assert str(shipped_models()["wave"].parent).encode() not in data
    monkeypatch.chdir(tmp_path)
    Path("wave").write_bytes(b"no checkpoint")
    assert pickle.loads(data).stylizer.name == "wave"
    monkeypatch.setattr("fastnst.checkpoint.shipped.named_models", dict)
    with pytest.raises(CheckpointError, match="wave: no style of that name comes with"):
        pickle.loads(data)(pictures(1)[0])


@pytest.mark.parametrize("how", ["deepcopy", "4"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: path.unlink(), "no such checkpoint any more, or not on this machine"),
        (lambda path: path.write_bytes(shipped_models()["wave"].read_bytes()), "has changed since"),
        (lambda path: (path.unlink(), path.mkdir()), "no such checkpoint any more"),
    ],
    ids=["gone", "replaced", "folder"],
)
def test_a_copy_whose_file_is_gone_says_so_in_a_line(change, told, how, path):
    paint, picture = fastnst.load(path, "cpu"), pictures(1)[0]
    change(path)
    again = other_form(paint, how)
    for _ in range(2):
        with pytest.raises(CheckpointError, match=told) as error:
            again(picture)
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)
    with pytest.raises(CheckpointError, match=told):
        copy.deepcopy(paint.stylizer)
    # The one that was loaded needs the file no more.
    paint(picture)


def test_a_copy_of_a_mixture_needs_all_its_files(path, tmp_path):
    other = tmp_path / "other.ckpt"
    other.write_bytes(path.read_bytes())
    paint = copy.deepcopy(fastnst.load(path, "cpu", mix={str(other): 0.5}))
    other.unlink()
    with pytest.raises(CheckpointError, match=r"other\.ckpt: no such checkpoint any more"):
        paint(pictures(1)[0])


def test_a_shallow_copy_shares_what_was_loaded(path):
    paint = fastnst.load(path, "cpu")
    path.unlink()
    assert copy.copy(paint).stylizer is paint.stylizer
    assert copy.copy(paint.stylizer) is paint.stylizer
    copy.copy(paint)(pictures(1)[0])


def test_an_attribute_of_the_callers_own_is_copied(path):
    paint = fastnst.load(path, "cpu")
    paint.label = ["mine"]
    assert copy.deepcopy(paint).label == ["mine"]
    assert pickle.loads(pickle.dumps(paint)).label == ["mine"]


def test_threads_may_use_a_copy_first_at_once(path, monkeypatch):
    made = []
    paint, picture = fastnst.load(path, "cpu"), pictures(1)[0]
    expected, again = np.asarray(paint(picture)), copy.deepcopy(paint)
    real = again._again
    again._again = lambda: made.append(1) or real()
    assert all(np.array_equal(f, expected) for f in together(lambda _: np.asarray(again(picture))))
    assert made == [1]


def test_an_origin_is_a_whole_path_and_a_digest(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    origin = Origin.of(Path("m.ckpt"))
    assert (origin.place, origin.is_shipped) == (str(path), False)
    assert origin.file() == path
    assert Origin.of(shipped_models()["wave"]).is_shipped
    larger = Origin.of(named_models()["wave-johnson"])
    assert (larger.place, larger.is_shipped) == ("wave-johnson", True)
    assert larger.file() == named_models()["wave-johnson"]
    with pytest.raises(CheckpointError, match="can't be read"):
        Origin.of(tmp_path / "none.ckpt")


# Processes.


@pytest.fixture(params=["spawn", "forkserver"])
def context(request, forkserver):
    return forkserver if request.param == "forkserver" else multiprocessing.get_context("spawn")


def test_a_filter_works_in_other_processes(context, path, tmp_path):
    paint, given = fastnst.load(path, "cpu"), pictures(4)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        found = list(pool.map(paint, given))
    for picture, result in zip(given, found, strict=True):
        assert np.abs(np.asarray(result).astype(int) - np.asarray(paint(picture))).max() <= 1


def test_a_pool_is_told_that_a_filters_file_is_gone(context, path):
    """It would wait for ever if a filter could not be unpickled."""
    paint = fastnst.load(path, "cpu")
    path.unlink()
    with context.Pool(1) as pool:
        waiting = pool.apply_async(paint, (pictures(1)[0],))
        with pytest.raises(CheckpointError, match="no such checkpoint any more") as error:
            waiting.get(timeout=120)
    assert "\n" not in str(error.value)


def in_its_own_process(paint: Filter, picture: np.ndarray, sender: object) -> None:
    sender.send((os.getpid(), np.asarray(paint(picture))))


def test_a_filter_is_an_argument_of_a_process(context, path):
    paint, picture = fastnst.load(path, "cpu"), pictures(1)[0]
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=in_its_own_process, args=(paint, picture, sender))
    child.start()
    number, result = receiver.recv() if receiver.poll(120) else (None, None)
    child.join(60)
    assert number == child.pid != os.getpid()
    assert np.abs(result.astype(int) - np.asarray(paint(picture))).max() <= 1


@needs_openvino
def test_the_engine_itself_says_weights_of_other_shapes(path):
    found = read_arrays(path)
    network = found.info["network"]
    name = next(name for name in found.weights if name.endswith("bias"))
    for wrong in (np.zeros(1, np.float32), found.weights[name][:, None]):
        with pytest.raises(ValueError, match="other names or shapes"):
            OpenVinoEngine(network["kind"], network["options"], {**found.weights, name: wrong})
