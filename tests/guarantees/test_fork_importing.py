"""A fork in the middle of an import: what a thread is importing is whole in the child."""

import subprocess
import sys

from guarantees.processes import PATIENCE

SCRIPT = """
import os, signal, sys, threading
import vulcan_store

importing, forking, forked = (threading.Event() for _ in range(3))

class Slow:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "vulcan_store.engines.postgres.engine":
            importing.set()
            forking.wait()
            forked.wait(0.05)  # in vain, if whoever forks waits for this

def answer():
    try:
        vulcan_store.open_store("postgresql://user@127.0.0.1:1/name")
    except vulcan_store.StoreUnavailableError:
        return 0

sys.meta_path.insert(0, Slow)
os.register_at_fork(before=forking.set)
opening = threading.Thread(target=answer)
opening.start()
importing.wait()
child = os.fork()
if not child:
    signal.alarm(int(sys.argv[1]))
    os._exit(answer())
forked.set()
opening.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_that_was_forked_while_an_engine_was_imported_can_import_it():
    # Python warns of every fork beside a thread.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SCRIPT, "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)

    assert (done.returncode, done.stderr) == (0, "")
