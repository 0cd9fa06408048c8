"""How far a run is, as a terminal and a file have it."""

import io
import sys
import time

import pytest

from prunekit.study.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_moves_with_what_is_done_before_it_is_told(monkeypatch):
    """Of ten things three are done at once; what is told of later counts once."""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with Progress(10, so_far=lambda: 3) as advance:
        end = time.monotonic() + 30
        while " 3/10 " not in terminal.getvalue() and time.monotonic() < end:
            time.sleep(0.05)
        assert " 3/10 " in terminal.getvalue()
        for name in ("one", "two", "three", "four"):
            advance(name, "no luck" if name == "four" else None)
    last = terminal.getvalue().split("\r")[-1]
    assert last.startswith("four: ") and " 4/10 " in last and "four: no luck\n" in terminal.getvalue()


def test_a_file_gets_a_line_each(monkeypatch):
    """As it does where kernels were started, which imports parts of theirs."""
    pytest.importorskip("ipykernel.kernelspec")
    monkeypatch.delitem(sys.modules, "ipykernel.kernelapp", raising=False)
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    with Progress(2) as advance:
        advance("one")
        advance("two", "no luck")
    assert file.getvalue() == "[1/2] one: done\n[2/2] two: failed: no luck\n"
