"""Install uv from PyPI into the folder named on the command line, with nothing but Python's standard library.

Works where pip is missing (Debian's bare python3), where the venv module is, and where Python is externally managed
(PEP 668): pip's own wheel is fetched if need be and run as it is, and --target installs into a folder, not into Python.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

UV = "uv>=0.9,<1"


def main(target):
    if sys.version_info < (3, 11):  # noqa: UP036  (it runs before anything has checked)
        sys.exit(f"prunekit needs Python 3.11 or newer, not {sys.version.split()[0]}; try make PYTHON=python3.12")
    with tempfile.TemporaryDirectory(dir=".") as scratch:
        installed = os.path.join(scratch, "installed")
        command = [
            *find_pip(scratch),
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--root-user-action=ignore",
            "--target",
            installed,
            UV,
        ]
        if subprocess.run(command).returncode:
            sys.exit("cannot install uv from PyPI; get it from your system's packages and run make again")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(installed, target)


def find_pip(scratch):
    """Return the command that runs pip: the installed one, else its wheel, fetched and checked against its digest."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        return [sys.executable, "-m", "pip"]
    index = urllib.request.Request(
        "https://pypi.org/simple/pip/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    try:
        with urllib.request.urlopen(index, timeout=60) as answer:
            files = json.load(answer)["files"]
        wheels = [file for file in files if file["filename"].endswith("-py3-none-any.whl") and not file.get("yanked")]
        wheel = max(wheels, key=lambda file: file["upload-time"])
        address = urllib.parse.urljoin(index.full_url, wheel["url"])
        with urllib.request.urlopen(address, timeout=60) as answer:
            content = answer.read()
    except OSError as error:
        sys.exit(f"cannot fetch pip from PyPI ({error}); install pip or uv and run make again")
    if hashlib.sha256(content).hexdigest() != wheel["hashes"]["sha256"]:
        sys.exit("pip's wheel from PyPI does not match its digest; run make again")
    path = os.path.join(scratch, wheel["filename"])
    with open(path, "wb") as file:
        file.write(content)
    return [sys.executable, os.path.join(path, "pip")]


if __name__ == "__main__":
    main(sys.argv[1])
