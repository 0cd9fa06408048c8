"""Execute the committed notebooks in place, from the records published with the demo profile and no others."""

import os
import tempfile

import nbclient
import nbformat

from prunekit.report import build
from prunekit.study import store

with tempfile.TemporaryDirectory() as runs:
    os.environ["PRUNEKIT_RUNS"] = runs
    for path in build.notebooks():
        notebook = nbformat.read(path, as_version=4)
        nbclient.NotebookClient(
            notebook, extra_arguments=["--log-level=CRITICAL"], resources={"metadata": {"path": str(path.parent)}}
        ).execute()
        build.strip(notebook)
        store.replace(path, nbformat.writes(notebook).encode())
        print(path.name)
