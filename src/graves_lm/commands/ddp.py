"""Several processes for one job, one for each device, that begin and end together.

A job on several devices is composed once, in the process that the user or a sweep started. That process
starts one worker for each device of this host and hands each the job as it was composed: its settings, its
run directory, its place in the sweep. No worker composes anything, so a sweep cannot repeat itself in it
and every rank has the settings of its own job. The workers are set up as by torchrun, and Lightning and torch
find what they need in the same variables. Under torchrun and SLURM, which start the processes themselves,
nothing is started here.
"""

import json
import logging
import math
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log, setup_globals
from hydra.types import RunMode
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf

from graves_lm.runtime import terminal
from graves_lm.runtime.errors import FolderInUse, LostPeer, RankFailed, Stopped, TrainingDiverged, UserError
from graves_lm.runtime.place import place, started_by

RENDEZVOUS = timedelta(minutes=5)
"""How long the hosts of a run wait for each other to come."""
_KINDS = {kind.__name__: kind for kind in (TrainingDiverged, FolderInUse)}  # that others tell apart
_GRACE = 10.0  # seconds in which the others may end by themselves when one rank has failed
_STOP = 300.0  # seconds in which the workers may save and end after SIGTERM


def run(function: str, cfg: DictConfig) -> Any:
    """`function(cfg)`, a function's full name, in as many processes as `cfg.trainer` asks for.

    Returns what it returns on rank 0. Raises UserError for what cannot be started, and the error of the
    first rank that failed: a UserError as it is, all else as RankFailed; Stopped after SIGTERM.
    """
    outside, (rank, world) = started_by(), place()
    here, hosts = devices(cfg.trainer), cfg.trainer.num_nodes
    if outside is None:
        # A strategy for several processes has one listen for others, too: as a worker, on this host alone.
        alone = here * hosts == 1 and cfg.trainer.strategy == "auto"
        return call(function, cfg) if alone else start(function, cfg, here, hosts)
    in_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    if world > 1 and in_sweep and "SUBMITIT_EXECUTOR" not in os.environ:  # its jobs are one run each
        raise UserError(
            f"-m under {outside}: every process would run the whole sweep; start the command once, without "
            f"{outside}, and each job starts its own processes"
        )
    if here * hosts != world:
        raise UserError(
            f"{outside} started {world} process(es), but trainer.devices={here} on each of "
            f"trainer.num_nodes={hosts} hosts make {here * hosts}: ask both for the same"
        )
    if outside == "SLURM" and "SLURM_NTASKS_PER_NODE" not in os.environ:
        raise UserError(
            f"SLURM was asked for {world} processes; ask for as many on each host as it has devices: "
            f"srun --nodes={hosts} --ntasks-per-node={here}"
        )
    if world > 1 and not in_sweep:
        require_run_dir(outside)
    if rank > 0:
        log_to(log_file(cfg.run_dir, rank))
    return call(function, cfg)


def devices(trainer: DictConfig) -> int:
    """How many devices of this host `trainer` asks for. Raises UserError for more than there are."""
    import torch

    asked: Any = trainer.devices
    found = 0 if trainer.accelerator == "cpu" else torch.cuda.device_count()
    other = trainer.accelerator != "cpu" and torch.backends.mps.is_available()
    if found == 0 and not other and trainer.accelerator in ("gpu", "cuda"):
        raise UserError(
            f"trainer.accelerator={trainer.accelerator}: no CUDA device found on {socket.gethostname()}; "
            "trainer=cpu, or trainer.accelerator=cpu trainer.devices=N for N processes"
        )
    if found == 0 and not other:
        count = 1 if asked == "auto" else asked
        if not isinstance(count, int) or count < 1:
            raise UserError(f"trainer.devices={asked}: on CPUs a number of processes is needed, 1 or more")
        return count
    if found == 0 or asked == "auto":
        return max(1, found)
    wanted = [n for n in str(asked).strip("[]").split(",") if n.strip()]
    if not all(n.strip().lstrip("-").isdigit() for n in wanted) or not wanted:
        raise UserError(f"trainer.devices={asked}: a number, a list of devices such as [0,2], or auto")
    if isinstance(asked, int):
        wanted = [] if asked == 0 else [str(n) for n in range(found if asked == -1 else asked)]
    if not wanted or max(int(n) for n in wanted) >= found or min(int(n) for n in wanted) < 0:
        raise UserError(f"trainer.devices={asked}: {socket.gethostname()} has {found} CUDA device(s)")
    return len(wanted)


