"""Where the cache is, for users with a home and without one."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fastnst.machine import cache
from fastnst.machine.cache import NOWHERE, cache_folder

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="users have no numbers here")


@pytest.fixture
def homeless(tmp_path, monkeypatch) -> Path:
    """As in ``docker run --user 12345``: where temporary files are."""
    for name in ("FASTNST_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    import pwd

    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_user_without_a_home_has_a_cache_of_their_own(homeless):
    folder = cache_folder()
    assert folder == homeless / f"fastnst-{os.getuid()}" == cache_folder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("taken", ["link", "file", "open"])
def test_a_name_that_somebody_else_has_taken_is_not_used(taken, homeless):
    folder = homeless / f"fastnst-{os.getuid()}"
    if taken == "link":
        (homeless / "elsewhere").mkdir()
        folder.symlink_to(homeless / "elsewhere")
    elif taken == "file":
        folder.write_text("")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    assert cache_folder() == NOWHERE
    with pytest.raises(OSError, match="Not a directory"):
        NOWHERE.mkdir(parents=True)
    assert not (NOWHERE / "a").exists()


def test_where_nothing_temporary_can_be_made_there_is_no_cache(homeless, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(homeless / "absent"))
    assert cache_folder() == NOWHERE


def test_the_variables_come_first(homeless, monkeypatch):
    monkeypatch.setenv("HOME", "/home/a")
    usual = "Library/Caches" if sys.platform == "darwin" else ".cache"
    assert cache_folder() == Path("/home/a") / usual / "fastnst"
    monkeypatch.setattr(cache.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_folder() == Path("/cache/fastnst")
    monkeypatch.setenv("FASTNST_CACHE", "/own")
    assert cache_folder() == Path("/own")
    monkeypatch.setenv("FASTNST_CACHE", "")
    assert cache_folder() == Path("/cache/fastnst")


HOMELESS = """
import os, pwd, sys
os.environ.pop("HOME", None)
def unknown(number):
    raise KeyError(number)
pwd.getpwuid = unknown
from fastnst.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_training_and_the_page_do_without_a_home(tmp_path, photos, style):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "FASTNST_OFFLINE": "1"}
    for name in ("FASTNST_CACHE", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    command = [
        "train", "--style", str(style), "--data", str(photos), "--steps", "1", "--image-size", "32",
        "--style-size", "48", "--validation-photos", "0", "--output", str(tmp_path / "a.ckpt"),
        "--log-dir", str(tmp_path / "runs"),
    ]  # fmt: skip
    child = subprocess.run(
        [sys.executable, "-c", HOMELESS, *command],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    assert (tmp_path / "a.ckpt").exists()
    assert "Traceback" not in child.stderr
