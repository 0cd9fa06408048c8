import math

import pandas as pd
import pytest

from prunekit.report import published, tables, words


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


def test_interval_is_students_t_over_seeds():
    # mean 2, standard deviation 1, t(0.975, 2) = 4.302653: 4.302653 / sqrt(3)
    assert tables.half_width(pd.Series([1.0, 2.0, 3.0])) == pytest.approx(2.484138, abs=1e-6)
    assert math.isnan(tables.half_width(pd.Series([1.0])))


def test_summary_counts_seeds_failures_and_collapses():
    data = frame({"snip": [50.0, 60.0, None]})
    data.loc[2, "status"] = "failed"
    data.loc[1, "collapsed"] = True
    row = tables.summary(data, "top1").iloc[0]
    assert (row["mean"], row.seeds, row.failed, row.collapsed) == (55.0, 2, 1, 1)


def test_accuracy_shows_ours_its_interval_and_the_published_value():
    table = tables.accuracy_by_dataset(frame({"synflow": [80.0, 82.0], "random": [10.0, 10.0]}))
    top1 = table.wide[table.wide.Accuracy == "top-1"].iloc[0]
    assert top1.SynFlow == "81.0 ± 12.7 [81.39]"
    assert top1.Random == "10.0 ± 0.0 [10]"
    top5 = table.wide[table.wide.Accuracy == "top-5"].iloc[0]
    assert top5.SynFlow == "90.0 ± 0.0", "the study's values are called top-1 and stand there alone"
    assert "VGG16, 10 epochs on all training images" in table.caption


@pytest.mark.parametrize(
    ("collapsed", "mark"), [([True, True], " COLLAPSED"), ([True, False], " COLLAPSED 1/2"), ([False, False], "")]
)
def test_collapse_is_marked(collapsed, mark):
    data = frame({"synflow": [10.0, 10.0]})
    data["collapsed"] = collapsed
    cell = tables.accuracy_by_dataset(data).wide.iloc[0].SynFlow
    assert cell == f"10.0 ± 0.0 [81.39]{mark}"


def test_missing_and_failed_trials_leave_a_dash():
    data = frame({"synflow": [None, None]}, status="failed")
    assert tables.accuracy_by_dataset(data).wide.iloc[0].SynFlow == "– (2 failed) [81.39]"
    missing = frame({"synflow": [None]}, status="missing").drop(columns=["top1", "top5", "collapsed"])
    assert tables.accuracy_by_dataset(missing).wide.iloc[0].SynFlow.startswith("–")


def test_rows_and_columns_keep_the_order_of_the_params():
    data = pd.concat([frame({"snip": [1.0], "grasp": [2.0]}, compression=c) for c in (2.0, 0.05)])
    wide = tables.accuracy_by_compression(data).wide
    assert list(wide.columns[-2:]) == ["SNIP", "GraSP"]
    assert list(wide.Accuracy) == ["top-1", "top-1", "top-5", "top-5"]
    assert list(wide.Compression) == ["2", "0.05", "2", "0.05"]


def test_flops_are_in_millions():
    data = frame({"random": [1.0, 1.0]}, compression=0.5, flops=313_478_154, flops_kept=99_300_000)
    table = tables.flops(data)
    assert table.wide.iloc[0].Random == "99.3 ± 0.0 [99.3]"
    assert "CIFAR-10 313.5" in table.caption


def test_embedded_data_says_what_it_stands_in_for():
    table = tables.accuracy_by_dataset(frame({"synflow": [50.0]}, dataset="digit-pairs", model="vgg11"))
    assert table.tidy.published_for[0] == "cifar100/vgg16"
    assert table.tidy.published[0] == 72.61
    assert "Digit pairs with VGG11 beside CIFAR-100 with VGG16" in table.caption


def test_published_tables_are_whole():
    sizes = {
        name: (len(published.table(name)), int(published.table(name).value.isna().sum())) for name in published.TABLES
    }
    assert sizes == dict(zip(published.TABLES, [(15, 0), (60, 1), (60, 0), (60, 1), (10, 0)], strict=True))
    values = published.table("table4_flops").set_index(published.KEYS).value
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
    assert {*published.KEYS, "mean", "interval", "seeds", "published"} <= set(tidy.columns)
    assert len(tidy) == 2
    assert r"81.0 $\pm$ 12.7" in (tmp_path / f"{table.name}.tex").read_text()


def test_estimates_are_written_for_readers():
    assert words.estimate(81.44, 0.31) == "81.4 ± 0.3"
    assert words.estimate(81.44, math.nan) == "81.4"
    assert words.estimate(math.nan, math.nan) == "–"
