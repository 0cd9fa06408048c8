"""Each claim against the study's own tables, and against synthetic records where the answer is known."""

import pytest
from synthetic import layer, paper, recorded, records, with_records

from prunekit.report import claims, paper_values
from prunekit.report.audit import CONTRADICTED, EXPLAINED, REPRODUCED, UNTESTED
from prunekit.report.claims import CLAIMS


def claim(part):
    (found,) = [claim for claim in CLAIMS if part in claim.text]
    return found


def judge(part, values, **changes):
    study = paper(**changes)
    return claims.judge(claim(part), recorded(study, values))


def as_printed(name, unit=1.0, **constant):
    """Values that make each trial's record say what the study printed."""
    fields = {
        "table2_accuracy_by_compression": "top1",
        "table1_accuracy_by_dataset": "top1",
        "table4_flops": "flops_kept",
    }

    def values(trial):
        number = paper_values.value(name, trial.dataset, trial.model, trial.compression, trial.pruner)
        number = 60.0 if number != number else number
        accuracies = {"top1": number, "top5": number}  # the paper prints one of them
        return (accuracies if fields[name] == "top1" else {fields[name]: round(number * unit)}) | constant

    return values


# By hand from the tables in print: whether they bear the claim out.
OWN = {
    "rank alike": "yes",
    "drop to chance at c = 1": "yes",
    "exceptionally well on MNIST": "yes",  # 99.87
    "SynFlow is the worst on MNIST": "yes",  # 70.59
    "the best on both CIFARs": "yes",
    "highest accuracy of Table I": "no: the highest: MNIST Random 99.87, MNIST Magnitude 97.53",
    "SNIP alone": "no: points between highest and lowest: SynFlow 10.8, Magnitude 27.0, SNIP 14.4",
    "lose much": "yes",  # the least: SNIP on CIFAR-10, 76.98 to 57.25
    "SynFlow loses most": "yes",  # 71.39 and 67.61
    "SNIP loses least": "yes",  # 19.73
    "most consistent": "no: points between highest and lowest: ",  # SNIP 21.2, GraSP 19.0
    "worst overall": "yes",
    "never exceeds 31": "yes",  # 30.16 and 5.02
    "as soon as c = 1": "yes",  # 61.19 to 5.00
    "never beats CIFAR-10": "yes",  # 10.00 and 5.00 at least
    "about 8 points": "no: the least lead: 5.0 points",
    "far longer at": "yes",
    "whichever the pruner (within 10": "yes",  # at 2, 287.0 and 268.9
    "at every compression, with every": "yes",  # 294.8 and 278.0
    "3 to 8 seconds longer": "no: trials at c ≥ 0.2 take -2.1 % to +3.6 % longer",
    "are the fastest": "yes",
    "FLOPs fall as": "yes",
    "fall most between": "no: the last step takes away most for 2 of 10",  # SynFlow: 85.5 and 91.3
    "hardly differ": "yes",  # 6.8
    "But SynFlow's at": "yes",  # 9.3
    "but for SNIP at c": "no: CIFAR-100 has more at GraSP 0.2, Random 0.2, GraSP 1, GraSP 2",
    "SNIP cannot prune": "–",
    "avoids the collapse": "–",
    "compressed alike": "–",
    "same for both datasets": "yes",
    "distributed alike": "–",
    "most widely distributed": "–",
    "highest peak": "–",
}


@pytest.mark.parametrize("part", OWN)
def test_the_papers_own_numbers(part):
    own = judge(part, lambda trial: {})["own"]
    assert own.startswith(OWN[part]) if OWN[part].startswith("no") else own == OWN[part]


def test_every_claim_is_tested_here():
    assert len(OWN) == len(CLAIMS)
    assert {claim(part).text for part in OWN} == {known.text for known in CLAIMS}


