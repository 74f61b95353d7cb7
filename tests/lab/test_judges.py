"""The judges of lab/, but for what they ask other networks: closed forms and invariants."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import ROOT, make_picture
from PIL import Image

if not (ROOT / "lab").exists():
    pytest.skip("the lab is not here", allow_module_level=True)

from judges import hues as judging_hues
from judges.candidates import Places, blended, candidate
from judges.damage import damaged, exchanged
from judges.edges import blurred, correlation, edges, gradients
from judges.faces import SAME, Detector, count_found, overlap
from judges.hues import distances, hues
from judges.panel import HEADING, Panel, Verdict, read_photographs
from judges.recognition import Classifiers, View, recognized, viewed

from fastnst.errors import ConfigError, DataError

PHOTO = make_picture(96, 64, 4)


def opponents(seed: int = 0) -> np.ndarray:
    """Hue and saturation of a picture 64 x 96 of 4 x 6 places."""
    places = np.random.default_rng(seed).normal(0, 0.2, (4, 6, 2)).astype(np.float32)
    return places.repeat(judging_hues.PLACE, 0).repeat(judging_hues.PLACE, 1)


def test_hues_are_1_for_the_photograph_itself_and_0_without_hue():
    assert hues(PHOTO, PHOTO) == pytest.approx(1)
    assert hues(PHOTO.convert("L").convert("RGB"), PHOTO) == 0
    assert hues(Image.new("RGB", PHOTO.size, (200, 40, 90)), PHOTO) == 0
    assert hues(PHOTO, Image.new("RGB", PHOTO.size, (200, 40, 90))) == 0


def test_hues_do_not_see_the_strength_of_colours_nor_which_they_are():
    own = opponents()
    angle = 1.1
    turned = own @ np.float32([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for other in (0.2 * own, own + np.float32([0.3, -0.1]), turned, own * np.float32([-1, 1])):
        assert correlation(distances(other), distances(own)) == pytest.approx(1, abs=1e-5)


def test_hues_that_are_strewn_do_not_count():
    # The same colours at other places.
    places = opponents()[:: judging_hues.PLACE, :: judging_hues.PLACE].reshape(-1, 2)
    found = []
    for seed in range(50):
        moved = np.random.default_rng(seed).permutation(places).reshape(4, 6, 2)
        moved = moved.repeat(judging_hues.PLACE, 0).repeat(judging_hues.PLACE, 1)
        found.append(correlation(distances(moved), distances(opponents())))
    assert abs(np.mean(found)) < 0.05


def test_hues_are_those_of_places_not_of_pixels():
    speckled = opponents() + np.random.default_rng(5).choice([-0.3, 0.3], (64, 96, 2))
    assert correlation(distances(speckled.astype(np.float32)), distances(opponents())) > 0.95


def test_distances_are_of_all_pairs():
    own = np.zeros((32, 32, 2), np.float32)
    own[:16, 16:] = (3, 4)
    assert sorted(distances(own)) == [0, 0, 0, 5, 5, 5]


def test_a_ramp_has_its_slope_as_gradient_and_a_blur_leaves_it():
    down, across = np.indices((60, 80), dtype=np.float32)
    ramp = 0.03 * down + 0.04 * across
    # Away from the border, which goes on level.
    assert gradients(ramp)[8:-8, 8:-8] == pytest.approx(0.05, rel=1e-4)


def test_a_blurred_point_is_the_bell():
    point = np.zeros((41, 41), np.float32)
    point[20, 20] = 1
    bell = blurred(point, 2.0)
    assert bell.sum() == pytest.approx(1, abs=1e-5)
    assert bell[20, 20] == pytest.approx(1 / (2 * np.pi * 4), rel=0.01)
    assert bell[20, 24] / bell[20, 20] == pytest.approx(np.exp(-2), rel=1e-4)


def test_edges_do_not_see_contrast_nor_its_sign_nor_hue():
    grey = np.random.default_rng(2).normal(size=(6, 9)).repeat(8, 0).repeat(8, 1)
    own = grey.astype(np.float32)
    for other in (0.3 * own + 5, -own):
        assert correlation(gradients(other), gradients(own)) == pytest.approx(1, abs=1e-5)
    assert edges(PHOTO, PHOTO) == pytest.approx(1)
    assert edges(Image.new("RGB", PHOTO.size, "red"), PHOTO) == 0


def test_correlation_is_numpys():
    one, other = np.random.default_rng(0).normal(size=(2, 500))
    other += one
    assert correlation(one, other) == pytest.approx(np.corrcoef(one, other)[0, 1])
    assert correlation(one, np.ones(500)) == 0


# Recognition, of features and scores that are known.


def seen(features: np.ndarray, scores: np.ndarray | None = None):
    scores = np.eye(len(features), 10, dtype=np.float32) if scores is None else scores
    return {("one", "whole"): View(np.asarray(features, np.float32), scores)}


def test_the_photographs_themselves_are_recognized_and_others_are_not():
    own = seen(np.random.default_rng(0).random((5, 20)))
    same = recognized(own, own)
    assert (same.top5, same.found) == (1, 1)
    assert same.like == pytest.approx(1)
    features, scores = own["one", "whole"].features, np.eye(5, 10, dtype=np.float32)
    other = recognized(seen(np.roll(features, 1, 0), np.roll(scores, 1, 0) - scores), own)
    assert (other.top5, other.found) == (0, 0)
    assert other.like < 0


def test_like_is_the_cosine_less_that_of_any_photograph():
    # Orthogonal photographs; results that go half the way to the mean of all.
    own, share = np.eye(4), 0.5
    results = (1 - share) * own + share * np.full((4, 4), 0.25)
    to_own, to_other = results[0, 0], results[0, 1]
    length = np.hypot(to_own, np.sqrt(3) * to_other)
    expected = (to_own - to_other) / length / (1 - to_other / length)
    found = recognized(seen(results), seen(own))
    assert found.like == pytest.approx(expected, rel=1e-5)
    # A mean of all photographs is like none.
    assert recognized(seen(np.ones((4, 4))), seen(own)).like == pytest.approx(0, abs=1e-6)


def test_the_fifth_class_counts_and_the_sixth_does_not():
    first = np.eye(2, 10, dtype=np.float32)
    scores = np.tile(np.arange(10, 0, -1, dtype=np.float32), (2, 1))
    scores[0, [0, 4]], scores[1, [1, 5]] = scores[0, [4, 0]], scores[1, [5, 1]]
    assert recognized(seen(np.eye(2), scores), seen(np.eye(2), first)).top5 == 0.5


def test_the_middle_is_a_square():
    pixels = np.zeros((4, 10, 3), np.uint8)
    pixels[:, 3:7] = 255
    picture = Image.fromarray(pixels)
    assert np.asarray(viewed(picture, "middle")).min() == 255
    assert viewed(picture, "middle").size == (4, 4)
    assert viewed(picture, "whole") is picture


# Faces.


def test_overlap_is_the_common_part_of_all():
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 20, 10)) == 0
    assert overlap((0, 0, 10, 10), (20, 20, 30, 30)) == 0
    assert overlap((0, 0, 0, 0), (0, 0, 0, 0)) == 0


def test_a_face_is_found_at_its_place_and_a_box_is_one_face_only():
    faces = [(0.0, 0, 10, 10), (2.0, 0, 12, 10), (50.0, 50, 60, 60)]
    assert count_found(faces, faces) == 3
    assert count_found(faces, []) == 0
    assert count_found([], faces) == 0
    assert overlap(faces[0], faces[1]) > SAME
    assert count_found(faces, [faces[0]]) == 1
    assert count_found(faces, [(53.0, 50, 63, 60)]) == 1
    assert count_found(faces, [(56.0, 50, 66, 60)]) == 0


class Finds(Detector):
    """A detector whose network says what it is told."""

    def __init__(self, boxes=None, probabilities=(), error: str = "") -> None:
        self.network, self.says, self.error = self, (boxes, probabilities), error

    def detect(self, picture):
        if self.error:
            raise RuntimeError(self.error)
        return self.says


def test_only_faces_beyond_doubt_are_to_be_found():
    boxes = np.array([[0, 0, 40, 40], [50, 0, 90, 40], [0, 50, 20, 70]], np.float32)
    detector = Finds(boxes, [0.999, 0.9, 0.999])
    assert detector.certain(PHOTO) == [(0, 0, 40, 40)]
    assert len(detector.faces(PHOTO)) == 3
    assert Finds().faces(PHOTO) == []
    # What its network says where it has no candidate at all.
    assert Finds(error="torch.cat(): expected a non-empty list of Tensors").faces(PHOTO) == []
    with pytest.raises(RuntimeError, match="memory"):
        Finds(error="out of memory").faces(PHOTO)


# Candidates, photographs, and the panel.


def test_damage_keeps_sizes_and_changes_all_but_the_first():
    photos = {"a": PHOTO, "b": make_picture(40, 80, 1)}
    rows = dict(damaged(photos))
    assert rows.pop("the photograph") == photos
    for pictures in rows.values():
        assert all(pictures[name].size == one.size for name, one in photos.items())
        assert all(pictures[name] != one for name, one in photos.items())
    assert exchanged(photos)["b"] == PHOTO.resize((40, 80))


def test_a_folder_of_results_is_a_candidate_and_is_blended(tmp_path):
    made = make_picture(48, 32, 9)
    made.save(tmp_path / "a.png")
    known = candidate(str(tmp_path), Places())
    assert known.stylize({"a": made})["a"].tobytes() == made.tobytes()
    # At the photograph's size.
    assert known.stylize({"a": PHOTO})["a"].size == PHOTO.size
    half = blended({"a": made}, {"a": Image.new("RGB", made.size)}, 0.5)["a"]
    assert np.abs(np.asarray(half) - np.asarray(made) / 2).max() <= 1
    with pytest.raises(DataError, match="no picture named b"):
        known.stylize({"b": PHOTO})


def test_a_shipped_style_is_a_candidate_with_its_painting():
    known = candidate("wave", Places())
    assert known.style == "wave"
    assert known.painting is not None
    assert known.stylize({"a": PHOTO})["a"].size == PHOTO.size


PEER = """
import sys
from pathlib import Path
from PIL import Image
weights, output, *photos = sys.argv[1:]
Path(output).mkdir()
for photo in photos:
    Image.new("RGB", Image.open(photo).size, Path(weights, "ink").read_text()).save(
        Path(output) / Path(photo).name)
