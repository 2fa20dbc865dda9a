# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""TAP for tests in Python: ok(), same(), skip_all(), and done() at the end."""
import os
import signal
import sys
import traceback

ran = failed = 0
# How much longer than usual a test waits for what must come: for machines that are emulated.
PATIENCE = int(os.environ.get("PATIENCE", "1"))
# A job in a shell's background begins with these ignored, and so would the tools under test.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def ok(condition, name, why=""):
    """One test. Returns whether it passed."""
    global ran, failed
    ran += 1
    failed += not condition
    print(f"{'' if condition else 'not '}ok {ran} - {name}", flush=True)
    if not condition and why:
        diag(why)
    return bool(condition)


def same(have, want, name):
    """have == want; of two tables (dicts) only what differs is shown."""
    if isinstance(have, dict) and isinstance(want, dict):
        keys = sorted(key for key in {*have, *want} if have.get(key) != want.get(key))
        shown = keys[:10]
        why = "\n".join([f"{key}: have {have.get(key)}, want {want.get(key)}" for key in shown] +
                        [f"... and {len(keys) - len(shown)} more"] * (len(keys) > len(shown)))
    else:
        why = f"have {have!r}\nwant {want!r}"
    return ok(have == want, name, why)


def skip(name, why):
    global ran
    ran += 1
    print(f"ok {ran} - {name} # SKIP {why}", flush=True)


def diag(text):
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def skip_all(why):
    print(f"1..0 # SKIP {why}", flush=True)
    sys.exit(0)


def done():
    print(f"1..{ran}", flush=True)
    sys.exit(1 if failed else 0)


def time_limit(seconds):
    """A test that hangs fails after this many seconds, and says where."""
    def expired(_number, _frame):
        raise TimeoutError(f"not done after {seconds} seconds")
    signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds * PATIENCE)


def crashed(kind, value, trace):
    """Without a plan at its end, prove takes the test as failed."""
    diag("".join(traceback.format_exception(kind, value, trace)))


def terminated(_number, _frame):
    sys.exit(1)  # through atexit, which ends what the test has started


sys.excepthook = crashed
signal.signal(signal.SIGTERM, terminated)