@pytest.mark.parametrize(
    ("part", "table", "unit", "verdict"),
    [
        ("drop to chance", "table1_accuracy_by_dataset", 1, REPRODUCED),
        ("exceptionally well", "table1_accuracy_by_dataset", 1, REPRODUCED),
        ("highest accuracy of Table I", "table1_accuracy_by_dataset", 1, CONTRADICTED),
        ("SNIP alone", "table1_accuracy_by_dataset", 1, CONTRADICTED),
        ("SynFlow loses most", "table2_accuracy_by_compression", 1, REPRODUCED),
        ("never beats CIFAR-10", "table2_accuracy_by_compression", 1, REPRODUCED),
        ("about 8 points", "table2_accuracy_by_compression", 1, CONTRADICTED),
        ("FLOPs fall as", "table4_flops", 1e6, REPRODUCED),
        ("fall most between", "table4_flops", 1e6, CONTRADICTED),
        ("But SynFlow's at", "table4_flops", 1e6, REPRODUCED),
    ],
)
def test_records_that_say_what_is_printed(part, table, unit, verdict):
    found = judge(part, as_printed(table, unit))
    assert found["verdict"] == verdict
    assert found["evidence"].startswith("Margin +" if verdict == REPRODUCED else "Margin -")


ORDER = {"synflow": 80, "magnitude": 70, "snip": 60, "grasp": 50, "random": 40}


def favoured(*pruners, most=99, least=50):
    """Of these pruners one number, of all others another."""
    return lambda t: most if t.pruner in pruners else least


# Each claim's number a trial (accuracy in %, seconds, millions of FLOPs, or % of parameters): true by it, and false.
MADE = {
    "rank alike": (lambda t: ORDER[t.pruner], lambda t: abs(ORDER[t.pruner] - (100 if t.dataset == "cifar100" else 0))),
    "drop to chance at c = 1": (lambda t: 5, lambda t: 50),
    "exceptionally well on MNIST": (favoured("random"), favoured("random", most=1)),
    "SynFlow is the worst on MNIST": (favoured("synflow", most=1), favoured("synflow")),
    "the best on both CIFARs": (
        lambda t: favoured("synflow", most=1 if t.dataset == "mnist" else 99)(t),
        lambda t: favoured("synflow", most=99 if t.dataset == "mnist" else 1)(t),
    ),
    "highest accuracy of Table I": (
        lambda t: favoured("magnitude")(t) if t.dataset == "mnist" else 50,
        lambda t: favoured("magnitude", most=1)(t) if t.dataset == "mnist" else 50,
    ),
    "SNIP alone": (
        lambda t: favoured("snip", most=50, least=10 if t.dataset == "mnist" else 90)(t),
        lambda t: favoured("snip", most=10 if t.dataset == "mnist" else 90)(t),
    ),
    "lose much": (lambda t: 10 if t.compression == 2 else 60, lambda t: 60),
    "SynFlow loses most": (
        lambda t: favoured("synflow", most=10)(t) if t.compression == 2 else 60,
        lambda t: favoured("synflow", most=55, least=10)(t) if t.compression == 2 else 60,
    ),
    "SNIP loses least": (
        lambda t: favoured("snip", most=55, least=10)(t) if t.compression == 2 else 60,
        lambda t: favoured("snip", most=10)(t) if t.compression == 2 else 60,
    ),
    "most consistent": (
        lambda t: favoured("snip", most=50, least=60 - 10 * t.compression)(t),
        lambda t: favoured("snip", most=60 - 10 * t.compression)(t),
    ),
    "worst overall": (favoured("grasp", most=1), favoured("grasp")),
    "never exceeds 31": (lambda t: 4, lambda t: 40),
    "as soon as c = 1": (lambda t: 60 if t.compression < 1 else 5, lambda t: 60),
    "never beats CIFAR-10": (
        lambda t: 70 if t.dataset == "cifar100" else 80,
        lambda t: 80 if t.dataset == "cifar100" else 70,
    ),
    "about 8 points": (
        lambda t: 70 if t.dataset == "cifar100" else 80,
        lambda t: 75 if t.dataset == "cifar100" else 80,
    ),
    "far longer at": (lambda t: 20 if t.compression < 0.2 else 10, lambda t: 10),
    "whichever the pruner (within 10": (lambda t: 10, favoured("random", most=20, least=10)),
    "at every compression, with every": (lambda t: 10, lambda t: 20 if t.compression == 2 else 10),
    "3 to 8 seconds longer": (
        lambda t: 102 if t.dataset == "cifar100" else 100,
        lambda t: 110 if t.dataset == "cifar100" else 100,
    ),
    "are the fastest": (favoured("synflow", "snip", most=10), favoured("synflow", "snip")),
    "FLOPs fall as": (lambda t: 300 - 100 * t.compression, lambda t: 100 + 10 * t.compression),
    "fall most between": (
        lambda t: 300 - 100 * t.compression,
        lambda t: 300 - 100 * min(t.compression, 1) - t.compression,
    ),
    "hardly differ": (lambda t: 100, lambda t: 150 if t.dataset == "cifar100" else 100),
    "But SynFlow's at": (lambda t: 9 if t.dataset == "cifar100" else 257, lambda t: 257),
    "but for SNIP at c": (
        lambda t: 100 if t.dataset == "cifar100" else 110,
        lambda t: 110 if t.dataset == "cifar100" else 100,
    ),
    "same for both datasets": (lambda t: 31, lambda t: 35 if t.dataset == "cifar100" else 31),
}


