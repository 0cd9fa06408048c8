"""The notebooks beside the report's run as a reader would run them."""

import nbclient
import nbformat
import pytest
from conftest import ROOT


@pytest.mark.long
@pytest.mark.parametrize("name", ["start", "explore", "extend"])
def test_the_notebook_runs(tmp_path, monkeypatch, name):
    """With fewer trials than it shows; what a reader would do with it, as well."""
    monkeypatch.chdir(tmp_path)
    nb = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    for cell in nb.cells:
        cell.source = cell.source.replace('"compression": [0.5, 1]', '"compression": 1')
        if "parameters" in cell.metadata.get("tags", []):
            cell.source += "\nseeds = [0]"
    if name == "explore":
        more = ["layers('levelled', 'random', 2.0, **chosen)", "elsewhere = chosen | {'dataset': 'mnist'}"]
        more[1] += "\nlook(first='snip', second='snip', compression=1.0, **elsewhere)"
        for variable in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(variable, "http://127.0.0.1:9")
        nb.cells += [nbformat.v4.new_code_cell(source) for source in more]
    nbclient.NotebookClient(nb, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output.data for cell in nb.cells for output in cell.get("outputs", ()) if "data" in output]
    assert sum("image/png" in data for data in shown) >= 1
    tables = [data["text/plain"] for data in shown if "text/html" in data]
    assert len(tables) >= (1 if name == "start" else 3)
    assert any("levelled" in data for data in tables) or name == "explore"
    if name == "explore":
        assert "Random" in tables[-1] and nb.cells[-1].outputs[0].text.startswith("mnist is not at hand")
