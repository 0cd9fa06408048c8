import math

import pandas as pd
import pytest

from prunekit.paper import numbers
from prunekit.report import formatting, render, tables
from prunekit.report.table import Table, readable


def frame(values, **columns):
    """Return a section's frame with one row a seed of each (pruner, values of its seeds)."""
    base = {
        "dataset": "cifar10",
        "model": "vgg16",
        "compression": 1.0,
        "width": 1.0,
        "train_subset": None,
        "pre_epochs": 0,
        "post_epochs": 10,
        "prune_steps": 1,
        "status": "ok",
        "collapsed": False,
        "top5": 90.0,
    }
    rows = [
        base | {"pruner": pruner, "seed": seed, "top1": value} | columns
        for pruner, seeds in values.items()
        for seed, value in enumerate(seeds)
    ]
    made = pd.DataFrame(rows)
    return made.assign(started=[not failed(one) for one in made.itertuples()])


def failed(row):
    return row.top1 in (10.0, 1.0, None) or row.status != "ok"


def beside(values, table="I", **columns):
    """The same with the paper's values."""
    return numbers.beside(frame(values, **columns), table)


def test_accuracy_shows_ours_its_spread_and_the_published_value():
    """80 and 82 deviate by 1.4; of 10, 10, 83 one started."""
    table = tables.accuracy_by_dataset(beside({"synflow": [80.0, 82.0], "random": [10.0, 10.0], "snip": [10.0, 83.0]}))
    top1 = table.wide.iloc[0]
    assert top1.SynFlow == "81.0 ± 1.4 [81.39]"
    assert top1.Random == "10.0 ± 0.0 (0 of 2) [10]", "where none started, all"
    assert top1.SNIP == "83.0 (1 of 2) [76.98]"
    assert list(table.wide.columns) == ["Dataset", "Network", "Accuracy", "SynFlow", "Random", "SNIP"]
    assert len(table.wide) == 1, "top-5 of ten classes says nothing"
    assert len(table.tidy) == 6
    row = table.tidy[(table.tidy.pruner == "snip") & (table.tidy.accuracy == "top-1")].iloc[0]
    assert (row["mean"], row.seeds, row.started, row.runs) == (83.0, 1, 1, 2)
    assert "how many started" in table.caption
    assert "how many started" not in tables.accuracy_by_dataset(beside({"synflow": [80.0, 82.0]})).caption


@pytest.mark.parametrize(("collapsed", "mark"), [([True, True], " †"), ([True, False], " †1/2"), ([False, False], "")])
def test_collapse_is_marked(collapsed, mark):
    data = beside({"synflow": [10.0, 10.0]})
    data["collapsed"] = collapsed
    table = tables.accuracy_by_dataset(data)
    assert table.wide.iloc[0].SynFlow == f"10.0 ± 0.0 (0 of 2) [81.39]{mark}"
    assert ("† collapsed" in table.caption) == any(collapsed)


def test_the_paper_calls_a_hundred_classes_top_5():
    """Its tables say top-1, its text top-5: the value stands beside both."""
    table = tables.accuracy_by_dataset(beside({"synflow": [40.0, 40.0]}, dataset="cifar100"))
    assert table.wide[["Dataset", "Accuracy", "SynFlow"]].values.tolist() == [
        ["CIFAR-100", "top-1", "40.0 ± 0.0 [72.61]"],
        ["", "top-5", "90.0 ± 0.0 [72.61]"],
    ]


def test_the_unpruned_network_stands_beside_the_pruned():
    """In the first row of its dataset, network and accuracy; of another dataset's nothing is said."""
    data = pd.concat([frame({"snip": [70.0, 72.0]}, compression=c, dataset="cifar100") for c in (0.5, 2.0)])
    dense = pd.concat(
        [
            frame({"random": [60.0, 1.0]}, compression=0.0, dataset="cifar100"),
            frame({"random": [80.0]}, compression=0.0, dataset="cifar10"),
        ]
    )
    table = tables.accuracy_by_compression(data, dense)
    assert table.wide["Not pruned"].tolist() == ["60.0 (1 of 2)", "", "90.0 (1 of 2)", ""]
    assert list(table.wide.columns) == ["Dataset", "Accuracy", "Compression", "Not pruned", "SNIP"]
    own = table.tidy[table.tidy.pruner == "not pruned"]
    assert own[["dataset", "accuracy", "compression", "mean"]].values.tolist() == [
        ["cifar100", "top-1", 0.0, 60.0],
        ["cifar100", "top-5", 0.0, 90.0],
    ]


