#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many clients on D-Bus, and such as mean no good: see hostile.py, which runs in the box."""

import os

import case

class Hostile(case.Service):
    def setUp(self):
        super().setUp()
        for name in 'peer.py', 'hostile.py':
            self.box.copy(os.path.join(case.boxes.HERE, name), '/tmp/' + name)
        self.nap()
        self.squares()
        self.monitor('stubborn', "Exec=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1000; done'\nTimeoutStopSec=500ms\n")
        self.start()
        self.ctl('wait', 'squares.1', 'running')
        self.ctl('wait', 'squares.2', 'running')

    def attack(self, socket, kind, user=None):
        pid = self.pid()
        p = self.run_in('/usr/bin/python3', '/tmp/hostile.py', socket, kind, str(pid), user=user, check=False, timeout=200)
        print(p.stdout, end='', flush=True)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertEqual(self.pid(), pid)

    def test_private(self):
        self.attack('/run/arbiter/private', 'private')

    def test_system(self):
        self.attack('/run/dbus/system_bus_socket', 'system')

    def test_unprivileged(self):
        self.attack('/run/dbus/system_bus_socket', 'system', 'bob')


if __name__ == '__main__':
    case.main()
