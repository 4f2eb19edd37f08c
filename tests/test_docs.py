"""What the documentation names is there: links, tests, examples in pages and docstrings, the notebook.

`make docs` builds the site, runs the notebook and fails on what Sphinx warns of; this is for plain files.
"""

import ast
import doctest
import importlib
import json
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = [
    str(path.relative_to(ROOT / "src").with_suffix("")).replace("/", ".").removesuffix(".__init__")
    for path in sorted((ROOT / "src" / "graves_lm").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """A page without its blocks of code, in which brackets mean something else."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


@cache
def anchors(page: Path) -> set[str]:
    """What a forge makes of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page_name(page)}: {target}: no such file"
        assert not anchor or anchor in anchors(found), f"{page_name(page)}: {target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_tests_that_are_named_exist(page):
    for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text(encoding="utf-8")):
        file = ROOT / path
        assert file.is_file(), f"{page_name(page)}: {path}: no such file"
        if name:
            tests = {node.name for node in ast.walk(ast.parse(file.read_text())) if hasattr(node, "name")}
            assert name in tests, f"{page_name(page)}: {path} has no {name}"


def test_the_readme_names_a_test_for_each_promise():
    table = re.search(
        r"\| when \| elsewhere \| here \| test \|\n.*?\n\n", (ROOT / "README.md").read_text(), re.S
    )
    assert table
    rows = table[0].strip().splitlines()[2:]
    assert len(rows) >= 8
    for row in rows:
        when, elsewhere, _, test = (cell.strip() for cell in row.strip("|").split(" | "))
        assert re.fullmatch(r"`tests/\S+::test_\w+`", test), when
        assert "https://github.com/" in elsewhere, when


def names_in(node: object) -> set[str]:
    """The settings in a file of conf/, without what is Hydra's."""
    if not isinstance(node, dict):
        return set()
    own = {key: value for key, value in node.items() if key not in ("defaults", "hydra") and key[0] != "_"}
    return {key.split("/")[-1] for key in own}.union(*map(names_in, own.values()))


def test_every_setting_is_in_the_guide():
    """But for those of Lightning's Trainer, of experiments, which set others, and of where loggers write."""
    conf = ROOT / "conf"
    files = [f for f in conf.rglob("*.yaml") if f.parent.name not in ("trainer", "experiment", "job_logging")]
    settings = set().union(*(names_in(yaml.safe_load(file.read_text(encoding="utf-8"))) for file in files))
    pages = [
        ROOT / "docs" / "guide.md",
        ROOT / "docs" / "sweeps.md",
        ROOT / "docs" / "own_hand.md",
        *(ROOT / "docs" / "guide").glob("*.md"),
    ]
    said = set(re.findall(r"\w+", " ".join(page.read_text(encoding="utf-8") for page in pages)))
    passed_on = {"save_dir", "use_buffers", "check_on_train_epoch_end", "version"}
    assert not settings - said - passed_on


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_in_docstrings(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if "```python" in p.read_text()], ids=page_name)
def test_examples_in_pages(page, tmp_path, monkeypatch):
    """One after the other, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
        exec(compile(block, page_name(page), "exec"), names)


def test_the_notebook_is_short_and_without_outputs():
    """`make docs` runs it."""
    cells = json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) == 10
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert sum(len(cell["source"]) for cell in code) < 100
