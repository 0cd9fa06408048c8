"""Each claim against the study's own tables, and against synthetic records where the answer is known."""

import math

import numpy as np
import pandas as pd
import pytest
from synthetic import layer, paper, recorded, with_records

from prunekit.paper import audit, claims, images
from prunekit.paper.audit import CONTRADICTED, EXPLAINED, NOT_RUN, REPRODUCED, UNDECIDED
from prunekit.paper.claims import CLAIMS
from prunekit.paper.claims.claim import Cells, Claim, drawn, least
from prunekit.paper.claims.claim import judge as judge_drawn


def claim(part):
    (found,) = [claim for claim in CLAIMS if part in claim.text]
    return found


def judge(part, values, *assignments, **changes):
    results = recorded(paper(*assignments, **changes), values)
    return judge_drawn(claim(part), drawn(claim(part).of(results)))


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
    "perform better on": "–",
    "far longer at": "yes",
    "nearly three times": "no: 2.2 times as long in the mean",
    "skyrockets": "no: the least: 1.00 times (SNIP, c = 0.05)",
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
    "perform better on": (
        lambda t: 70 if t.dataset == "cifar100" else 80,
        lambda t: 80 if t.dataset == "cifar100" else 70,
    ),
    "nearly three times": (lambda t: 30 if t.compression < 0.2 else 10, lambda t: 20 if t.compression < 0.2 else 10),
    "skyrockets": (
        lambda t: 20 if t.compression < 0.2 else 10,
        lambda t: 20 if t.compression < 0.2 and t.pruner != "snip" else 10,
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
    borne_out = EXPLAINED if claim(part).explained else REPRODUCED
    assert judge(part, lambda t: as_made(number(t)))["verdict"] == (borne_out if true else CONTRADICTED)
    assert judge(part, lambda t: None)["verdict"] == NOT_RUN


def runs(cells, cluster=""):
    """Runs as a claim looks at them: a cell's values, a seed each, by pruner; `cluster`: seeds are shared."""
    rows = [
        {"dataset": "mnist", "model": "fc", "compression": 1.0, "pruner": pruner, "cell": pruner}
        | {"seed": seed, "value": value, "cluster": cluster and str(seed)}
        for pruner, values in cells.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows).assign(unlike="", started=True, pool="all")


def lead_of_snip(v: Cells):
    return v("mnist", 1.0, "snip", "fc") - v("mnist", 1.0, "grasp", "fc"), "so it is"


SNIP_LEADS = Claim("SNIP leads.", "nowhere", runs, lead_of_snip, "points")


@pytest.mark.parametrize(
    ("lead", "verdict"), [(0.0, UNDECIDED), (1.5, UNDECIDED), (3.0, REPRODUCED), (-3.0, CONTRADICTED)]
)
def test_the_interval_of_the_margin_decides(lead, verdict):
    """Three runs a cell, s = 1 with 4 degrees of freedom: a mean varies by 0.58 t(4), two within 2.1."""
    ours = drawn(runs({"snip": [79.0 + lead, 80.0 + lead, 81.0 + lead], "grasp": [79.0, 80.0, 81.0]}))
    margin, _ = lead_of_snip(Cells(ours.cells))
    assert margin[0] == pytest.approx(lead) and np.std(margin[1:]) == pytest.approx(math.sqrt(2 * 2 / 3), rel=0.1)
    assert judge_drawn(SNIP_LEADS, ours)["verdict"] == verdict


def test_pruners_that_share_seeds_are_compared_in_pairs():
    """80, 82, 84 and half a point less: apart that tells nothing; with the same seeds their difference is certain."""
    cells = {"snip": [80.5, 82.5, 84.5], "grasp": [80.0, 82.0, 84.0]}
    assert judge_drawn(SNIP_LEADS, drawn(runs(cells)))["verdict"] == UNDECIDED
    assert judge_drawn(SNIP_LEADS, drawn(runs(cells, "shared")))["verdict"] == REPRODUCED


def test_one_run_decides_nothing_and_is_shown():
    found = judge_drawn(SNIP_LEADS, drawn(runs({"snip": [80.0], "grasp": [20.0]})))
    assert found["verdict"] == UNDECIDED and found["evidence"] == "Margin +60 points, from one run; so it is."


def test_a_cell_of_one_run_leaves_claims_about_others_decided():
    """What is known of SNIP and GraSP is, whether or not the spread of a third pruner's kind is."""
    known = runs({"snip": [83.0, 84.0, 85.0], "grasp": [79.0, 80.0, 81.0]})
    alone = runs({"random": [50.0]}).assign(pool="of its own")
    assert judge_drawn(SNIP_LEADS, drawn(pd.concat([known, alone], ignore_index=True)))["verdict"] == REPRODUCED
    unknown = runs({"snip": [83.0, 84.0, 85.0]}), runs({"grasp": [20.0]}).assign(pool="of its own")
    assert judge_drawn(SNIP_LEADS, drawn(pd.concat(unknown, ignore_index=True)))["verdict"] == UNDECIDED


def test_the_least_of_noisy_numbers_is_no_evidence_against_them():
    """Of twelve cells alike the lowest of each repetition lies far below; that contradicts nothing."""
    random = np.random.default_rng(0)
    cells = {f"p{n}": list(10 + random.normal(size=3)) for n in range(12)}

    def check(v: Cells):
        return least(v("mnist", 1.0, name, "fc") for name in cells) - 9.0, ""

    found = judge_drawn(Claim("All lie above 9.", "nowhere", runs, check, "points"), drawn(runs(cells)))
    assert found["verdict"] == UNDECIDED


def test_margins_cover_in_nineteen_of_twenty():
    """2,000 studies of two cells that differ by one point: its interval has the point at its stated rate or above."""
    random, inside = np.random.default_rng(0), 0
    for _ in range(200):
        ours = drawn(runs({"snip": list(1 + random.normal(size=3)), "grasp": list(random.normal(size=3))}))
        margin, _ = lead_of_snip(Cells(ours.cells))
        low, high = np.quantile(margin[1:], [0.025, 0.975])
        inside += low <= 1 <= high
    assert inside >= 0.92 * 200


def test_cells_of_which_some_start_are_of_those_and_say_so():
    """SynFlow at 80, 81 and 10.00: 80.5; random at 10.00 thrice, and so at chance."""

    def values(trial):
        lost = trial.pruner == "random" or (trial.pruner, trial.seed) == ("synflow", 2)
        return {"top1": 10.0 if lost and trial.dataset == "cifar10" else 80.0 + trial.seed, "top5": 60.0 + trial.seed}

    found = judge("rank alike", values)
    assert "CIFAR-10 Magnitude 81.0" in found["evidence"] and "SynFlow 80.5" in found["evidence"]
    assert "Random 10.0" in found["evidence"] and "given a start" in found["evidence"]
    assert "given a start" not in judge("Random pruning does exceptionally well", values)["evidence"], "of MNIST alone"
    assert "given a start" not in judge("rank alike", lambda trial: {"top1": 80.0, "top5": 60.0})["evidence"]


def test_accuracies_for_a_hundred_classes_are_top_five():
    def values(trial):
        hundred = trial.dataset == "cifar100"
        return {"top1": 40.0 if hundred else 80.0, "top5": 85.0 + trial.seed / 10 if hundred else 99.0}

    assert judge("never beats CIFAR-10", values)["verdict"] == CONTRADICTED


def test_table_i_takes_magnitude_pruning_on_mnist_as_described_and_on_the_cifars_as_its_flops_show():
    def values(trial):
        return {"top1": {"synflow": 11.35, "magnitude": 97.0 if trial.pre_epochs else 60.0}.get(trial.pruner, 95.0)}

    assert "Magnitude 97.00" in judge("SynFlow is the worst on MNIST", values)["evidence"]
    assert "CIFAR-10 SNIP 95.0" in judge("rank alike", values)["evidence"]
    assert "Magnitude 60.0" in judge("rank alike", values)["evidence"]


def test_what_was_seen_once_was_seen():
    """One run of GraSP's above 31 % contradicts that there is none, whatever the others have."""

    def values(trial):
        once = (trial.dataset, trial.compression, trial.seed) == ("cifar10", 0.1, 1)
        return {"top1": 31.5 if once else 12.0, "top5": 4.0}

    assert judge("never exceeds 31", values, seeds=[1])["verdict"] == CONTRADICTED
    found = judge("never exceeds 31", values)
    assert found["verdict"] == CONTRADICTED and "CIFAR-10 31.50" in found["evidence"]


def test_a_smaller_budget_decides_nothing():
    found = judge("SynFlow loses most", lambda trial: {"top1": 60.0}, post_epochs=3)
    assert (found["verdict"], found["evidence"]) == (NOT_RUN, "Epochs after pruning: 3, not 10.")


@pytest.mark.parametrize("crowd", [{"workers": 2}, {"workers": 1, "together": 5}, {}])
def test_times_of_trials_side_by_side_decide_nothing(crowd):
    part = "whichever the pruner (within 10"
    assert judge(part, lambda trial: {"where": {"workers": 1}})["verdict"] == REPRODUCED
    crowded = judge(part, lambda trial: {"where": crowd})
    assert (crowded["verdict"], crowded["evidence"]) == (NOT_RUN, "Timed beside other trials.")


def test_failed_and_missing_trials_leave_a_claim_to_others_and_are_named():
    found = judge("exceptionally well", lambda trial: None if trial.pruner == "grasp" else {"top1": 90.0})
    assert (found["verdict"], found["evidence"]) == (NOT_RUN, "No run of MNIST, GraSP, c = 1.")
    study = paper()
    numbers = ("top1", "top5", "flops_kept", "parameters", "effective_density")
    bare = dict.fromkeys(numbers) | {"layers": []}
    for values in (lambda trial: None, lambda trial: bare):
        rows = claims.judged(recorded(study, values), audit.numbers(recorded(study, values)))
        assert REPRODUCED not in set(rows.verdict)
    nothing = with_records(study, {})
    assert set(claims.judged(nothing, audit.numbers(nothing)).verdict[:-2]) == {NOT_RUN}


def test_more_zeros_than_weights_to_remove_explain_snips_error():
    """Compression 0.05 keeps 89 of 100 weights, so 11 go."""

    def values(trial):
        return {"layers": [layer("first", 100, 89, zero_scores=14)]}

    found = judge("SNIP cannot prune", values)
    assert found["verdict"] == EXPLAINED
    assert found["evidence"].startswith("With a threshold that removes every tie; ")
    assert "margin +3 % of all weights (+3 to +3)" in found["evidence"] and "device" in found["evidence"]
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
    assert judge("most widely distributed", values)["verdict"] == UNDECIDED, "SynFlow and random pruning alike"
    assert judge("distributed alike", values)["verdict"] == REPRODUCED
    assert judge("distributed alike", lambda trial: {"layers": [wide, narrow]})["verdict"] == CONTRADICTED

    def peaked(pruner):
        return lambda trial: {"layers": [two_bins(3, 40 if trial.pruner == pruner else 5)]}

    assert judge("highest peak", peaked("grasp"))["verdict"] == REPRODUCED
    assert judge("highest peak", peaked("snip"))["verdict"] == CONTRADICTED


def test_all_claims_without_the_images():
    study = recorded(paper("sections.comparison.dataset=cifar10", dataset=["cifar10"]))
    rows = claims.judged(study, audit.numbers(study))
    assert rows.number.tolist() == list(range(1, len(CLAIMS) + 5))
    same = rows[rows.claim.str.contains("has the images")].iloc[0]
    assert (same.verdict, same.evidence) == (NOT_RUN, "This profile does not use CIFAR-10 and CIFAR-100.")


def test_flops_of_networks_pruned_once_contradict_that_pruning_is_done_while_training():
    study = recorded(paper())
    numbers = audit.numbers(study)
    agree = numbers.assign(verdict=numbers.verdict.where(numbers.table != "IV", REPRODUCED))
    for rows, verdict in ((agree, CONTRADICTED), (numbers, UNDECIDED), (numbers[:0], NOT_RUN)):
        assert {row["verdict"] for row in claims._what_was_done(rows)} == {verdict}


def test_images_are_told_apart_by_their_pixels():
    digits, pairs = (images._distinct(name) for name in ("digits", "digit-pairs"))
    assert len(digits) == 1797
    assert not digits.keys() & pairs.keys()
    split, position = next(iter(digits.values()))
    assert (split, position) == ("train", 0)
    assert digits == images._distinct.__wrapped__("digits")


def test_cifar_sets_share_three_images(real_data, monkeypatch):
    """Test image 1,677 of CIFAR-10, a truck, is training image 43,244 of CIFAR-100, a pickup truck; and two more."""
    monkeypatch.setenv("PRUNEKIT_DATA", str(real_data))
    (first, second), shared = images.shared()
    assert (first, second) == (60_000, 59_974)
    assert shared[["image", "dataset", "split", "position"]].values.tolist() == [
        *([1, "cifar10", "train", 35_925], [1, "cifar100", "test", 9_294]),
        *([2, "cifar10", "test", 1_677], [2, "cifar100", "train", 43_244]),
        *([3, "cifar10", "test", 8_091], [3, "cifar100", "test", 6_864]),
    ]
    assert shared["class"].tolist()[2:4] == ["truck", "pickup truck"]
