"""What the site shows of the repository beside `docs/`, and how links lead there.

`configs/` lies in the site as it lies in the repository, beside the pages of `docs/`,
and so do CONTRIBUTING.md and CHANGELOG.md. Links are written so that they hold in the
repository, and are turned here.
"""

import pathlib
import re

from mkdocs.structure.files import File, InclusionLevel

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md")
SHOWN = {".json", ".md", ".png", ".py"}
# A page that no line of `nav` names may be opened from a link.
_MAYBE = InclusionLevel.NOT_IN_NAV


def on_files(files, config):
    """Adds the files that lie outside of `docs/`."""
    configs = sorted((ROOT / "configs").rglob("*"))
    for path in [*configs, *(ROOT / name for name in PAGES)]:
        if path.suffix in SHOWN:
            name = path.relative_to(ROOT).as_posix()
            files.append(
                File.generated(
                    config, name, abs_src_path=str(path), inclusion=_inclusion(name)
                )
            )
    return files


def on_page_markdown(markdown, page, config, files):
    """Turns links that leave `docs/` into links inside the site."""
    name = page.file.src_uri
    if name in PAGES:
        return re.sub(r"\]\(docs/", "](", markdown)
    if name.startswith("configs/"):
        markdown = re.sub(r"\]\(((?:\.\./)+)docs/", r"](\1", markdown)
        return re.sub(r"\]\(((?:\.\./)+)README\.md", r"](\1index.md", markdown)
    markdown = re.sub(r"\]\(((?:\.\./)*)\.\./README\.md", r"](\1index.md", markdown)
    outside = "|".join(["configs/", *map(re.escape, PAGES)])
    return re.sub(rf"\]\(((?:\.\./)*)\.\./({outside})", r"](\1\2", markdown)


def _inclusion(name):
    return _MAYBE if name.endswith(".md") else InclusionLevel.INCLUDED
