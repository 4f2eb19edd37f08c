"""The documentation as a site: `make docs` builds it, without a network, and fails on any warning."""

import os
import sys
from importlib.metadata import version as installed
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))
os.environ["PYTHONPATH"] = str(ROOT / "src")  # of the notebook's process, which begins in another folder
os.environ.setdefault("OMP_NUM_THREADS", "1")

project = "graves_lm"
author = copyright = "The graves_lm developers"
release = installed("graves-lm")
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "jupyter_execute"]

html_theme = "furo"
html_title = "graves_lm"
html_copy_source = False
smartquotes = False  # settings are to be copied as they stand

# The pages are read on a forge too, so they are plain Markdown: headings are their own anchors, as there.
myst_heading_anchors = 4
myst_enable_extensions = ["tasklist"]
myst_links_external_new_tab = True
suppress_warnings = ["myst.header"]  # Markdown cells of a notebook begin where they like

# Docstrings name things in single backticks.
default_role = "code"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # signatures show what is annotated
autodoc_preserve_defaults = True
add_module_names = False

# The notebook is run whenever the site is built, and an error in it ends the build.
nb_execution_mode = "force"
nb_execution_timeout = 60
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True


def setup(app):
    app.connect("build-finished", add_the_page)


def add_the_page(app, failed):
    """What docs/how_it_writes.md embeds: the page with the package's weights."""
    from graves_lm.trained.checkpoint import PRETRAINED
    from graves_lm.web.html import page

    if not failed and app.builder.format == "html" and (PRETRAINED / "synthesis.safetensors").is_file():
        (Path(app.outdir) / "_static" / "page.html").write_text(page("synthesis"), encoding="utf-8")
