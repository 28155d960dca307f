#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many clients on D-Bus, and such as mean no good: see hostile.py, which runs in the box."""

import os

import case

ETC, RUN, UNIT = '/tmp/hostile', '/run/hostile', 'hostile-test.service'


class Hostile(case.Case):
    def setUp(self):
        super().setUp()
        for name in 'peer.py', 'hostile.py':
            self.box.copy(os.path.join(case.boxes.HERE, name), '/tmp/' + name)
        self.box.copy(os.path.join(self.box.build, 'examples/squares.so'), '/tmp/squares.so', 0o755)

    def attack(self, socket, kind, pid):
        p = self.run_in('/usr/bin/python3', '/tmp/hostile.py', socket, kind, str(pid), check=False, timeout=200)
        print(p.stdout, end='', flush=True)
        self.assertEqual(p.returncode, 0, p.stderr)

    def test_private(self):
        self.write(ETC + '/nap.monitor', '[Monitor]\nWorkers=2\n[Actor]\nUser=root\nExec=/bin/sleep 1000\n')
        self.write(ETC + '/squares.monitor', '[Monitor]\nWorkers=2\n[Actor]\nUser=root\nModule=/tmp/squares.so\n')
        self.write(ETC + '/stubborn.monitor', "[Actor]\nUser=root\nExec=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1000; done'\n"
                   'TimeoutStopSec=500ms\n')
        self.run_in('systemd-run', '--unit=' + UNIT, '-p', 'Delegate=yes', 'arbiterd', '--config-dir=' + ETC,
                    '--runtime-dir=' + RUN)
        self.addCleanup(self.run_in, 'systemctl', 'stop', UNIT)
        self.box.wait_for_entry(self.cursor, '_SYSTEMD_UNIT=' + UNIT, predicate=lambda e: '3 monitors and' in e['MESSAGE'])
        pid = self.box.property(UNIT, 'MainPID')
        self.attack(RUN + '/private', 'private', pid)
        self.assertEqual(self.box.property(UNIT, 'MainPID'), pid)


if __name__ == '__main__':
    case.main()
