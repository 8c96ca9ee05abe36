"""The pictures of the terminal: recorded, small, and shown."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from scripts.pictures.scenes import SCENES


def test_every_scene_has_a_small_picture_that_some_page_shows(root: Path, pages: list[Path]) -> None:
    pictures = {path.stem: path for path in (root / "docs/pictures").glob("*.svg")}
    assert set(pictures) == set(SCENES), "run: make pictures"
    shown = "\n".join(page.read_text() for page in pages)
    for name, path in pictures.items():
        assert path.stat().st_size < 60_000, name
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        assert f"pictures/{name}.svg)" in shown, f"no page shows {path.name}"
