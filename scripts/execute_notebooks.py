"""Execute the committed notebooks in place, each from the published records of its profile.

Those beside the report's run what no record is published of.
"""

import os
import tempfile

import nbclient
import nbformat

from prunekit.files import replace
from prunekit.report import build

with tempfile.TemporaryDirectory() as runs:
    os.environ["PRUNEKIT_RUNS"] = runs
    for path in sorted(build.notebooks()[0].parent.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        nbclient.NotebookClient(
            notebook, extra_arguments=["--log-level=CRITICAL"], resources={"metadata": {"path": str(path.parent)}}
        ).execute()
        build.strip(notebook)
        replace(path, nbformat.writes(notebook).encode())
        print(path.name)