@pytest.mark.parametrize("part", MADE)
@pytest.mark.parametrize("true", [True, False])
def test_each_claim_is_reproduced_by_records_that_bear_it_out_and_contradicted_by_others(part, true):
    """The six others, of layers and histograms, have tests of their own below."""
    number = MADE[part][not true]
    where = {"where": {"workers": 1}}
    kinds = {
        "%": lambda value: where | {"seconds": {"train": value}},
        "million": lambda value: {"flops_kept": round(1e6 * value)},
    }
    as_made = kinds.get(claim(part).unit, lambda value: {"top1": value, "top5": value})
    if part == "same for both datasets":
        as_made = lambda value: {"parameters": 100, "parameters_kept": value}  # noqa: E731
    assert judge(part, lambda t: as_made(number(t)))["verdict"] == (REPRODUCED if true else CONTRADICTED)
    assert judge(part, lambda t: None)["verdict"] == UNTESTED


def test_equal_values_bear_out_neither_side():
    found = judge("rank alike", as_printed("table1_accuracy_by_dataset"))
    assert found["verdict"] == UNTESTED, "GraSP and random pruning both have 5.00"


@pytest.mark.parametrize(
    ("margins", "verdict"),
    [
        ((1.0, 2.0, 3.0), UNTESTED),  # 2 ± 4.302653 / sqrt(3) = 2.484
        ((1.6, 2.0, 2.4), REPRODUCED),  # 2 ± 0.994
        ((-1.6, -2.0, -2.4), CONTRADICTED),
        ((0.2, 0.2, -0.3), UNTESTED),
    ],
)
def test_the_interval_of_the_margin_decides(margins, verdict):
    def values(trial):
        return {"top1": 90.0 + (margins[trial.seed] if trial.pruner == "random" else 0)}

    found = judge("exceptionally well", values)
    assert found["verdict"] == verdict
    if margins[0] == 1.0:
        assert found["evidence"] == (
            "Margin +2.0 ± 2.5 points; Random 92.00, SynFlow 90.00, Magnitude 90.00, SNIP 90.00, GraSP 90.00"
        )


def test_accuracies_for_a_hundred_classes_are_top_five():
    def values(trial):
        hundred = trial.dataset == "cifar100"
        return {"top1": 40.0 if hundred else 80.0, "top5": 85.0 + trial.seed if hundred else 99.0}

    assert judge("never beats CIFAR-10", values)["verdict"] == CONTRADICTED


def test_table_i_takes_magnitude_pruning_as_described():
    def values(trial):
        return {"top1": {"synflow": 11.35, "magnitude": 97.0 if trial.pre_epochs else 11.35}.get(trial.pruner, 95.0)}

    assert judge("SynFlow is the worst on MNIST", values)["verdict"] == REPRODUCED
    assert "Magnitude 97.00" in judge("SynFlow is the worst on MNIST", values)["evidence"]


def test_no_verdict_from_one_seed():
    found = judge("exceptionally well", as_printed("table1_accuracy_by_dataset"), seeds=[0])
    assert (found["verdict"], found["evidence"][:23]) == (UNTESTED, "One seed; margin +2.3 p")


