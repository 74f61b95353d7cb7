"""The page as a folder of static files, for any web server."""

from __future__ import annotations

from pathlib import Path

from fastnst.errors import ConfigError
from fastnst.machine.files import atomic_write, make_writable, reason
from fastnst.page.site import INDEX, Site, offline

# Tells the page that there is a service worker to register.
MARK = b"<html "


def write_folder(files: Site, folder: Path) -> int:
    """Write the page's files into an empty or new folder; bytes of all. Raises ConfigError.

    The folder works below any address. Without the headers of ``fastnst.page.server`` its service
    worker sends them, and keeps the page for when there is no network.
    """
    try:
        make_writable(folder)
        if any(folder.iterdir()) and not (folder / "styles.json").exists():
            raise ConfigError(f"--build {folder}: holds other files; name a new folder")
        total = 0
        for name, content in _contents(files).items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(target) as file:
                file.write(content)
            total += len(content)
    except OSError as error:
        raise ConfigError(f"--build {folder}: can't be written ({reason(error)})") from error
    return total


def _contents(files: Site) -> dict[str, bytes]:
    contents = {name: file.read() for name, file in files.items()}
    contents[INDEX] = contents[INDEX].replace(MARK, MARK + b'data-offline="yes" ', 1)
    contents["service-worker.js"] = offline(files)
    return contents
