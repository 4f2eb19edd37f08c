"""How `serve` bears many clients at once.

So many clients ask for a line each, again and again, for a minute: the rate of answers, how long they took
(median, 95th percentile, longest), how many were no page, and how much memory the server held ten seconds
after the start and at the end. Writes benchmarks/results/serve.json, and prints the same as last line.

    python benchmarks/serve.py [--clients 50] [--seconds 60] [ARGUMENT …]

ARGUMENTS go to the command, such as sampler.candidates=1 sampler.retries=0.
"""

import argparse
import http.client
import json
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from report import report

TEXTS = (
    "Dear reader, how are you?",
    "The rain has been falling",
    "for three days and the river",
    "is as high as the garden wall.",
)


def memory(process: int) -> float:
    """MB that a process holds."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments, further = parser.parse_known_args()

    command = [sys.executable, "-m", "graves_lm.serve", "port=0", *further]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(re.search(r":(\d+)/", server.stdout.readline())[1])  # type: ignore[index]
        took: list[float] = []
        errors: list[str] = []
        end = time.monotonic() + arguments.seconds

        def client(number: int) -> None:
            asked = 0
            while time.monotonic() < end:
                text, asked = TEXTS[(number + asked) % len(TEXTS)], asked + 1
                begun = time.monotonic()
                try:
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
                    body = json.dumps({"text": text})
                    connection.request("POST", "/write", body, {"Content-Type": "application/json"})
                    answer = connection.getresponse()
                    content = answer.read()
                    if answer.status != 200 or not content.startswith(b"<svg"):
                        errors.append(f"{answer.status} {content[:100]!r}")
                    connection.close()
                except OSError as error:
                    errors.append(repr(error))
                took.append(time.monotonic() - begun)

        threads = [threading.Thread(target=client, args=(n,)) for n in range(arguments.clients)]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        time.sleep(min(10.0, arguments.seconds / 2))
        early = memory(server.pid)
        for thread in threads:
            thread.join()
        seconds, late = time.monotonic() - begun, memory(server.pid)
        server.send_signal(signal.SIGINT)
    took.sort()
    figures = {
        **vars(arguments),
        "arguments": further,
        "answers": len(took),
        "errors": len(errors),
        "answers_a_second": round(len(took) / seconds, 2),
        "median_s": round(statistics.median(took), 2),
        "p95_s": round(took[int(0.95 * (len(took) - 1))], 2),
        "longest_s": round(took[-1], 2),
        "memory_mb": [round(early), round(late)],
    }
    print("\n".join(errors[:5]))
    report("serve", figures)


if __name__ == "__main__":
    main()
