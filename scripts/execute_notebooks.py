"""Execute the committed notebooks in place, from the records published with the demo profile.

Those beside the report's run what no record is published of.
"""

import os
import tempfile

import nbclient
import nbformat

from prunekit.report import build
from prunekit.study import store

with tempfile.TemporaryDirectory() as runs:
    os.environ["PRUNEKIT_RUNS"] = runs
    for path in sorted(build.notebooks()[0].parent.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        nbclient.NotebookClient(
            notebook, extra_arguments=["--log-level=CRITICAL"], resources={"metadata": {"path": str(path.parent)}}
        ).execute()
        build.strip(notebook)
        store.replace(path, nbformat.writes(notebook).encode())
        print(path.name)
