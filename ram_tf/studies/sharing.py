"""Who takes part in a search: one process, or a chief and its workers.

keras-tuner's environment variables say which of them this process is.
"""

import contextlib
import os
import socket
import threading

import grpc

from ram_tf import locks
from ram_tf.errors import InputError

NAME, ADDRESS, PORT = (
    f"KERASTUNER_{name}" for name in ("TUNER_ID", "ORACLE_IP", "ORACLE_PORT")
)


def is_worker():
    """Returns whether another process, the chief, decides what this one tries."""
    return ADDRESS in os.environ and "chief" not in os.environ[NAME]


@contextlib.contextmanager
def held(workdir):
    """Holds the folder of a search for this process, a worker its name in there.

    Raises:
        InputError: If another process holds it, or the environment variables of
            keras-tuner cannot be meant.
    """
    _check_environment()
    workdir.mkdir(parents=True, exist_ok=True)
    path, taken = workdir / ".lock", f"another search is running in {workdir}"
    if is_worker():
        path = _lock_of(workdir, os.environ[NAME])
        taken = f"another worker of the search in {workdir} is {os.environ[NAME]}"
    with open(path, "w") as file:
        locks.hold(
            file,
            f"{taken}: wait for it, stop it, or use another "
            f"{NAME if is_worker() else '--workdir'}.",
        )
        yield


@contextlib.contextmanager
def watched(oracle, workdir, report, every=10.0, patience=6):
    """Looks after the workers of this process, if it is a chief, until they are done.

    keras-tuner's chief waits for ever for a worker that ended in the middle of a trial.
    It is said here, and where nothing is left to try its trial is ended as failed.

    Args:
        oracle: A `keras_tuner.Oracle`.
        workdir: Folder of the search.
        report: Function of one line of text.
        every: Float, seconds between two looks.
        patience: Int, looks at which all are gone until their trials are ended.
    """
    if ADDRESS not in os.environ or is_worker():
        yield
        return
    done, said = threading.Event(), set()

    def watch():
        looks = 0
        while not done.wait(every):
            gone = missing_workers(oracle, workdir)
            for worker in sorted(set(gone) - said):
                trial = gone[worker]
                where = "" if trial is None else f" in the middle of trial {trial}"
                report(
                    f"worker {worker} is gone{where}: start it again, or stop all; the "
                    "same commands go on."
                )
            said.clear()
            said.update(gone)
            alone = gone and set(gone) == _known(oracle)
            looks = looks + 1 if alone and _all_tried(oracle, gone) else 0
            if looks > patience:
                end_trials_of(gone, oracle)
                _ask_for_the_end(oracle)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def missing_workers(oracle, workdir):
    """Returns the workers that ended before they were told that nothing is left.

    Each with the trial that it was in the middle of, `None` between two.
    """
    return {
        worker: getattr(oracle.ongoing_trials.get(worker), "trial_id", None)
        for worker in _known(oracle)
        if locks.is_free(_lock_of(workdir, worker))
    }


def end_trials_of(workers, oracle):
    """Ends the trials of workers, and with them the wait for these, as failed ones."""
    for worker in workers:
        trial = oracle.ongoing_trials.get(worker)
        if trial is not None:
            trial.status = "FAILED"
            trial.message = f"its worker {worker} ended in the middle of it"
            oracle.end_trial(trial)
        oracle.tuner_ids.discard(worker)


def _known(oracle):
    return {*oracle.ongoing_trials, *oracle.tuner_ids}


def _all_tried(oracle, gone):
    """Whether nothing is left to hand out, and nobody else is at anything."""
    running = {
        trial.trial_id
        for trial in list(oracle.trials.values())
        if trial.status == "RUNNING"
    }
    return len(oracle.trials) >= oracle.max_trials and running <= set(gone.values())


def _ask_for_the_end(oracle):
    """Asks for a trial, as a worker does: that there is none left ends the chief."""
    from keras_tuner.src.distribute.oracle_client import OracleClient

    OracleClient(oracle).create_trial(os.environ[NAME])


def _lock_of(workdir, worker):
    return workdir / f".lock-{worker.replace(os.sep, '_')}"


@contextlib.contextmanager
def answered():
    """Says in one line that the chief does not answer.

    Raises:
        InputError: If it does not.
    """
    try:
        yield
    except grpc.RpcError as error:
        raise InputError(
            f"the chief at {_address()} does not answer ({error.code().name}): start "
            "it, and this worker again."
        ) from error


def _check_environment():
    if ADDRESS not in os.environ:
        return
    missing = [name for name in (NAME, PORT) if not os.environ.get(name)]
    if missing:
        raise InputError(
            f"{ADDRESS} is set and {' and '.join(missing)} is not: a shared search "
            f"needs {NAME} (chief, or another name of each worker), {ADDRESS} and "
            f"{PORT}."
        )
    if not is_worker():
        _check_port()


def _check_port():
    """Refuses an address at which a chief cannot listen."""
    host, port = os.environ[ADDRESS], os.environ[PORT]
    try:
        if not 0 < int(port) < 1 << 16:
            raise ValueError(f"{port} is no port")
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, int(port), type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # What an earlier chief has left in the network's memory is no listener.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen()
    except (OSError, ValueError) as error:
        raise InputError(
            f"the chief cannot listen at {_address()} ({error}): set {ADDRESS} to an "
            f"address of this machine and {PORT} to a free port."
        ) from error


def _address():
    return f"{os.environ[ADDRESS]}:{os.environ[PORT]}"
