"""Print the test files of what has changed since the last commit, or in it if nothing has since; none: all."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def changed():
    def git(*words):
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()

    now = [*git("diff", "--name-only", "HEAD"), *git("ls-files", "--others", "--exclude-standard")]
    return map(Path, now or git("diff", "--name-only", "HEAD~1"))


def tests_of(path):
    """Return the test files of a module: the one that mirrors it, else those that import it, else those of its folder.

    Those of a test are itself; those of all else are what the repository promises.
    """
    room, *rest = path.with_suffix("").parts
    if room == "tests":
        return {path}
    if room != "prunekit":
        return {Path("tests/test_project.py")}
    name = rest[-2] if rest[-1] == "__init__" and rest[1:] else rest[-1]
    folder = Path("tests", *rest[:-1])
    whole = folder.with_name(f"test_{folder.name}.py")  # of a folder that is tested by one file
    mirrors = [folder / f"test_{name}.py"] if (ROOT / folder).is_dir() else [Path("tests", f"test_{name}.py"), whole]
    mirrored = {file for file in mirrors if (ROOT / file).exists()}
    return mirrored or _importing(name) or {file.relative_to(ROOT) for file in (ROOT / folder).glob("test_*.py")}


def _importing(name):
    """Return the test files with the word `name` in a line that imports."""
    line = re.compile(rf"^(from|import) .*\b{name}\b", re.MULTILINE)
    files = (ROOT / "tests").rglob("test_*.py")
    return {file.relative_to(ROOT) for file in files if line.search(file.read_text())}


if __name__ == "__main__":
    found = {test.as_posix() for path in changed() for test in tests_of(path)}
    print(*sorted(path for path in found if "/test_" in path and (ROOT / path).exists()))
