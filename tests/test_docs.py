"""What the pages point to is there, and what they tell to run exists."""

from __future__ import annotations

import re
import shlex
import tomllib
from datetime import date
from pathlib import Path

import pytest

from fastnst.checkpoint.painters import painting_of, paintings
from fastnst.checkpoint.shipped import named_models, shipped_models
from fastnst.cli import COMMANDS
from fastnst.machine import parts

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")])
TEXTS = ("", ".py", ".md", ".mjs", ".html", ".toml", ".yaml")
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_and_scripts_that_are_named_exist(page):
    text = page.read_text()
    scripts = set(re.findall(r"\bscripts/(\w+)", text))
    assert not {name for name in scripts if not (ROOT / "scripts" / name).exists()}
    called = set(re.findall(r"^ {4}fastnst (\w+)", text, re.MULTILINE))
    assert called <= set(COMMANDS)


def test_advice_names_what_an_index_has_and_never_fastnst_itself():
    """No index has it: whoever took its name there would have what our users install."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    for name, needs in extras.items():
        if name not in ("dev", "lab"):
            wanted = [need.split(">")[0] for need in needs]
            assert shlex.split(parts.install(name)) == ["pip", "install", *wanted]
    assert set(parts.EXTRAS) == set(extras) - {"dev", "lab"}
    rows = re.findall(r"^\|.*\| `(.+)` \| `(\w+)` \|$", (ROOT / "README.md").read_text(), re.M)
    assert {extra: packages for packages, extra in rows} == parts.EXTRAS
    folders = ("fastnst", "scripts", "docs", "checkpoints")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*") if file.is_file()]
    texts = [*ROOT.glob("*.md"), *(file for file in files if file.suffix in TEXTS)]
    advised = re.compile(r"fastnst\[[a-z]|(?:pip|uv) install (?:-\S+ )*fastnst\b")
    assert len(texts) > 200
    assert not [file for file in texts if advised.search(file.read_text())]


def test_a_shipped_style_is_its_checkpoint_and_its_entry_in_the_one_list():
    listed = paintings()
    assert set(listed) == set(shipped_models())
    assert all(painting_of(name) for name in named_models())
    for painting in listed.values():
        assert painting.painter
        assert painting.died + 70 < date.today().year
        assert painting.scan
    # No second list that could say something else.
    told = [*PAGES, ROOT / "NOTICE", *ROOT.glob("fastnst/**/*.py")]
    deaths = re.compile(r"\(died \d{4}\)")
    assert not [page for page in told if deaths.search(page.read_text())]
    for page in (ROOT / "NOTICE", ROOT / "checkpoints" / "README.md"):
        assert "styles.toml" in page.read_text()
