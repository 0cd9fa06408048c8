"""How numbers, tables and figures are read: on cells worked by hand, through the statistics that notebooks use."""

import math

import pandas as pd
import pytest

from prunekit.analysis.cells import CELL, accuracies, estimate, summary
from prunekit.report import formatting
from prunekit.report.curves import curves, marks
from prunekit.report.shown import Table


def frame(values, **columns):
    """Return a section's frame with one row a seed of each (pruner, values of its seeds)."""
    base = {"dataset": "cifar10", "model": "vgg16", "compression": 1.0, "width": 1.0, "train_subset": None}
    base |= {"pre_epochs": 0, "post_epochs": 10, "prune_steps": 1, "status": "ok", "collapsed": False, "top5": 90.0}
    base |= {"tied_scores": None}
    rows = [
        base | {"pruner": pruner, "seed": seed, "top1": value} | columns
        for pruner, seeds in values.items()
        for seed, value in enumerate(seeds)
    ]
    return pd.DataFrame(rows).assign(learned=lambda rows: ~rows.top1.isin([10.0, 1.0]) & rows.top1.notna())


def read(frame):
    """How the top-1 of a frame is read, by pruner, and what its caption says."""
    found = summary(accuracies(frame).query("accuracy == 'top-1'"), "value")
    return dict(zip(found.pruner, formatting.cells(found), strict=True)), formatting.reading(found)


def test_a_cell_is_the_mean_of_what_learned_and_its_spread():
    """80 and 82 deviate by 1.4; of 10, 10, 83 one learned."""
    told, caption = read(frame({"synflow": [80.0, 82.0], "random": [10.0, 10.0], "snip": [10.0, 83.0]}))
    assert told == {
        "synflow": "81.0 ± 1.4",
        "random": "10.0 ± 0.0 (at chance)",  # where none learned, all
        "snip": "83.0 (1 of 2)",
    }
    assert "(2 of 3)" in caption and "over 2 seeds" in caption and "(at chance)" in caption
    assert "(2 of 3)" not in read(frame({"synflow": [80.0, 82.0]}))[1]


def test_what_is_published_stands_in_a_row_below():
    """Of SNIP at c = 1 and 2, and at 2 alone there is a number; a row without one has none below it."""
    index = pd.MultiIndex.from_product([[1.0, 2.0], ["cifar10"]], names=["compression", "dataset"])
    ours = pd.DataFrame({"snip": ["76.2", "53.0"], "grasp": ["9.9", "13.5"]}, index)
    theirs = pd.DataFrame({"snip": ["57.25 ✓"]}, index[1:])
    both = formatting.with_published(ours, theirs)
    assert both.index.tolist() == [(1.0, "cifar10", "ours"), (2.0, "cifar10", "ours"), (2.0, "cifar10", "published")]
    assert both.values.tolist() == [["76.2", "9.9"], ["53.0", "13.5"], ["57.25 ✓", ""]]
    assert formatting.with_published(ours, theirs[:0]) is ours
    wide = formatting.format_pivot(both)
    assert wide.iloc[:, 1].tolist() == ["ours", "ours", "published"] and wide.iloc[2, 0] == ""


@pytest.mark.parametrize(
    ("collapsed", "mark"), [([True, True], " †"), ([True, False], " († 1 of 2)"), ([False, False], "")]
)
def test_collapse_is_marked(collapsed, mark):
    told, caption = read(frame({"synflow": [10.0, 10.0]}).assign(collapsed=collapsed))
    assert told["synflow"] == f"10.0 ± 0.0 (at chance){mark}"
    assert ("† collapsed" in caption) == any(collapsed)


@pytest.mark.parametrize(
    ("shares", "mark"), [([0.9, 0.6], " ‡"), ([0.9, 0.2], " (‡ 1 of 2)"), ([0.5, 0.0], ""), ([None, None], "")]
)
def test_mostly_equal_scores_are_marked(shares, mark):
    told, caption = read(frame({"synflow": [80.0, 82.0]}).assign(tied_scores=shares))
    assert told["synflow"] == f"81.0 ± 1.4{mark}"
    assert ("‡ most of the pruner's scores are equal" in caption) == bool(mark)