def require_run_dir(outside: str) -> None:
    """Raises UserError where each process would choose a run directory of its own, by its own clock."""
    if not any(one.startswith("run_dir=") for one in HydraConfig.get().overrides.task):
        raise UserError(
            f"under {outside} give run_dir=PATH, the same for all processes, in storage that all hosts share"
        )


def log_file(run_dir: str | Path, rank: int) -> Path:
    """Where a rank other than 0 writes its log and all else that it prints."""
    path = Path(run_dir) / "logs" / f"rank{rank}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def log_to(path: Path) -> None:
    """Send this process's log to a file, and nowhere else."""
    form = "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    logging.basicConfig(handlers=[handler], format=form, level=logging.INFO, force=True)


def call(function: str, cfg: DictConfig) -> Any:
    """`function(cfg)` in this process. Raises LostPeer for an error that says that another one is gone."""
    try:
        return get_method(function)(cfg)
    except RuntimeError as error:
        if lost := lost_peer(error):
            raise lost from error
        raise


def lost_peer(error: RuntimeError) -> LostPeer | None:
    """The error to show for one of torch's that says that another process of the run is gone."""
    rank, world = place()
    if world == 1:
        return None
    from torch.distributed import DistError

    if not isinstance(error, DistError) and "gloo" not in str(error) and "NCCL" not in str(error):
        return None
    return LostPeer(
        f"rank {rank} of {world} on {socket.gethostname()}: lost the connection to another process of the "
        "run, which has failed, was killed or cannot be reached; what went wrong is in its own output; "
        "go on from the last checkpoint with resume=last"
    )


# --- the process that starts the workers ----------------------------------------------------------


def start(function: str, cfg: DictConfig, here: int, hosts: int) -> Any:
    """Run the job in `here` workers on this host, one of `hosts`; what it returned on rank 0."""
    host, address, port = rendezvous_settings(hosts)
    OmegaConf.resolve(cfg)  # what depends on the moment is decided once
    store = open_store(host, address, port, hosts)
    job = pickle.dumps((function, cfg, HydraConfig.instance().cfg))
    workers: dict[int, Worker] = {}
    with sigterm_noted() as stopped, ExitStack() as open_files:
        try:
            for local_rank in range(here):
                rank = host * here + local_rank
                environment = {
                    "RANK": rank,
                    "LOCAL_RANK": local_rank,
                    "GROUP_RANK": host,
                    "WORLD_SIZE": hosts * here,
                    "LOCAL_WORLD_SIZE": here,
                    "MASTER_ADDR": address,
                    "MASTER_PORT": store.port,
                    "TORCHELASTIC_RUN_ID": "graves_lm",
                    "TORCHELASTIC_USE_AGENT_STORE": True,
                    **(among_themselves() if hosts == 1 else {}),
                }
                report = open_files.enter_context(TemporaryFile())
                workers[rank] = Worker(start_worker(job, report, rank, environment, cfg.run_dir), report)
            failed = watch({rank: worker.process for rank, worker in workers.items()}, stopped)
        finally:
            for worker in workers.values():
                worker.process.kill()  # does nothing to one that has ended
                worker.process.wait()
        reports = {rank: worker.told() for rank, worker in workers.items()}
        if failed:
            terminal.begin_line(others=True)
        if failed.get(0) and reports[0].get("told"):
            sys.exit(failed[0])
        if failed:
            raise first_failure(failed, reports, cfg.run_dir, stopped.is_set())
        return reports[0].get("result") if 0 in reports else None


def among_themselves() -> dict[str, str]:
    """Variables by which the workers of one host listen to this host alone."""
    inside = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    names = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
    return {name: inside for name in names if inside is not None and name not in os.environ}


