"""Writes the pages of the documentation's site: those of docs/ and the READMEs, with links that lead somewhere there.

A step of its own, and no plugin of a site generator, so that another one can take its place.
"""

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
REPOSITORY = "https://github.com/podworker/podworker/blob/main"
FIRST_PAGES = {ROOT / "README.md": "index.md", ROOT / "README.tr.md": "index.tr.md"}
_LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)\s#]+)(#[^)\s]*)?(?=\))")


def write_pages(folder: Path) -> None:
    """Write all pages into a folder of their own, which is emptied first.

    Raises:
        ValueError: A link leads nowhere.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for source in [*FIRST_PAGES, *sorted(DOCS.glob("*.md"))]:
        (folder / _name(source)).write_text(_linked(source))


def _name(source: Path) -> str:
    return FIRST_PAGES.get(source, source.name)


def _linked(source: Path) -> str:
    """A page whose links lead to pages of the site, or to files of the repository."""

    def linked(link: re.Match[str]) -> str:
        path = (source.parent / link[1]).resolve()
        if not path.exists():
            raise ValueError(f"{source.relative_to(ROOT)}: the link to {link[1]} leads nowhere")
        on_site = path in FIRST_PAGES or path.parent == DOCS
        return (_name(path) if on_site else f"{REPOSITORY}/{path.relative_to(ROOT)}") + (link[2] or "")

    return _LINK.sub(linked, source.read_text())


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