def test_times_of_two_machines_share_no_row():
    data = frame({"synflow": [80.0, 82.0, 84.0]}, machine="EPYC, 2 cores", together=1, latency=1e-5)
    data = data.assign(alone=True, threads=2)
    data = data.assign(seconds=[10.0, 20.0, 1.0])
    assert "Machine" not in tables.time(data).wide
    data.loc[2, "machine"] = "H100"
    trials = tables.time(data).tidy.query("time == 'trial'")
    assert trials[["machine", "mean", "seeds"]].values.tolist() == [["EPYC, 2 cores", 15.0, 2], ["H100", 1.0, 1]]
    assert list(tables.time(data).wide.Machine.unique()) == ["EPYC, 2 cores", "H100"]
    assert set(tables.time(data).tidy.query("time == 'inference'")["mean"].round(9)) == {0.1}, "of 10,000 images"


@pytest.mark.parametrize(
    ("alone", "said"), [(True, "one trial at a time"), (False, "several trials at once, which slow each other")]
)
def test_times_say_where_and_how_they_were_taken(alone, said):
    data = frame({"synflow": [80.0, 82.0]}, machine="EPYC, 2 cores", together=1, latency=1e-5, seconds=9.0)
    caption = tables.time(data.assign(alone=alone, threads=2)).caption
    assert f"on EPYC, 2 cores, {said}" in caption and "threads of each: 2" in caption


def test_missing_and_failed_trials_leave_a_dash():
    data = beside({"synflow": [None, None]}, status="failed")
    assert tables.accuracy_by_dataset(data).wide.iloc[0].SynFlow == "– (2 failed) [81.39]"


def test_rows_and_columns_keep_the_order_of_the_params():
    data = pd.concat([frame({"snip": [1.0], "grasp": [2.0]}, compression=c) for c in (2.0, 0.05)])
    wide = tables.accuracy_by_compression(data).wide
    assert list(wide.columns) == ["Dataset", "Compression", "SNIP", "GraSP"], "none is constant"
    assert list(wide.Compression) == ["2", "0.05"]
    assert list(wide.Dataset) == ["CIFAR-10", ""], "named once"


def test_flops_are_in_millions():
    data = beside({"random": [1.0, 1.0]}, "IV", compression=0.5, flops=313_478_154, flops_kept=99_300_000)
    table = tables.flops(data)
    assert table.wide.iloc[0].Random == "99.3 ± 0.0 [99.3]"
    assert "CIFAR-10 313.5" in table.caption


def test_other_data_than_the_papers_have_no_published_value():
    table = tables.accuracy_by_dataset(beside({"synflow": [50.0]}, dataset="digit-pairs", model="vgg11"))
    assert table.tidy.published.isna().all() and "paper" not in table.caption
    assert list(table.wide.SynFlow) == ["50.0", "90.0"]


def test_superclasses_are_shown_where_cifar100_is():
    assert tables.superclasses(frame({"snip": [1.0]})) == []
    (table,) = tables.superclasses(frame({"snip": [1.0]}, dataset="cifar100"))
    assert len(table.wide) == 20


def test_paired_differences_are_of_the_same_seed():
    """SynFlow 80 and 84, SNIP 78 and 83: 2 and 1, so 1.5 with t(0.975, 1) = 12.7062 times 0.7071 / sqrt(2)."""
    table = tables.paired(frame({"synflow": [80.0, 84.0, None], "snip": [78.0, 83.0, 70.0]}), "paired", "Table I-P")
    row = table.tidy.iloc[0]
    assert (row["first"], row.second, row.seeds) == ("synflow", "snip", 2)
    assert (row["mean"], row.interval) == (1.5, pytest.approx(6.3531, abs=1e-4))
    assert table.wide.iloc[0].tolist() == ["SynFlow − SNIP", "1.5 ± 6.4"]
    assert list(table.wide.columns) == ["Difference", "CIFAR-10, VGG16"]


