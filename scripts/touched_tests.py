"""Print the test files that mirror what has changed since the last commit, or in it if nothing has since.

Where no file mirrors what has changed it prints none, and pytest takes all.
"""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def changed():
    def git(*words):
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()

    now = [*git("diff", "--name-only", "HEAD"), *git("ls-files", "--others", "--exclude-standard")]
    return map(Path, now or git("diff", "--name-only", "HEAD~1"))


def mirror(path):
    """Return the test file of a module, or of a test itself; of all else, what the repository promises."""
    room, *rest = path.with_suffix("").parts
    if room == "tests":
        return path
    if room != "prunekit":
        return Path("tests/test_project.py")
    storey = rest[:1] if rest[0] in {"analysis", "study", "published", "report"} else []
    return Path("tests", *storey, f"test_{rest[len(storey)]}.py")


found = {mirror(path).as_posix() for path in changed()}
print(*sorted(path for path in found if "/test_" in path and (ROOT / path).exists()))
