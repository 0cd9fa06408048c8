import math

import pandas as pd
import pytest

from prunekit.report import formatting, paper_values, render, tables
from prunekit.report.table import Table


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
    return pd.DataFrame(rows)


def test_accuracy_shows_ours_its_interval_and_the_published_value():
    table = tables.accuracy_by_dataset(frame({"synflow": [80.0, 82.0], "random": [10.0, 10.0]}))
    top1 = table.wide.iloc[0]
    assert top1.SynFlow == "81.0 ± 12.7 [81.39]"
    assert top1.Random == "10.0 ± 0.0 [10]"
    assert list(table.wide.columns) == ["Dataset", "Network", "Accuracy", "SynFlow", "Random"]
    assert len(table.wide) == 1, "top-5 of ten classes says nothing"
    assert len(table.tidy) == 4


@pytest.mark.parametrize(("collapsed", "mark"), [([True, True], " †"), ([True, False], " †1/2"), ([False, False], "")])
def test_collapse_is_marked(collapsed, mark):
    data = frame({"synflow": [10.0, 10.0]})
    data["collapsed"] = collapsed
    table = tables.accuracy_by_dataset(data)
    assert table.wide.iloc[0].SynFlow == f"10.0 ± 0.0 [81.39]{mark}"
    assert ("† collapsed" in table.caption) == any(collapsed)


def test_the_paper_calls_a_hundred_classes_top_5():
    """Its tables say top-1, its text top-5: the value stands beside both."""
    table = tables.accuracy_by_dataset(frame({"synflow": [40.0, 40.0]}, dataset="cifar100"))
    assert table.wide[["Dataset", "Accuracy", "SynFlow"]].values.tolist() == [
        ["CIFAR-100", "top-1", "40.0 ± 0.0 [72.61]"],
        ["", "top-5", "90.0 ± 0.0 [72.61]"],
    ]


def test_seeds_of_which_some_trained_are_shown_each():
    """Twice chance is 20 % of ten classes, 2 % of a hundred."""
    table = tables.accuracy_by_dataset(frame({"synflow": [10.0, 20.0, 83.4], "snip": [10.0, 20.0, 10.0]}))
    assert table.wide.iloc[0].SynFlow == "1 of 3: 10.0, 20.0, 83.4 [81.39]"
    assert table.wide.iloc[0].SNIP.startswith("13.3 (0.0–27.7)"), "no interval of a share reaches below nothing"
    assert "Where some seeds trained" in table.caption
    hundred = tables.accuracy_by_dataset(frame({"synflow": [1.0, 3.0]}, dataset="digit-pairs", model="vgg11"))
    assert list(hundred.wide.SynFlow) == ["1 of 2: 1.0, 3.0", "1 of 2: 90.0, 90.0"]


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
    data = frame({"synflow": [80.0, 82.0]}, machine="EPYC, 2 cores", together=1, latency=1e-5, trial_seconds=9.0)
    caption = tables.time(data.assign(alone=alone, threads=2)).caption
    assert f"on EPYC, 2 cores, {said}" in caption and "threads of each: 2" in caption


def test_missing_and_failed_trials_leave_a_dash():
    data = frame({"synflow": [None, None]}, status="failed")
    assert tables.accuracy_by_dataset(data).wide.iloc[0].SynFlow == "– (2 failed) [81.39]"
    missing = frame({"synflow": [None]}, status="missing").drop(columns=["top1", "top5", "collapsed"])
    assert tables.accuracy_by_dataset(missing).wide.iloc[0].SynFlow.startswith("–")


def test_rows_and_columns_keep_the_order_of_the_params():
    data = pd.concat([frame({"snip": [1.0], "grasp": [2.0]}, compression=c) for c in (2.0, 0.05)])
    wide = tables.accuracy_by_compression(data).wide
    assert list(wide.columns) == ["Dataset", "Compression", "SNIP", "GraSP"], "none is constant"
    assert list(wide.Compression) == ["2", "0.05"]
    assert list(wide.Dataset) == ["CIFAR-10", ""], "named once"


def test_flops_are_in_millions():
    data = frame({"random": [1.0, 1.0]}, compression=0.5, flops=313_478_154, flops_kept=99_300_000)
    table = tables.flops(data)
    assert table.wide.iloc[0].Random == "99.3 ± 0.0 [99.3]"
    assert "CIFAR-10 313.5" in table.caption


def test_embedded_data_says_what_it_stands_in_for():
    table = tables.accuracy_by_dataset(frame({"synflow": [50.0]}, dataset="digit-pairs", model="vgg11"))
    assert table.tidy.published_for[0] == "cifar100/vgg16"
    assert table.tidy.published[0] == 72.61
    assert list(table.wide.SynFlow) == ["50.0", "90.0"], "no published value beside other data"
    assert "Digit pairs: not the paper's data, so none of its values." in table.caption


def test_superclasses_are_shown_where_cifar100_is():
    assert tables.superclasses(frame({"snip": [1.0]})) == []
    (table,) = tables.superclasses(frame({"snip": [1.0]}, dataset="cifar100"))
    assert len(table.wide) == 20


def test_published_tables_are_whole():
    sizes = {
        name: (len(paper_values.table(name)), int(paper_values.table(name).value.isna().sum()))
        for name in paper_values.TABLES
    }
    assert sizes == dict(zip(paper_values.TABLES, [(15, 0), (60, 1), (60, 0), (60, 1), (10, 0)], strict=True))
    values = paper_values.table("table4_flops").set_index(paper_values.KEYS).value
    assert values["cifar100", "vgg16", 0.2, "synflow"] == 9.3
    assert math.isnan(values["cifar100", "vgg16", 0.05, "snip"])


def test_paired_differences_are_of_the_same_seed():
    """SynFlow 80 and 84, SNIP 78 and 83: 2 and 1, so 1.5 with t(0.975, 1) = 12.7062 times 0.7071 / sqrt(2)."""
    table = tables.paired(frame({"synflow": [80.0, 84.0, None], "snip": [78.0, 83.0, 70.0]}), "paired", "Table I-P")
    row = table.tidy.iloc[0]
    assert (row["first"], row.second, row.seeds) == ("synflow", "snip", 2)
    assert (row["mean"], row.interval) == (1.5, pytest.approx(6.3531, abs=1e-4))
    assert table.wide.iloc[0].tolist() == ["SynFlow − SNIP", "1.5 ± 6.4"]
    assert list(table.wide.columns) == ["Difference", "CIFAR-10, VGG16"]


def test_paired_differences_have_a_column_a_compression():
    data = pd.concat([frame({"snip": [1.0], "grasp": [2.0], "random": [4.0]}, compression=c) for c in (0.05, 2.0)])
    wide = tables.paired(data, "paired", "Table II-P").wide
    assert list(wide.columns) == ["Difference", "c = 0.05", "c = 2"]
    assert list(wide["c = 2"]) == ["-1.0", "-3.0", "-2.0"]


def test_files_of_a_table(tmp_path):
    table = tables.accuracy_by_dataset(frame({"synflow": [80.0, 82.0]}))
    table.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{table.name}.{kind}" for kind in ("csv", "md", "tex")]
    tidy = pd.read_csv(tmp_path / f"{table.name}.csv")
    assert {*paper_values.KEYS, "mean", "interval", "seeds", "published"} <= set(tidy.columns)
    assert len(tidy) == 2
    assert r"81.0 $\pm$ 12.7" in (tmp_path / f"{table.name}.tex").read_text()


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
