"""Curves of networks of which some did not start, beside the unpruned ones."""

import pandas as pd

from prunekit.report import figures, tables


def frame(values, pruner="snip", compressions=(0.5, 1.0)):
    """A row a seed and compression; top-1 on CIFAR-10, in percent."""
    rows = [("cifar10", "vgg16", c, pruner, seed, top1) for c in compressions for seed, top1 in enumerate(values)]
    made = pd.DataFrame(rows, columns=["dataset", "model", "compression", "pruner", "seed", "top1"])
    return made.assign(top5=95.0, status="ok", collapsed=False, started=made.top1 != 10.0, pre_epochs=0)


def lines(figure):
    """The heights of the lines of its first panel."""
    return [list(line.get_ydata()) for line in figure.drawing.axes[0].lines if line.get_linestyle() == "-"]


def test_lines_are_of_networks_that_started_and_the_unpruned_is_one_of_them():
    """At each compression seeds reach 70 and 72, and one stays at 10.00; unpruned 80 and one that did not start."""
    figure = figures.accuracy_by_compression(frame([70.0, 72.0, 10.0]), frame([80.0, 10.0], "random", (0.0,)))
    assert [71.0, 71.0] in lines(figure) and [80.0, 80.0] in lines(figure)
    assert "crosses those that never started" in figure.caption and "(CIFAR-10 1)" in figure.caption
    assert list(figure.data)[:7] == ["dataset", "model", "compression", "pruner", "seed", "shown", "value"]
    assert len(figure.data) == 6, "the unpruned are no points of it"


def test_where_none_starts_the_line_is_at_chance():
    figure = figures.summary(frame([10.0, 10.0]))
    assert lines(figure) == [[10.0, 10.0]] and "not pruned" not in figure.caption
    assert "Points are seeds, lines their means." in figures.summary(frame([50.0, 60.0])).caption


def test_published_values_are_hollow_marks_of_the_same_cells():
    figure = figures.summary(frame([70.0, 72.0]).assign(published=[76.0, 76.0, 77.0, 77.0]))
    (hollow,) = [line for line in figure.drawing.axes[0].lines if line.get_linestyle() == "None"]
    assert list(hollow.get_ydata()) == [76.0, 77.0] and "Hollow marks" in figure.caption
    assert "Hollow marks" not in figures.summary(frame([70.0, 72.0])).caption


def test_without_rows_there_is_no_figure():
    assert tables.accuracy_by_compression(frame([])) is None is figures.accuracy_by_compression(frame([]))
