"""Makes `reference.json`: tables of numbers, with their statistics by SciPy, statsmodels and pandas.

Run it in this folder:

    python3 -m venv /tmp/reference
    /tmp/reference/bin/pip install numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0 pandas==3.1.1
    /tmp/reference/bin/python reference.py

The file in the repository was made with Python 3.11.7 and these versions. Two runs give the same bytes.

Where no package has a statistic, it is computed here from its definition, by another method than in the Rust code.
`null` stands where the Rust code promises no answer: too few values, or a spread of 0.
"""

import itertools
import json
import math
import warnings
from fractions import Fraction

import numpy as np
import pandas as pd
from scipy import integrate, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

SIZES = [1, 2, 3, 5, 8, 10, 25]
KINDS = ["counts", "ties", "zeros", "real", "large", "constant", "equal", "diverged"]
QUANTILES = [0.0, 0.1, 0.25, 0.5, 0.9, 1.0]
# More signs than this are not tried by SciPy but counted sum by sum.
TRIED_MAX = 12
VALIDATION, TRAINING = 10_000, 50_000
IMAGES = 10_000


def columns(random, kind, size):
    """Two columns of a table: numbers of correct images for most kinds, real numbers for `real` and `large`."""
    base = random.integers(9_000, 9_900, size)
    if kind == "counts":
        return base, base + random.integers(-60, 90, size)
    if kind == "ties":
        return base // 100 * 100, base // 100 * 100 + random.choice([-20, -10, 10, 20, 30], size)
    if kind == "zeros":
        return base, base + random.choice([-7, 0, 0, 0, 12, 30], size)
    if kind == "real":
        return random.normal(0, 1, size), random.normal(0.3, 2, size)
    if kind == "large":
        return 1e6 + random.normal(0, 1, size), 1e6 + random.normal(0.3, 2, size)
    if kind == "constant":
        return np.full(size, 9_100), base
    if kind == "equal":
        return base, base + 64
    return np.full(size, 1_000), np.full(size, 1_000)


def summary(a, b):
    series = pd.Series(a)
    several, slopes = len(a) > 1, len(set(a)) > 1
    return {
        "mean": series.mean() if np.ptp(a) else a[0],
        "variance": (series.var() if np.ptp(a) else 0.0) if several else None,
        "deviation": (series.std() if np.ptp(a) else 0.0) if several else None,
        "quantiles": [np.quantile(a, q) for q in QUANTILES],
        "trimmed": stats.trim_mean(a, 0.25) if np.ptp(a) else a[0],
        "slope": stats.linregress(a, b).slope if slopes else None,
    }


def intervals(a, d):
    """The lower and the upper end, for the values, for these data and for new training data."""
    if len(a) < 2:
        return None
    if np.ptp(a):
        ends = list(stats.t.interval(0.95, len(a) - 1, loc=np.mean(a), scale=stats.sem(a)))
    else:
        ends = [a[0], a[0]]
    spread = np.std(d, ddof=1) if np.ptp(d) else 0.0
    for factor in [1 / len(d), 1 / len(d) + VALIDATION / TRAINING]:
        half = stats.t.ppf(0.975, len(d) - 1) * spread * math.sqrt(factor)
        ends += [np.mean(d) - half, np.mean(d) + half]
    return ends


def sign_flip(counts):
    """The two-sided p-value of all signs."""
    if len(counts) == 1:
        return 1.0
    if len(counts) <= TRIED_MAX:
        result = stats.permutation_test(
            (counts,), lambda x, axis: np.sum(x, axis=axis), permutation_type="samples", n_resamples=np.inf, vectorized=True
        )
        return result.pvalue
    ways = {0: 1}
    for size in counts:
        after = {}
        for total, number in ways.items():
            for sign in (-int(size), int(size)):
                after[total + sign] = after.get(total + sign, 0) + number
        ways = after
    observed = abs(sum(int(size) for size in counts))
    extreme = sum(number for total, number in ways.items() if abs(total) >= observed)
    return float(Fraction(extreme, 2 ** len(counts)))