def test_a_smaller_budget_decides_nothing_but_is_shown():
    found = judge("SynFlow loses most", as_printed("table2_accuracy_by_compression"), post_epochs=3)
    assert found["verdict"] == UNTESTED
    assert found["evidence"].startswith("Epochs after pruning: 3, not 10; margin +2.1 ± 0.0 points; points lost")


@pytest.mark.parametrize("crowd", [{"workers": 2}, {"workers": 1, "together": 5}, {}])
def test_times_of_trials_side_by_side_decide_nothing(crowd):
    study = paper()
    found = records(study, lambda trial: {"where": {"workers": 1}})
    assert claims.judge(claim("whichever the pruner (within 10"), with_records(study, found))["verdict"] == REPRODUCED
    crowded = records(study, lambda trial: {"where": crowd})
    judged = claims.judge(claim("whichever the pruner (within 10"), with_records(study, crowded))
    assert judged["verdict"] == UNTESTED and judged["evidence"].startswith("Timed beside other trials; margin +10.0")


def test_data_that_stand_in_are_called_by_their_names():
    rows = [{"dataset": name, "model": "vgg11", "compression": 1} for name in ("digits", "digit-pairs")]
    found = judge("rank alike", lambda trial: {"top1": float(len(trial.pruner))}, comparison=rows)
    assert found["verdict"] == UNTESTED
    assert "Digit pairs SynFlow 90.0" in found["evidence"] and "CIFAR" not in found["evidence"]


def test_failed_and_missing_trials_leave_a_claim_untested_and_are_named():
    found = judge("exceptionally well", lambda trial: None if trial.pruner == "grasp" else {"top1": 90.0})
    assert (found["verdict"], found["evidence"]) == (
        UNTESTED,
        "3 of 15 trials failed; no value of MNIST, GraSP, c = 1",
    )
    study = paper()
    assert {claims.judge(known, with_records(study, {}))["verdict"] for known in CLAIMS} == {UNTESTED}
    broken = records(study, lambda trial: None)
    assert {claims.judge(known, with_records(study, broken))["verdict"] for known in CLAIMS} == {UNTESTED}
    bare = records(study, lambda trial: {"layers": [], "top1": None, "top5": None, "flops_kept": None, "density": None})
    assert {
        claims.judge(known, with_records(study, bare))["verdict"]
        for known in CLAIMS
        if known.value(bare[next(iter(bare))]) is None
    }
    without = paper("sections.described=[]", pruner=["snip", "random"])
    verdicts = {known.text: claims.judge(known, recorded(without))["verdict"] for known in CLAIMS}
    assert verdicts[claim("SNIP cannot prune").text] == CONTRADICTED
    assert verdicts[claim("rank alike").text] == UNTESTED


def test_a_seed_that_lacks_a_cell_leaves_a_claim_to_the_others():
    """Random drops by 20, 22 and 99 points from c = 0.5 to 1; seed 2 lacks one of the two."""
    drops = {0: 20.0, 1: 22.0, 2: 99.0}

    def values(trial):
        return {"top5": 90.0 - drops[trial.seed] * (trial.compression == 1), "top1": 50.0}

    study = paper()
    found = records(study, values)
    for id_, trial in study.trials.items():
        if (trial.pruner, trial.compression, trial.seed) == ("random", 0.5, 2):
            del found[id_]
    judged = claims.judge(claim("random pruning drops as soon as"), with_records(study, found))
    assert judged["verdict"] == UNTESTED and "margin +11.0 ± 12.7 points" in judged["evidence"].lower()
    assert "loses 21.0 points" in judged["evidence"]


def test_more_zeros_than_weights_to_remove_explain_snips_error():
    """Compression 0.05 keeps 89 of 100 weights, so 11 go."""

    def values(trial):
        return {"layers": [layer("first", 100, 89, zero_scores=14)]}

    found = judge("SNIP cannot prune", values)
    assert found["verdict"] == EXPLAINED
    assert found["evidence"].startswith("With a threshold that removes every tie; ")
    assert found["evidence"].endswith(
        "margin +3.0 ± 0.0 % of all weights; scores of zero less weights to remove: +3.00 % of all weights"
    )
    assert judge("SNIP cannot prune", lambda trial: {"layers": [layer("first", 100, 89)]})["verdict"] == CONTRADICTED