def test_missing_and_failed_trials_leave_a_dash():
    assert read(frame({"synflow": [None, None]}, status="failed"))[0]["synflow"] == "– (2 failed)"


@pytest.mark.parametrize(
    ("alone", "said"), [(True, "one trial at a time"), (False, "several trials at once, which slow each other")]
)
def test_times_say_where_and_how_they_were_taken(alone, said):
    data = frame({"synflow": [80.0, 82.0]}, machine="EPYC, 2 cores", together=1, alone=alone, threads=2)
    assert formatting.machines(data) == f"on EPYC, 2 cores, {said}, threads of each: 2"
    assert formatting.machines(data.assign(machine=None)) == ""


def test_budgets_are_read_from_the_trials():
    data = pd.concat(
        [
            frame({"snip": [1.0], "grasp": [1.0]}, width=0.5, train_subset=5000.0, prune_steps=3),
            frame({"magnitude": [1.0]}, dataset="mnist", model="fc", pre_epochs=10),
            frame({"snip": [1.0]}, dataset="digits", model="fc", post_epochs=0),
        ]
    )
    assert formatting.budget(data) == (
        "CIFAR-10: VGG16 at 0.5 of its width, 10 epochs on 5,000 training images, 3 prune steps; "
        "MNIST: FC, 10 epochs on all training images, Magnitude after 10 epochs before pruning; "
        "Digits: FC, pruned at initialisation, not trained"
    )
    assert formatting.budget(data[:0]) == "no trials"


def pivoted():
    cells = pd.concat([frame({"snip": [11.0], "mine:steep": [2.0]}, compression=c) for c in (2.0, 0.05)])
    cells = pd.concat([cells, cells.assign(dataset="mnist", top1=math.nan)])
    return cells.pivot_table("top1", ["dataset", "model", "compression"], "pruner", sort=False, dropna=False)


def test_a_pivot_is_read_with_names_once_in_its_own_order():
    wide = formatting.format_pivot(pivoted())
    assert list(wide) == ["Dataset", "Compression", "SNIP", "steep"], "what is constant is left out"
    assert wide[:2].values.tolist() == [
        ["CIFAR-10", "2 (1 % kept)", "11", "2"],
        ["", "0.05 (89 % kept)", "11", "2"],
    ]
    assert wide.SNIP.tolist()[2:] == ["–", "–"]
    own = pd.DataFrame({"FLOPs kept, %: one step": ["1.0"], "at c: 2": ["2"]})
    assert list(formatting.format_pivot(own)) == list(own), "titles of one's own are left alone"


def test_files_of_a_table(tmp_path):
    """The LaTeX is for any paper: its caption says what the table holds, and no more; the best is bold."""
    wide = pd.DataFrame({"Pruner": ["my_own", "SNIP"], "Top-1, %": ["81.0 ± 1.4", "80.0"]})
    bold = pd.DataFrame({"Pruner": [False, False], "Top-1, %": [True, False]})
    caption = "Accuracy in %. How it is read."
    Table("name", "Table I", caption, frame({"snip": [11.0]}), wide, bold=bold).save(tmp_path)
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == ["name.csv", "name.md", "name.tex"]
    assert {*CELL, "top1"} <= set(pd.read_csv(tmp_path / "tables" / "name.csv"))
    tex = (tmp_path / "tables" / "name.tex").read_text()
    assert r"\caption{Accuracy in \%.}" in tex and r"my\_own & \textbf{81.0 $\pm$ 1.4} \\" in tex
    assert r"Pruner & Top-1, \% \\" in tex
    md = (tmp_path / "tables" / "name.md").read_text()
    assert md.startswith(f"**Table I.** {caption}\n\n| Pruner") and "| **81.0 ± 1.4** |" in md


def test_estimates_are_written_for_readers():
    assert estimate(81.44, 0.31) == "81.4 ± 0.3"
    assert estimate(81.44, math.nan) == "81.4"
    assert estimate(math.nan, math.nan) == "–"
    assert estimate(0.02, 0.01) == "<0.1" and estimate(0.0, 0.0) == "0.0 ± 0.0"
    assert estimate(99.4, 0.8, share=True) == "99.4 (98.6–100)"
    assert estimate(0.4, 1.25, digits=2, share=True) == "0.40 (0.00–1.65)"
    assert estimate(99.4, 0.6, share=True) == "99.4 ± 0.6"


