"""The page's steeper edges, run by Node, against apply's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import fastnst.page
from fastnst.stylize.coarse_to_fine import with_edges

STATIC = Path(fastnst.page.__file__).parent / "static"
PROGRAM = """
import {{ readFileSync, writeFileSync }} from "node:fs";
import {{ withEdges }} from "{module}";
const [, , height, width, amount, source, target] = process.argv;
const data = new Uint8Array(readFileSync(source));
const result = withEdges({{ data, height: +height, width: +width, channels: 3 }}, +amount);
writeFileSync(target, result.data);
"""


@pytest.mark.parametrize("amount", [0, 0.3, 1])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 2), (300, 41)])
def test_each_byte_is_that_of_apply(size, amount, tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    program, source, target = (tmp_path / name for name in ("run.mjs", "source", "target"))
    program.write_text(PROGRAM.format(module=(STATIC / "edges.mjs").as_uri()))
    source.write_bytes(picture.tobytes())
    subprocess.run([node, program, *map(str, size), str(amount), source, target], check=True)
    found = np.frombuffer(target.read_bytes(), np.uint8).reshape(picture.shape)
    np.testing.assert_array_equal(found, with_edges(picture, amount))