"""


def test_a_peer_is_run_on_the_photographs_and_has_our_paintings_name(tmp_path):
    (tmp_path / "lengstrom" / "scream").mkdir(parents=True)
    (tmp_path / "lengstrom" / "scream" / "ink").write_text("red")
    (tmp_path / "lengstrom.py").write_text(PEER)
    (tmp_path / "paintings").mkdir()
    PHOTO.save(tmp_path / "paintings" / "the_scream.png")
    peer = candidate("lengstrom:the_scream", Places(tmp_path, tmp_path / "paintings"))
    assert peer.painting is not None
    red = Image.new("RGB", PHOTO.size, "red")
    assert peer.stylize({"a": PHOTO})["a"].tobytes() == red.tobytes()


@pytest.mark.parametrize(
    ("given", "peers", "says"),
    [
        ("lengstrom:wave", False, "--peers FOLDER"),
        ("lengstrom:wave", True, "has no such peer"),
        ("microast:wave", True, "--paintings FOLDER has no painting"),
    ],
)
def test_a_peer_that_is_not_there_is_told(given, peers, says, tmp_path):
    with pytest.raises((ConfigError, DataError), match=says):
        candidate(given, Places(tmp_path if peers else None))


def test_photographs_are_those_that_are_named_and_at_most_640_long(tmp_path):
    for name in ("a", "b", "c"):
        make_picture(800, 20, 1).save(tmp_path / f"{name}.png")
    names = tmp_path / "names.list"
    names.write_text("# two\nc\n\na\n")
    found = read_photographs(str(tmp_path), names)
    assert {name: one.size for name, one in found.items()} == {"c": (640, 16), "a": (640, 16)}
    assert list(read_photographs(str(tmp_path), None, 1)) == ["b"]
    names.write_text("d")
    with pytest.raises(DataError, match="has no photograph d"):
        read_photographs(str(tmp_path), names)
    with pytest.raises(DataError, match="can't be read"):
        read_photographs(str(tmp_path), tmp_path)


class Sees(Classifiers):
    """Classifiers that see mean colours of quarters."""

    def __init__(self) -> None:
        pass

    def see(self, pictures):
        features = [np.asarray(one.resize((4, 4))).ravel() for one in pictures]
        return seen(np.stack(features), np.stack(features).astype(np.float32))


@pytest.fixture
def panel(monkeypatch):
    """A panel without the networks of others; its detector finds one face everywhere."""
    monkeypatch.setattr("judges.panel.Classifiers", Sees)
    monkeypatch.setattr("judges.panel.Detector", lambda: Finds([[0, 0, 30, 30]], [1.0]))
    photos = {"a": PHOTO, "b": make_picture(64, 96, 1)}
    return Panel(photos, {"b": photos["b"]})


def test_the_panel_gives_photographs_1_and_knows_no_likeness_without_a_painting(panel):
    verdict = panel.judge(panel.photographs, None)
    assert verdict.likeness is None
    assert panel.count_faces == 1
    figures = [getattr(verdict, name) for name in Verdict.__annotations__ if name != "likeness"]
    assert figures == pytest.approx([1] * 7)
    assert panel.judge(panel.photographs, panel.signatures["a"]).likeness == 1
    assert len(verdict.text()) == len(HEADING)


def test_without_faces_there_is_no_share_of_them(panel):
    panel.faces = {"b": []}
    assert panel.judge(panel.photographs, None).faces is None