def test_rows_are_read_with_their_intervals_and_names():
    rows = pd.DataFrame(
        {"dataset": ["cifar10", "digits"], "compression": [0.5, 2.0], "published": [77.95, math.nan], "runs": [3, 1]}
        | {"ours": [99.54, 50.0], "ours_interval": [1.26, math.nan], "nothing": [math.nan] * 2}
    )
    titles = {"dataset": "Dataset", "compression": "c", "published": "Published", "ours": "Ours", "runs": "Runs"}
    assert formatting.format_rows(rows, titles | {"nothing": "Nothing"}).values.tolist() == [
        ["CIFAR-10", "0.5 (32 % kept)", "77.95", "99.5 ± 1.3", "3"],
        ["Digits", "2 (1 % kept)", "–", "50.0", "1"],
    ]
    assert formatting.format_rows(rows, {"ours": "Ours, %"}).iloc[0].tolist() == ["99.5 (98.3–100)"], "a share"
    assert formatting.format_rows(rows[:0], titles).empty


def lines(grid):
    """The heights of the lines of its first panel."""
    return [list(line.get_ydata()) for line in grid.axes.flat[0].lines if line.get_linestyle() == "-"]


def test_lines_are_of_networks_that_learned_and_the_unpruned_is_a_grey_one():
    """At each compression seeds reach 70 and 72, and one stays at 10.00; unpruned 80."""
    trials = accuracies(pd.concat([frame({"snip": [70.0, 72.0, 10.0]}, compression=c) for c in (0.5, 1.0)]))
    dense = accuracies(frame({"random": [80.0]}, compression=0.0)).query("accuracy == 'top-1'")
    grid = curves(trials.query("accuracy == 'top-1'"), y="value", unpruned=dense)
    assert lines(grid) == [[71.0, 71.0], [80.0, 80.0]]
    (legend,) = grid.figure.legends
    assert [text.get_text() for text in legend.texts] == ["SNIP", "at chance", "unpruned"]


def test_networks_have_panels_of_their_own():
    """A line through the mean of both would be of no network."""
    trials = frame({"snip": [70.0, 72.0]}, dataset="digits", model="fc")
    both = pd.concat([trials, trials.assign(model="conv", top1=trials.top1 + 10)], ignore_index=True)
    grid = curves(both, y="top1", unpruned=trials)
    assert list(grid.axes_dict) == ["Digits, FC", "Digits, CONV"]
    assert lines(grid) == [[71.0], [71.0, 71.0]]  # of one compression, and the unpruned from side to side
    assert formatting.networks(both) == {"model": "Network"} and formatting.networks(trials) == {}


def test_where_none_starts_the_line_is_at_chance():
    trials = accuracies(pd.concat([frame({"snip": [10.0, 10.0]}, compression=c) for c in (0.5, 1.0)]))
    assert lines(curves(trials.query("accuracy == 'top-1'"), y="value")) == [[10.0, 10.0]]


def test_published_values_are_hollow_marks_and_colours_may_be_given():
    rows = pd.concat([frame({"snip": [70.0, 72.0]}, compression=c, published=75.0 + c) for c in (1.0, 2.0)])
    grid = curves(rows, y="top1", palette={"snip": "#123456"})
    (hollow,) = [line for line in grid.axes.flat[0].lines if line.get_linestyle() == "None"]
    assert list(hollow.get_ydata()) == [76.0, 77.0] and hollow.get_markerfacecolor() == "none"
    assert {line.get_color() for line in grid.axes.flat[0].lines} == {"#123456"}
    assert marks(rows) == "Points are seeds, lines their means."
    assert marks(rows.assign(at_chance=True)) == "Points are seeds, lines the means of those that learned."
    dense = frame({"random": [80.0, 81.0]}, compression=0.0)
    assert marks(rows, dense).endswith(" Grey line: unpruned networks that learned (CIFAR-10 2).")


def test_a_users_own_pruner_has_a_colour_and_mark_of_its_own():
    for look in formatting.style(["SNIP", "steep", "flat"]):
        assert len({look["SNIP"], look["steep"], look["flat"]}) == 3
