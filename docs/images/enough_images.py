"""Draw enough-images.png of docs/explanation/verdict.md: test images against the loss that can be
excluded, by how often exactly one of two variants is right.

    python docs/images/enough_images.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

from harness.stats.enough_images import discordance_at, excludable

SIZES = (60, 100, 200, 300, 600, 1000, 2000, 5000, 10_000)


def main() -> None:
    """Left by discordance, right by accuracy."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
    for differ in (0.005, 0.01, 0.02, 0.04, 0.1):
        found = [100 * excludable(n, differ) for n in SIZES]
        left.plot(SIZES, found, marker="o", ms=3.5, label=f"{100 * differ:g} % differ")
    for accuracy in (0.8, 0.9, 0.95, 0.98, 0.99):
        found = [100 * excludable(n, discordance_at(accuracy)) for n in SIZES]
        right.plot(SIZES, found, marker="o", ms=3.5, label=f"accuracy {accuracy:g}")
    for axes, title in ((left, "by discordance"), (right, "by accuracy, errors correlated 0.6")):
        axes.axhline(2, color="0.5", lw=1, ls="--")
        axes.set(xscale="log", yscale="log", xlabel="test images", title=title)
        axes.set_xticks([100, 300, 1000, 3000, 10_000], ["100", "300", "1,000", "3,000", "10,000"])
        axes.set_yticks([0.3, 0.5, 1, 2, 5, 10], ["0.3", "0.5", "1", "2", "5", "10"])
        axes.minorticks_off()
        axes.legend(fontsize=8, frameon=False)
        axes.grid(color="0.9")
    left.set_ylabel("loss that is excluded, points")
    figure.savefig(Path(__file__).parent / "enough-images.png", dpi=110)


if __name__ == "__main__":
    main()
