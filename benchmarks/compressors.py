"""Bytes, seconds and memory of `graves-lm compress` beside other compressors: a table, and a line of JSON.

    python benchmarks/compressors.py FILE [--only gzip,xz] [--ours "" --ours "ckpt=none streams=8"]

Each is a process of its own; seconds are those of the processor (of one thread where it can be told so),
memory is its largest resident set. Compressors that this machine lacks are left out and named; Debian has all
of them: apt-get install gzip bzip2 xz-utils zstd brotli p7zip-full zpaq. Ours are decompressed too, and
compared.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OTHERS = {
    "gzip": "gzip -9 -c {file} > {out}",
    "bzip2": "bzip2 -9 -c {file} > {out}",
    "xz": "xz -9e -T1 -c {file} > {out}",
    "zstd": "zstd --ultra -22 -q -c {file} > {out}",
    "brotli": "brotli -q 11 -w 24 -c {file} > {out}",
    "7z": "7z a -mmt1 -m0=PPMd:o=8:mem=256m -bso0 -bsp0 {out} {file}",
    "zpaq": "zpaq a {out}.zpaq {file} -m5 -t1 > /dev/null 2>&1 && mv {out}.zpaq {out}",
}


def measured(command: str) -> tuple[float, float]:
    """Seconds and MB of a shell's command. Raises CalledProcessError where it fails."""
    program = (
        "import resource, subprocess, sys; "
        f"s = subprocess.run({command!r}, shell=True, stderr=subprocess.DEVNULL); "
        "u = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(u.ru_utime + u.ru_stime, u.ru_maxrss); sys.exit(s.returncode)"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command_line = [sys.executable, "-c", program]
    done = subprocess.run(command_line, check=True, capture_output=True, text=True, env=environment)
    seconds, kilobytes = done.stdout.split()[-2:]
    return float(seconds), int(kilobytes) / 1024


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
        for settings in given.ours if given.ours is not None else ["", "streams=8"]:
            made, back = Path(folder) / "x.glm", Path(folder) / "back"
            run = f"{sys.executable} -m graves_lm."
            seconds, memory = measured(
                f"{run}compress file={given.file.absolute()} output={made} {settings} >&2"
            )
            again, _ = measured(f"{run}decompress file={made} output={back} >&2")
            assert back.read_bytes() == given.file.read_bytes(), settings
            row = {"name": f"graves-lm {settings}".strip(), "bytes": made.stat().st_size, "seconds": seconds}
            row |= {"memory_mb": memory, "back_seconds": again}
            rows.append(row)
    print(f"{given.file.name}, {size:,} bytes")
    print(f"{'':44}{'bytes':>10}{'bits/byte':>11}{'seconds':>9}{'back':>9}{'MB':>7}")
    for row in rows:
        back_seconds = f"{row['back_seconds']:9.1f}" if "back_seconds" in row else " " * 9
        print(
            f"{row['name']:44}{row['bytes']:10,}{8 * row['bytes'] / max(1, size):11.3f}"
            f"{row['seconds']:9.1f}{back_seconds}{row['memory_mb']:7.0f}"
        )
    print(json.dumps({"benchmark": "compressors", "file": given.file.name, "size": size, "rows": rows}))


if __name__ == "__main__":
    main()
