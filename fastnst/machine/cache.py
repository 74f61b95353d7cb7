"""Where fastnst keeps what can be made or got again."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

# A place where nobody can write, root included.
NOWHERE = Path(os.devnull) / "fastnst"


def cache_folder() -> Path:
    """The user's cache for fastnst: $FASTNST_CACHE, else the platform's usual place; for a user
    without a home, as in containers, a folder among temporary files.
    """
    if os.environ.get("FASTNST_CACHE"):
        return Path(os.environ["FASTNST_CACHE"])
    if sys.platform == "win32" and "LOCALAPPDATA" in os.environ:
        return Path(os.environ["LOCALAPPDATA"]) / "fastnst"
    if sys.platform not in ("win32", "darwin") and os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "fastnst"
    try:
        home = Path.home()
    except RuntimeError:  # No HOME, and the system doesn't know the user.
        return _among_temporary()
    below = {"win32": "AppData/Local", "darwin": "Library/Caches"}.get(sys.platform, ".cache")
    return home / below / "fastnst"


def _among_temporary() -> Path:
    """A folder that is this user's alone, or ``NOWHERE`` where somebody else has taken its name."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"fastnst-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return NOWHERE
    is_own = not hasattr(os, "getuid") or (
        status.st_uid == os.getuid() and not status.st_mode & 0o022 and not folder.is_symlink()
    )
    return folder if is_own else NOWHERE
