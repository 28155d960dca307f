#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""However a box ends, nothing of it is left: no process, no cgroup, no file, no mount.

test-box.py --bus=daemon|broker BUILD_DIRECTORY [unittest arguments]
"""

import json
import os
import select
import signal
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
import box as boxes
import case

BUILD = os.path.abspath(sys.argv[2])
# A harness that says what it has, and then waits for its end.
HARNESS = '''
import json, signal, sys
sys.path.insert(0, %r)
sys.dont_write_bytecode = True
import box
with box.Box(sys.argv[1], sys.argv[2]) as b:
    b.popen(["sleep", "1000"])
    print(json.dumps({"guard": b.guard.pid, "init": b.pid, "directory": b.directory, "cgroup": b.cgroup}), flush=True)
    sys.stdin.readline()
    sys.exit(7)
''' % boxes.HERE


class End(unittest.TestCase):
    def setUp(self):
        self.harness = subprocess.Popen([sys.executable, '-c', HARNESS, BUILD, sys.argv[1][len('--bus='):]],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.harness.stdout.close)
        self.addCleanup(self.harness.wait)
        self.addCleanup(self.harness.stdin.close)
        self.has = json.loads(self.harness.stdout.readline())
        self.ends = {}
        for name in 'guard', 'init':
            self.ends[name] = os.pidfd_open(self.has[name])
            self.addCleanup(os.close, self.ends[name])
        for name in 'directory', 'cgroup':
            self.assertTrue(os.path.isdir(self.has[name]), name)

    def gone(self):
        for name, fd in self.ends.items():
            self.assertTrue(select.select([fd], [], [], boxes.PATIENCE)[0], name)
        for name in 'directory', 'cgroup':
            self.assertFalse(os.path.exists(self.has[name]), name)
        with open('/proc/self/mounts', encoding='utf-8') as f:
            self.assertNotIn('arbiter-box', f.read())

    def test_in_order(self):
        self.harness.stdin.write('\n')
        self.harness.stdin.flush()
        self.assertEqual(self.harness.wait(boxes.PATIENCE), 7)
        self.gone()

    def test_harness_killed(self):
        self.harness.kill()
        self.gone()

    def test_interrupted(self):
        self.harness.send_signal(signal.SIGINT)
        self.gone()

    def test_powered_off(self):
        os.kill(self.has['init'], signal.SIGKILL)
        self.gone()

    def test_guard_killed(self):
        """The box dies with it; the next guard sweeps."""
        os.kill(self.has['guard'], signal.SIGKILL)
        self.assertTrue(select.select([self.ends['init']], [], [], boxes.PATIENCE)[0])
        self.harness.kill()
        self.harness.wait()
        with boxes.Box(BUILD, sys.argv[1][len('--bus='):]):
            self.gone()


class Commands(unittest.TestCase):
    def test_no_end(self):
        """Who reads the log of a failure must see what a command was at."""
        with boxes.Box(None, sys.argv[1][len('--bus='):]) as box:
            process = box.popen(['sh', '-c', 'echo there; exec sleep 1000'])
            process.line()
            self.assertRegex(boxes.whereabouts(process.leaf), r'^In its cgroup: (sh|sleep) at \w+; load: [\d.]+ .*\.$')
            with self.assertRaisesRegex(boxes.Failed, r'^sh -c .*: no end in 3 s\. In its cgroup: .*; load: .*\.\n'):
                box.run(['sh', '-c', 'echo hello; exec sleep 1000'], timeout=3)


if __name__ == '__main__':
    case.skip()
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