class Worker(NamedTuple):
    """A process of the job, and the file in which it tells how that ended. Neither that file nor the one it
    reads the job from has a name: nobody else can open them, and nothing is left of them."""

    process: "subprocess.Popen[bytes]"
    report: IO[bytes]

    def told(self) -> dict[str, Any]:
        """What it wrote there; empty where it was killed before it could."""
        self.report.seek(0)
        try:
            found: dict[str, Any] = json.loads(self.report.read() or "{}")
        except ValueError:
            return {}
        return found


def rendezvous_settings(hosts: int) -> tuple[int, str, int]:
    """This host's number, the first host's address and its port (0: any that is free)."""
    if hosts == 1:
        return 0, "127.0.0.1", 0
    require_run_dir(f"trainer.num_nodes={hosts}")
    missing = [n for n in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK") if n not in os.environ]
    if missing:
        raise UserError(
            f"trainer.num_nodes={hosts}: {', '.join(missing)} not set; on each host set MASTER_ADDR and "
            "MASTER_PORT (the first host's address and a free port there) and NODE_RANK (0, 1, …), or start "
            "with torchrun or srun"
        )
    port, host = os.environ["MASTER_PORT"], os.environ["NODE_RANK"]
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise UserError(f"MASTER_PORT={port}: a port is a number from 1 to 65535")
    if not host.isdigit() or int(host) >= hosts:
        raise UserError(f"NODE_RANK={host}: a number from 0 to {hosts - 1} for trainer.num_nodes={hosts}")
    return int(host), os.environ["MASTER_ADDR"], int(port)


def open_store(host: int, address: str, port: int, hosts: int) -> Any:
    """The store by which the workers find each other: served here on the first host, joined on the others.
    That of several hosts listens on all of this one's addresses, that of one host on `address` alone.

    Returns when all hosts have come. Raises UserError when the port is taken, the first host does not
    answer or another does not come.
    """
    from torch.distributed import DistError, TCPStore

    try:
        if hosts == 1:  # by itself torch would listen to the whole network
            listener = socket.create_server((address, port))
            port = listener.getsockname()[1]
            fd = listener.detach()  # the store closes it
            return TCPStore(address, port, is_master=True, wait_for_workers=False, master_listen_fd=fd)
        store = TCPStore(address, port, is_master=host == 0, timeout=RENDEZVOUS, wait_for_workers=False)
        store.set(f"host {host}", "here")
        store.wait([f"host {n}" for n in range(hosts)], RENDEZVOUS)
    except (DistError, RuntimeError, OSError) as error:
        raise UserError(unreachable(error, host, address, port, hosts)) from error
    return store


def unreachable(error: BaseException, host: int, address: str, port: int, hosts: int) -> str:
    """Why the hosts of a run did not find each other, in one line."""
    if "EADDRINUSE" in str(error) or "in use" in str(error):
        return f"MASTER_PORT={port}: in use on this host; choose another, the same on all hosts"
    if host == 0 and "listen" in str(error):
        return f"MASTER_ADDR={address}, MASTER_PORT={port}: this host cannot listen there"
    waited = f"within {RENDEZVOUS.total_seconds():.0f} s"
    if host == 0:
        return f"not all of the {hosts} hosts came to {address}:{port} {waited}; start the command on each"
    return (
        f"no run with {hosts} hosts answered at {address}:{port} {waited}; check MASTER_ADDR and "
        "MASTER_PORT, and that the command runs on every host"
    )


def start_worker(
    job: bytes, report: IO[bytes], rank: int, environment: Mapping[str, Any], run_dir: str
) -> "subprocess.Popen[bytes]":
    """Rank 0 writes to the terminal, the others to their log files; signals of the terminal reach none."""
    command = [sys.executable, "-m", "graves_lm.commands.ddp", str(report.fileno()), str(os.getpid())]
    variables = os.environ | {name: str(value) for name, value in environment.items()}
    with TemporaryFile() as given, ExitStack() as opened:
        given.write(job)
        given.seek(0)
        log = None if rank == 0 else opened.enter_context(open(log_file(run_dir, rank), "ab"))
        return subprocess.Popen(
            command,
            env=variables,
            start_new_session=True,
            stdin=given,
            stdout=log,
            stderr=log,
            pass_fds=(report.fileno(),),
        )


@contextmanager
def sigterm_noted() -> Iterator[threading.Event]:
    """While it lasts SIGTERM sets the event that is given, and does nothing else."""
    noted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield noted  # only the main thread may ask for signals
        return
    before = signal.signal(signal.SIGTERM, lambda *_: noted.set())
    try:
        yield noted
    finally:
        signal.signal(signal.SIGTERM, before)


def watch(workers: "Mapping[int, subprocess.Popen[bytes]]", stopped: threading.Event) -> dict[int, int]:
    """Wait for all to end or, when one has failed, until the others had time to. Statuses of those that
    failed by themselves, by rank, in the order of time."""
    failed: dict[int, int] = {}
    give_up, told = math.inf, False
    while any(worker.poll() is None for worker in workers.values()) and time.monotonic() < give_up:
        if stopped.is_set() and not told:
            told, give_up = True, time.monotonic() + _STOP
            for worker in workers.values():
                worker.terminate()
        failed |= {rank: w.returncode for rank, w in workers.items() if w.poll() and rank not in failed}
        if failed:
            give_up = min(give_up, time.monotonic() + _GRACE)
        time.sleep(0.05)
    return failed | {rank: w.returncode for rank, w in workers.items() if w.poll() and rank not in failed}


def first_failure(
    failed: Mapping[int, int], errors: Mapping[int, Mapping[str, Any]], run_dir: str, stopped: bool
) -> UserError:
    """What to raise for workers that ended with a status other than 0, by rank, in the order of time, and
    what they told."""
    errors = {rank: errors.get(rank, {}) for rank in failed}
    saved = [error["message"] for error in errors.values() if error.get("status") == Stopped.status]
    if saved or stopped:
        return Stopped(saved[0] if saved else "stopped by SIGTERM; go on with resume=last")
    # Who only lost the connection to another is not who failed.
    rank = min(failed, key=lambda rank: errors[rank].get("lost", False))
    code, error = failed[rank], errors[rank]
    if error.get("mine"):
        return _KINDS.get(error["kind"], UserError)(error["message"])
    what = f"ended with status {code}" if code > 0 else f"was killed by {signal.Signals(-code).name}"
    if error:
        what += f" ({error['message']})"
    if rank > 0 and code > 0:
        what += f"; see {log_file(run_dir, rank)}"
    return RankFailed(f"rank {rank} {what}; the run's other processes were ended; go on with resume=last")


# --- a worker -------------------------------------------------------------------------------------


def work(report: int, parent: int) -> int:
    """Do the job that standard input gives, as the rank that the environment says, and write how it ended to
    the open file `report`; the exit status."""
    from graves_lm.commands.launch import is_mistake, one_line

    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    setup_globals()
    os.set_inheritable(report, False)  # for no process that the job starts
    function, cfg, hydra_cfg = pickle.load(sys.stdin.buffer)
    HydraConfig.instance().set_config(hydra_cfg)
    rank, _ = place()
    if rank == 0:
        configure_log(hydra_cfg.hydra.job_logging, hydra_cfg.hydra.verbose)
    else:
        log_to(log_file(cfg.run_dir, rank))
    try:
        result = call(function, cfg)
    except SystemExit:  # the terminal is gone or full: rank 0 has told why, or cannot
        if rank == 0:
            _tell(report, {"told": True})
        raise
    except BaseException as error:
        mine = is_mistake(error)
        command = hydra_cfg.hydra.job.config_name
        message = one_line(error, command) if mine else f"{type(error).__name__}: {error}"
        record = {
            "message": " ".join(message.splitlines()),
            "kind": type(error).__name__,
            "status": getattr(error, "status", 2 if mine else 1),
            "mine": mine and not isinstance(error, LostPeer),
            "lost": isinstance(error, LostPeer),
        }
        _tell(report, record)
        if not mine:
            raise
        logging.getLogger(__name__).info(message)
        return int(record["status"])
    if rank == 0:
        _tell(report, {"result": result})
    return 0


def _tell(report: int, record: Mapping[str, Any]) -> None:
    with os.fdopen(report, "wb") as file:
        file.write(json.dumps(record).encode())


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: it would train on unseen."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    with terminal.command("worker"):
        sys.exit(work(int(sys.argv[1]), int(sys.argv[2])))