def test_paired_differences_are_of_seeds_that_both_started():
    """Of SynFlow 80, 84 and 10.00, and SNIP 78, 83 and 70: 2 and 1, as above."""
    data = frame({"synflow": [80.0, 84.0, 10.0], "snip": [78.0, 83.0, 70.0], "random": [10.0] * 3})
    table = tables.paired(data, "paired", "Table I-P")
    assert table.tidy.iloc[0][["mean", "seeds"]].tolist() == [1.5, 2]
    assert table.wide.iloc[:, 1].tolist() == ["1.5 ± 6.4", "–", "–"]


def test_paired_differences_have_a_column_a_compression():
    data = pd.concat([frame({"snip": [11.0], "grasp": [12.0], "random": [14.0]}, compression=c) for c in (0.05, 2.0)])
    wide = tables.paired(data, "paired", "Table II-P").wide
    assert list(wide.columns) == ["Difference", "c = 0.05", "c = 2"]
    assert list(wide["c = 2"]) == ["-1.0", "-3.0", "-2.0"]


def test_files_of_a_table(tmp_path):
    table = tables.accuracy_by_dataset(beside({"synflow": [80.0, 82.0]}))
    table.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{table.name}.{kind}" for kind in ("csv", "md", "tex")]
    tidy = pd.read_csv(tmp_path / f"{table.name}.csv")
    assert {*numbers.CELL, "mean", "interval", "seeds", "published"} <= set(tidy.columns)
    assert len(tidy) == 2
    assert r"81.0 $\pm$ 1.4" in (tmp_path / f"{table.name}.tex").read_text()


def test_estimates_are_written_for_readers():
    assert formatting.estimate(81.44, 0.31) == "81.4 ± 0.3"
    assert formatting.estimate(81.44, math.nan) == "81.4"
    assert formatting.estimate(math.nan, math.nan) == "–"
    assert formatting.estimate(0.02, 0.01) == "<0.1" and formatting.estimate(0.0, 0.0) == "0.0 ± 0.0"
    assert formatting.estimate(99.4, 0.8, share=True) == "99.4 (98.6–100)"
    assert formatting.estimate(0.4, 1.25, digits=2, share=True) == "0.40 (0.00–1.65)"
    assert formatting.estimate(99.4, 0.6, share=True) == "99.4 ± 0.6"


@pytest.mark.parametrize("wide", [pd.DataFrame(), pd.DataFrame(columns=["Pruner", "FLOPs"])])
def test_a_table_without_rows_is_a_sentence_in_every_form(wide, tmp_path):
    """As a study without magnitude pruning has in place of Table F2."""
    empty = Table("empty", "Table F2", "What it would show.", pd.DataFrame(), wide)
    assert empty.markdown() == "**Table F2.** What it would show.\n\nNo trial here is of this kind.\n"
    empty.save(tmp_path)
    caption, body = empty.markdown().strip().split("\n\n")
    for flavour in (render._github, render._html, render._pdf):
        assert "No trial here is of this kind." in flavour(render._Table(caption, body))


def test_rows_are_read_with_their_intervals_and_names():
    tidy = pd.DataFrame(
        {"dataset": ["cifar10", "digits"], "compression": [0.5, 2.0], "published": [77.95, math.nan], "runs": [3, 1]}
        | {"ours": [78.04, 50.0], "ours_interval": [1.26, math.nan], "nothing": [math.nan] * 2}
    )
    titles = {"dataset": "Dataset", "compression": "c", "published": "Published", "ours": "Ours", "runs": "Runs"}
    table = readable(tidy, "name", "Table X", "A caption.", titles | {"nothing": "Nothing"})
    assert table.wide.values.tolist() == [
        ["CIFAR-10", "0.5", "77.95", "78.0 ± 1.3", "3"],
        ["Digits", "2", "–", "50.0", "1"],
    ]
    assert readable(tidy[:0], "name", "Table X", "A caption.", titles).wide.empty
