"""The documentation as a site: built strictly and without a network, read from files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Page, browser
from tests.e2e.test_html import AXE
from tests.paths import ROOT
from tests.unit.test_docs import commands

pytestmark = pytest.mark.slow
PAGES = ("index", "reference/options", "reference/python", "explanation/reports", "how-to/pytest")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a link or an anchor that leads nowhere ends the build."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_option_of_every_command_is_in_the_generated_reference(site: Path) -> None:
    text = (site / "reference/options.html").read_text("utf-8")
    for name, parser in commands().items():
        assert f'<h2 id="{name}">' in text
        for action in parser._actions:
            for option in action.option_strings:
                assert option == "-h" or option in text, option


def test_the_functions_are_told_with_their_docstrings(site: Path) -> None:
    text = (site / "reference/python.html").read_text("utf-8")
    for said in ("harness.api.bench", "Build what is missing", "assert_budget", "one row per case"):
        assert said.lower() in text.lower(), said


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_only_for_files_and_has_no_accessibility_fault(
    site: Path, page: Page, name: str
) -> None:
    page.requests.clear()
    page.open(site / f"{name}.html")
    assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm install --no-save axe-core@4.14.1")
    page.run(AXE.read_text("utf-8") + "; 0")
    passed, found = page.run(
        "axe.run().then(r => [r.passes.length, r.violations.map(v => "
        "({id: v.id, impact: v.impact, nodes: v.nodes.slice(0, 3).map(n => n.html)}))])"
    )
    assert passed > 10
    assert found == []


@pytest.mark.needs("chromium")
def test_search_works_from_a_file(site: Path, page: Page) -> None:
    page.open(site / "index.html")
    page.run("document.querySelector('[data-md-toggle=search]').click()")
    page.run(
        "(() => { const i = document.querySelector('.md-search__input'); i.focus();"
        " i.value = 'cadence'; i.dispatchEvent(new Event('keyup')); })()"
    )
    found = page.run(
        "new Promise((done, fail) => { const look = (n) => {"
        " const all = [...document.querySelectorAll('.md-search-result__link')].map(a => a.href);"
        " if (all.length) done(all); else if (!n) fail('nothing found');"
        " else setTimeout(look, 200, n - 1); }; look(300); })"
    )
    assert any("cli.html" in link or "phone.html" in link for link in found)
