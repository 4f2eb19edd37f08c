"""Bytes, seconds and memory of `graves-lm compress` beside other compressors: a table, and a line of JSON.

    python benchmarks/compress.py FILE [--only gzip,xz] [--ours "counts=6" --ours "ckpt=none streams=8"]

Each is a process of its own; memory is its largest resident set. Compressors that this machine lacks are left
out and named. Ours are decompressed too and compared. `floor_us` is the network's bare step, by the kernel,
with as many threads: what a symbol takes at least.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OTHERS = {
    "gzip": "gzip -9 -c {file} > {out}",
    "bzip2": "bzip2 -9 -c {file} > {out}",
    "xz": "xz -9e -c {file} > {out}",
    "zstd": "zstd --ultra -22 -q -c {file} > {out}",
    "brotli": "brotli -q 11 -w 24 -c {file} > {out}",
    "7z": "7z a -m0=PPMd:o=8:mem=256m -bso0 -bsp0 {out} {file}",
    "zpaq": "zpaq a {out}.zpaq {file} -m5 > /dev/null 2>&1 && mv {out}.zpaq {out}",
}


def measured(command: str, shell: bool = True) -> tuple[float, float]:
    """Seconds and MB of a command. Raises CalledProcessError where it fails."""
    program = (
        "import resource, subprocess, sys; "
        f"s = subprocess.run({command!r}, shell={shell}, stderr=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(s.returncode)"
    )
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return time.perf_counter() - begin, int(done.stdout.split()[-1]) / 1024


def floor(ckpt: str, streams: int) -> float:
    """Microseconds a symbol of the network's bare step."""
    import torch

    from graves_lm.compression.model import byte_model
    from graves_lm.sampling.plain import for_drawing

    network = byte_model(ckpt).network
    packed, x = for_drawing(network), torch.zeros(streams, dtype=torch.long)
    state = packed.pack(network.initial_state(streams).layers)
    for count in (50, 1000):
        begin = time.perf_counter()
        for _ in range(count):
            _, state, _ = packed.step(x, state)
    return (time.perf_counter() - begin) / (1000 * streams) * 1e6


def main() -> None:
    """The table, then the line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", default=",".join(OTHERS), help="of the others, between commas; empty: none")
    parser.add_argument("--ours", action="append", help="settings of graves-lm compress")
    given = parser.parse_args()
    size, rows = given.file.stat().st_size, []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.7z"
        for name in filter(None, given.only.split(",")):
            if shutil.which(name) is None:
                print(f"{name}: not on this machine", file=sys.stderr)
                continue
            seconds, memory = measured(OTHERS[name].format(file=given.file.absolute(), out=out))
            rows.append({"name": name, "bytes": out.stat().st_size, "seconds": seconds, "memory_mb": memory})
            out.unlink()
        for settings in given.ours if given.ours is not None else ["counts=0", "", "streams=8"]:
            made, back = Path(folder) / "x.glm", Path(folder) / "back"
            run = f"{sys.executable} -m graves_lm."
            seconds, memory = measured(
                f"{run}compress file={given.file.absolute()} output={made} {settings} >&2"
            )
            again, _ = measured(f"{run}decompress file={made} output={back} >&2")
            assert back.read_bytes() == given.file.read_bytes(), settings
            words = dict(word.partition("=")[::2] for word in settings.split())
            row = {"name": f"graves-lm {settings}".strip(), "bytes": made.stat().st_size, "seconds": seconds}
            row |= {"memory_mb": memory, "back_seconds": again}
            if words.get("ckpt") != "none":
                row["floor_us"] = floor(words.get("ckpt", "character"), int(words.get("streams", "1")))
            rows.append(row)
    print(f"{given.file.name}, {size:,} bytes")
    print(f"{'':44}{'bytes':>10}{'bits/byte':>11}{'seconds':>9}{'back':>9}{'MB':>7}")
    for row in rows:
        back_seconds = f"{row['back_seconds']:9.1f}" if "back_seconds" in row else " " * 9
        print(
            f"{row['name']:44}{row['bytes']:10,}{8 * row['bytes'] / max(1, size):11.3f}"
            f"{row['seconds']:9.1f}{back_seconds}{row['memory_mb']:7.0f}"
        )
    record = {
        "file": given.file.name,
        "size": size,
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "rows": rows,
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
