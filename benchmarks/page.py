"""The page in a browser: how soon the pen writes, what a point costs, and whether memory stays what it is.

    python benchmarks/page.py [--browser /usr/bin/chromium] [--lines 100]

For each form of the weights: megabytes of the file, milliseconds from opening it to the first point (median
of three), milliseconds a point in the page and of the native kernel by one thread, the same text and seed, in
turns. Then the memory of the browser's processes after ten lines and after all of `--lines`. Prints a table,
writes benchmarks/results/page.json, and prints the same as last line. Needs playwright.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import Browser, Page, sync_playwright
from report import report

from graves_lm.models.synthesis import Text
from graves_lm.sampling.noise import line_key, point_noise
from graves_lm.sampling.packed import PackedNetwork
from graves_lm.sampling.weights import KINDS
from graves_lm.trained.loading import load_trained
from graves_lm.web.html import page

TEXT = "the quick brown fox jumps over"
POINTS = 400
REPEATS = 5
WRITE = "([text, seed]) => graves.write(text, {seed, hand: 1}).then((lines) => lines.flat().length)"


def opened(browser: Browser, file: Path) -> tuple[Page, float]:
    """The page in a window of its own, and the milliseconds to its first point."""
    tab = browser.new_page(bypass_csp=True)  # under which one may look in
    tab.goto(file.as_uri())
    tab.wait_for_function("performance.getEntriesByName('first point').length > 0", timeout=60_000)
    return tab, float(tab.evaluate("performance.getEntriesByName('first point')[0].startTime"))


def in_page(tab: Page, seed: int) -> float:
    """Milliseconds a point: of two lines, what both cost before their first points taken away."""
    took, points = [], []
    for text in (TEXT[:10], TEXT):
        start = time.perf_counter()
        points.append(tab.evaluate(WRITE, [text, seed]))
        took.append(time.perf_counter() - start)
    return (took[1] - took[0]) / (points[1] - points[0]) * 1e3


@torch.inference_mode()
def native(packed: PackedNetwork, text: Text, seed: int) -> float:
    """Milliseconds a point of the kernel by one thread."""
    assert packed.kernel is not None
    packed.kernel.most_threads = 1
    size = sum(2 * packed.weights.hidden for _ in packed.weights.layers)
    state = torch.zeros(1, size + packed.weights.components + packed.weights.symbols)
    x, noise = torch.zeros(1, 3), point_noise(packed.mixtures, [line_key(seed, 0)])
    start = time.perf_counter()
    for _ in range(POINTS):
        x, state, *_ = packed.point(x, state, next(noise), (0.75, 0.75), text)
    return (time.perf_counter() - start) / POINTS * 1e3


def resident(root: int) -> float:
    """Megabytes that a process and all that it has started hold."""
    children: dict[int, list[int]] = {}
    size: dict[int, int] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(name))
        size[int(name)] = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    found, left = 0, [root]
    while left:
        one = left.pop()
        found += size.get(one, 0)
        left += children.get(one, [])
    return found / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--lines", type=int, default=100)
    args = parser.parse_args()
    trained = load_trained("synthesis", task="synthesis")
    text = Text.of([trained.alphabet.encode(TEXT).tolist()])
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=args.browser, args=flags)
        print(
            f"{'weights':>8} {'MB':>6} {'first point ms':>15} {'ms a point':>11} {'native':>8} {'ratio':>6}"
        )
        for kind in KINDS:
            file = Path(folder) / f"{kind}.html"
            file.write_text(page("synthesis", kind), encoding="utf-8")
            packed = PackedNetwork(trained.network, kind)
            first = []
            for _ in range(3):
                tab, milliseconds = opened(browser, file)
                first.append(milliseconds)
                tab.close()
            tab, _ = opened(browser, file)
            turns = [(in_page(tab, seed), native(packed, text, seed)) for seed in range(REPEATS)]
            there, here = (statistics.median(times) for times in zip(*turns, strict=True))
            size, soon = file.stat().st_size / 1e6, statistics.median(first)
            print(
                f"{kind:>8} {size:6.2f} {soon:15.0f} {there:11.3f} {here:8.3f} {there / here:6.2f}",
                flush=True,
            )
            rows[kind] = {
                "megabytes": round(size, 2),
                "first_point_ms": round(soon),
                "point_ms": round(there, 4),
                "native_ms": round(here, 4),
                "over_native": round(there / here, 3),
            }
            if kind == "int8":
                memory = {}
                for n in range(args.lines):
                    tab.evaluate(WRITE, [TEXT, n])
                    if n + 1 in (10, args.lines):
                        memory[n + 1] = round(resident(os.getpid()))
                print("memory of all processes, MB, after lines:", memory)
            tab.close()
        browser.close()
    report("page", {"weights": rows, "memory_mb_after_lines": memory})


if __name__ == "__main__":
    main()