def signed_rank(d):
    """Statistic and p-value; the exact distribution with ties by trying all signs, or by a polynomial of ranks."""
    d = np.asarray(d)[np.asarray(d) != 0]
    if len(d) == 0:
        return None
    asymptotic = stats.wilcoxon(d, method="asymptotic")
    if len(d) > 50:
        return [asymptotic.statistic, asymptotic.pvalue]
    if len(set(abs(d))) == len(d):
        exact = stats.wilcoxon(d, method="exact")
        return [exact.statistic, exact.pvalue]
    if 1 < len(d) <= TRIED_MAX:
        exact = stats.wilcoxon(d, method=stats.PermutationMethod(n_resamples=np.inf))
        return [exact.statistic, exact.pvalue]
    polynomial = np.array([1], dtype=object)
    for rank in (2 * stats.rankdata(abs(d))).astype(int):
        factor = np.zeros(rank + 1, dtype=object)
        factor[0] = factor[rank] = 1
        polynomial = np.convolve(polynomial, factor)
    below = sum(polynomial[: int(round(2 * asymptotic.statistic)) + 1])
    return [asymptotic.statistic, min(1.0, float(Fraction(2 * below, 2 ** len(d))))]


def paired_t(a, b, d):
    if len(d) < 2 or np.ptp(d) == 0:
        return None
    # The columns of counts may lose digits in b − a; the differences are what the Rust code gets.
    result = stats.ttest_rel(d, np.zeros(len(d)))
    return [result.statistic, result.pvalue]


def equivalence(d, margin):
    if len(d) < 2 or np.ptp(d) == 0:
        return None
    p, lower, upper = ttost_paired(d, np.zeros(len(d)), -margin, margin)
    return [p, lower[1], upper[1]]


def expected_best(validation, test):
    """By the choice of every subset for few candidates, by exact fractions otherwise; ties are chosen with equal chance."""
    count = len(test)
    if count <= 10:
        curve = []
        for size in range(1, count + 1):
            chosen = []
            for subset in itertools.combinations(range(count), size):
                best = max(validation[i] for i in subset)
                chosen.append(np.mean([test[i] for i in subset if validation[i] == best]))
            curve.append(math.fsum(chosen) / len(chosen))
        return curve
    frame = pd.DataFrame({"validation": validation, "test": test})
    frame["test"] = frame.groupby("validation")["test"].transform("mean")
    ordered = [Fraction(x) for x in frame.sort_values("validation")["test"]]
    curve = []
    for k in range(1, count + 1):
        terms = (Fraction(math.comb(i - 1, k - 1), math.comb(count, k)) * ordered[i - 1] for i in range(k, count + 1))
        curve.append(float(sum(terms)))
    return curve


def table(random, kind, size):
    a, b = columns(random, kind, size)
    # Large counts have a different sum for each choice of signs, so only few of them can be counted.
    largest = 10**12 if size <= TRIED_MAX else 10**3
    counts = b - a if a.dtype.kind == "i" else random.integers(-largest, 2 * largest, size)
    if a.dtype.kind == "i":
        a, b, d = a / IMAGES, b / IMAGES, counts / IMAGES
    else:
        d = b - a
    p_values = np.round(random.uniform(0, 1, size) ** 3, 6)
    margin = 0.01 if size % 2 else 0.004
    return {
        "kind": kind,
        "a": a,
        "b": b,
        "counts": counts,
        "differences": d,
        "summary": summary(a, b),
        "intervals": intervals(a, d),
        "sign_flip": sign_flip(counts),
        "t": paired_t(a, b, d),
        "signed_rank": signed_rank(d),
        "p_values": p_values,
        "holm": multipletests(p_values, method="holm")[1],
        "margin": margin,
        "equivalence": equivalence(d, margin),
        "expected_best": expected_best(a, b),
        "superiority": np.mean(np.where(a > b, 1.0, np.where(a == b, 0.5, 0.0))),
        "profile": [np.mean(a > threshold) for threshold in b],
    }


def subsets(axes, order):
    return [s for size in range(order + 1) for s in itertools.combinations(range(axes), size)]


def anova(random, levels):
    """Variance components from least-squares fits of dummy variables, for every set of up to three axes.

    The fit of all level combinations of a set of axes explains the components of all its subsets. Its hat matrix gives
    the part of the noise that it explains.
    """
    cells = list(itertools.product(*map(range, levels)))
    means = np.round(random.normal(0.8, 0.1, len(cells)), 4)
    noise = np.round(random.uniform(0, 2e-3, len(cells)), 6)
    components = {}
    for axes in subsets(len(levels), 3):
        choices = list(itertools.product(*(range(levels[axis]) for axis in axes)))
        design = np.array([[float(tuple(cell[axis] for axis in axes) == choice) for choice in choices] for cell in cells])
        hat = design @ np.linalg.pinv(design)
        raw = np.mean((hat @ (means - means.mean())) ** 2) - np.sum(np.diag(hat) * noise) / len(cells)
        inside = [components[part] for part in subsets(len(levels), len(axes) - 1) if set(part) < set(axes)]
        components[axes] = raw - math.fsum(inside)
    total = np.var(means) - (len(cells) - 1) / len(cells) * np.mean(noise)
    named = [{"axes": list(axes), "variance": variance} for axes, variance in components.items() if axes]
    return {"levels": levels, "means": means, "noise": noise, "total": total, "components": named}


