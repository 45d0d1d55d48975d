"""What the site shows of the repository beside `docs/`, and how links lead there.

The pages of `docs/` are the root of the site. Beside them lie, as in the repository,
`configs/`, what is written on packaged weights, CONTRIBUTING.md and CHANGELOG.md. Links
are written so that they hold in the repository, and are turned here.
"""

import pathlib
import re

from mkdocs.structure.files import File, InclusionLevel

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHOWN = {"configs": (".json", ".md", ".png", ".py"), "ram_tf/pretrained": (".md",)}
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md")
_OUTSIDE = "|".join(re.escape(name) for name in (*SHOWN, *PAGES))


def on_files(files, config):
    """Adds the files that lie outside of `docs/`."""
    paths = [ROOT / name for name in PAGES]
    for folder, endings in SHOWN.items():
        found = sorted((ROOT / folder).rglob("*"))
        paths += [path for path in found if path.suffix in endings]
    for path in paths:
        # A page that no line of `nav` names is there to be linked to.
        page = path.suffix == ".md"
        files.append(
            File.generated(
                config,
                path.relative_to(ROOT).as_posix(),
                abs_src_path=str(path),
                inclusion=InclusionLevel.NOT_IN_NAV
                if page
                else InclusionLevel.INCLUDED,
            )
        )
    return files


def on_page_markdown(markdown, page, config, files):
    """Turns links between `docs/` and the rest into links inside the site."""
    name = page.file.src_uri
    up = "../" * name.count("/")
    if re.match(_OUTSIDE, name):
        markdown = markdown.replace(f"]({up}docs/", f"]({up}")
        return markdown.replace(f"]({up}README.md", f"]({up}index.md")
    markdown = markdown.replace(f"]({up}../README.md", f"]({up}index.md")
    return re.sub(rf"\]\({re.escape(up)}\.\./({_OUTSIDE})", rf"]({up}\1", markdown)
