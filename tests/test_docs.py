"""What the pages point to is there, and what they tell to run exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fastnst.checkpoint.shipped import shipped_models
from fastnst.cli import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")])
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


def test_each_shipped_style_has_its_painter_and_its_licence():
    shown, notice = (ROOT / "checkpoints" / "README.md").read_text(), (ROOT / "NOTICE").read_text()
    for name in shipped_models():
        assert re.search(rf"^\| {name} \| .*\(died \d{{4}}\)", shown, re.MULTILINE), name
        assert name in notice