def ped(random, size, levels, gamma):
    """PED-ANOVA with the mean of the kernels of all candidates, level by level."""
    axes = [random.integers(0, count, size) for count in levels]
    scores = np.round(0.5 + 0.1 * (axes[0] == 1) + random.normal(0, 0.05, size), 2)
    best = scores >= np.sort(scores)[::-1][math.ceil(gamma * size - 1e-9) - 1]

    def density(candidates, count):
        n = len(candidates)
        same, other = (1 + 1 / n) / (1 + count / n), (1 / n) / (1 + count / n)
        return np.array([np.mean([same if x == level else other for x in candidates]) for level in range(count)])

    variances = []
    for axis, count in zip(axes, levels):
        p, q = density(axis[best], count), density(axis, count)
        variances.append(np.mean(best) ** 2 * np.sum(q * (p / q - 1) ** 2))
    return {
        "scores": scores,
        "levels": levels,
        "axes": axes,
        "gamma": gamma,
        "best": int(best.sum()),
        "variances": variances,
    }


def student():
    cases = []
    for degrees in [1, 2, 3, 4, 7, 9, 24, 59, 200, 1_000]:
        for probability in [1e-12, 1e-6, 0.001, 0.025, 0.3, 0.45, 0.5, 0.6, 0.95, 0.975, 0.995, 0.999999]:
            cases.append([degrees, probability, stats.t.ppf(probability, degrees)])
    tails = []
    for degrees in [1, 2, 3, 9, 24, 200, 1_000]:
        for t in [0.0, 1e-8, 0.01, 0.5, 0.99, 1.01, 2.0, 5.5, 40.0, -0.7, -3.0]:
            upper = stats.t.sf(t, degrees)
            if abs(t) < 0.1:
                # Near 0, `sf` has only eight digits.
                upper = 0.5 - integrate.quad(stats.t.pdf, 0, t, args=(degrees,), epsabs=0)[0]
            tails.append([degrees, t, 2 * (upper if t >= 0 else 1 - upper), upper])
    return {"quantiles": cases, "tails": tails}


def plain(value):
    """Numbers and lists as JSON has them."""
    if isinstance(value, dict):
        return {key: plain(inside) for key, inside in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(inside) for inside in value]
    if isinstance(value, np.generic):
        value = value.item()
    assert not isinstance(value, float) or math.isfinite(value), value
    return value


def main():
    random = np.random.default_rng(20_030_901)
    warnings.simplefilter("ignore")
    cases = [(kind, size) for kind in KINDS for size in SIZES] * 3
    cases += [("counts", 15), ("zeros", 16), ("ties", 18), ("real", 20), ("counts", 60), ("ties", 70), ("real", 51)]
    while len(cases) < 200:
        cases.append((KINDS[len(cases) % 5], SIZES[len(cases) % 6]))
    grids = [[2], [5], [2, 3], [4, 4], [1, 3], [2, 3, 2], [3, 1, 4], [2, 2, 2, 2], [3, 2, 2, 3], [2, 2, 2, 2, 2]]
    reference = {
        "tables": [table(random, kind, size) for kind, size in cases],
        "grids": [anova(random, levels) for levels in grids],
        "candidates": [ped(random, size, [2, 3, 5], gamma) for size in (8, 30, 60) for gamma in (0.1, 0.25, 1.0)],
        "student": student(),
    }
    with open("reference.json", "w", encoding="utf-8") as file:
        for key, cases in reference.items():
            file.write("{\n" if key == "tables" else ",\n")
            file.write(f'"{key}": ')
            if isinstance(cases, list):
                file.write("[\n" + ",\n".join(json.dumps(plain(case), separators=(",", ":")) for case in cases) + "\n]")
            else:
                file.write(json.dumps(plain(cases), separators=(",", ":")))
        file.write("\n}\n")


if __name__ == "__main__":
    main()