def test_a_collapse_of_synflow_contradicts():
    def values(trial):
        return {"effective_density": 0.0 if trial.compression == 2 else trial.density}

    found = judge("avoids the collapse", values)
    assert found["verdict"] == CONTRADICTED
    assert "none at CIFAR-10 c = 2, CIFAR-100 c = 2" in found["evidence"]
    assert judge("avoids the collapse", lambda trial: {})["verdict"] == REPRODUCED


def test_layers_that_keep_different_shares_contradict():
    def values(trial):
        first = 8000 if trial.pruner == "synflow" else 3300
        return {"layers": [layer("first", 9000, first), layer("second", 1000, 310)], "density": 0.3162}

    found = judge("compressed alike", values)
    assert found["verdict"] == CONTRADICTED
    assert "CIFAR-10 SynFlow 57.3, Magnitude 5.0" in found["evidence"]
    even = [layer("first", 9000, 2846), layer("second", 1000, 316)]
    assert judge("compressed alike", lambda trial: {"layers": even, "density": 0.3162})["verdict"] == REPRODUCED


def test_histograms_by_hand():
    """Weights at -0.15 and 0.15 deviate by 0.15, and a bin's width of 0.02 adds 0.02^2 / 12."""

    def two_bins(distance, count):
        counts = [0] * 150
        counts[75 - distance - 1] = counts[75 + distance] = count
        return layer("any", 100, 2 * count, histogram=counts)

    wide, narrow = two_bins(7, 5), two_bins(1, 5)

    def values(trial):
        return {"layers": [wide, wide] if trial.pruner in ("synflow", "random") else [wide, narrow]}

    found = judge("most widely distributed", lambda t: {"layers": [wide if t.pruner == "synflow" else narrow]})
    assert found["verdict"] == REPRODUCED and "CIFAR-10 SynFlow 0.150" in found["evidence"]
    narrowest = judge("most widely distributed", lambda t: {"layers": [narrow if t.pruner == "synflow" else wide]})
    assert narrowest["verdict"] == CONTRADICTED
    assert judge("most widely distributed", values)["verdict"] == UNTESTED, "SynFlow and random pruning alike"
    assert judge("distributed alike", values)["verdict"] == REPRODUCED
    assert judge("distributed alike", lambda trial: {"layers": [wide, narrow]})["verdict"] == CONTRADICTED

    def peaked(pruner):
        return lambda trial: {"layers": [two_bins(3, 40 if trial.pruner == pruner else 5)]}

    assert judge("highest peak", peaked("grasp"))["verdict"] == REPRODUCED
    assert judge("highest peak", peaked("snip"))["verdict"] == CONTRADICTED


def test_table_of_all_claims_without_the_images(monkeypatch):
    study = paper("sections.comparison.dataset=cifar10", dataset=["cifar10"])
    table = claims.table(recorded(study))
    assert len(table.tidy) == len(CLAIMS) + 2
    assert table.tidy.number.tolist() == list(range(1, len(CLAIMS) + 3))
    same = table.tidy[table.tidy.claim.str.contains("has the images")].iloc[0]
    assert (same.verdict, same.evidence) == (UNTESTED, "This profile does not use CIFAR-10 and CIFAR-100.")


def test_images_are_told_apart_by_their_pixels():
    digits, pairs = (claims._distinct_images(name) for name in ("digits", "digit-pairs"))
    assert len(digits) == 1797
    assert not digits.keys() & pairs.keys()
    split, position = next(iter(digits.values()))
    assert (split, position) == ("train", 0)
    assert digits == claims._distinct_images.__wrapped__("digits")


def test_cifar_sets_share_three_images(real_data, monkeypatch):
    """Test image 1,677 of CIFAR-10, a truck, is training image 43,244 of CIFAR-100, a pickup truck; and two more."""
    monkeypatch.setenv("PRUNEKIT_DATA", str(real_data))
    first, second, shared = claims.shared_images(paper())
    assert (first, second) == (60_000, 59_974)
    assert shared == [
        (("train", 35_925), ("test", 9_294)),
        (("test", 1_677), ("train", 43_244)),
        (("test", 8_091), ("test", 6_864)),
    ]
    assert claims._same_images(paper())["verdict"] == CONTRADICTED
