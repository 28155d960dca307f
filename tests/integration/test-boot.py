#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The box itself, and an arbiterd in it that systemd knows as any program: a transient service with a delegated cgroup."""

import re

import case

UNIT, ETC, RUN = 'standalone.service', '/tmp/standalone', '/run/standalone'


class Machine(case.Case):
    def test_is_running(self):
        self.assertEqual(self.out('systemctl', '--failed', '--no-legend', '--plain'), '')
        self.assertEqual(self.out('systemctl', 'is-system-running'), 'running\n')

    def test_bus(self):
        owner = self.out('systemctl', 'show', '--value', '-p', 'Id', 'dbus.service').strip()
        self.assertEqual(owner, {'daemon': 'dbus.service', 'broker': 'dbus-broker.service'}[self.box.bus])
        self.assertIn('org.freedesktop.login1', self.out('busctl', 'list', '--acquired'))
        self.assertIn('org.freedesktop.DBus', self.out('busctl', '--user', 'list', '--acquired', user='alice'))

    def test_polkit(self):
        """It runs, and knows root from others."""
        self.run_in('busctl', 'call', 'org.freedesktop.login1', '/org/freedesktop/login1', 'org.freedesktop.login1.Manager',
                    'CanPowerOff')
        refused = self.run_in('systemctl', '--no-ask-password', 'stop', 'systemd-logind.service', user='bob', check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertEqual(self.box.property('polkit.service', 'ActiveState'), 'active')

    def test_user_manager(self):
        self.assertEqual(self.out('systemctl', '--user', 'is-system-running', user='alice'), 'running\n')
        self.assertEqual(self.out('systemd-run', '--user', '--pipe', '--wait', '--quiet', 'id', '-un', user='alice'), 'alice\n')

    def test_outside_is_out_of_reach(self):
        self.assertNotEqual(self.run_in('sh', '-c', 'echo 1 >/proc/sys/kernel/panic', check=False).returncode, 0)
        self.assertEqual(self.out('ps', '-o', 'comm=', '-p', '1'), 'systemd\n')
        self.assertEqual(self.out('sh', '-c', 'ls /sys/class/net'), 'lo\n')


class Standalone(case.Case):
    def setUp(self):
        super().setUp()
        self.write(ETC + '/nap.monitor', '[Monitor]\nWorkers=2\n[Actor]\nUser=root\nExec=/bin/sleep 1000\n')
        self.run_in('systemd-run', '--unit=' + UNIT, '-p', 'Delegate=yes', 'arbiterd', '--config-dir=' + ETC,
                    '--runtime-dir=' + RUN)
        self.addCleanup(self.stop)
        self.running('nap.1')
        self.running('nap.2')

    def running(self, name, cursor=None):
        entry = self.box.wait_for_entry(cursor or self.cursor, '_SYSTEMD_UNIT=' + UNIT,
                                        predicate=lambda e: name + ' is running' in e['MESSAGE'])
        return int(re.search(r'pid (\d+)', entry['MESSAGE']).group(1))

    def stop(self):
        self.run_in('systemctl', 'stop', UNIT)
        self.assertEqual(self.run_in('pgrep', '-x', 'sleep', check=1).stdout, '')
        self.assertEqual(self.out('systemctl', '--failed', '--no-legend', '--plain'), '')

    def test_leaves(self):
        actors = self.actors('--runtime-dir=' + RUN)
        self.assertEqual(sorted(actors), ['nap.1', 'nap.2'])
        path = self.box.property(UNIT, 'ControlGroup')
        leaves = self.cgroups(path)
        for actor in actors.values():
            leaf, = [leaf for leaf in leaves if leaf.endswith('%s.%s' % (actor['name'], actor['aid']))]
            self.assertEqual(self.out('cat', '/sys/fs/cgroup%s/%s/cgroup.procs' % (path, leaf)).split(), [str(actor['pid'])])

    def test_status(self):
        status = self.ctl('--runtime-dir=' + RUN, 'status').stdout
        self.assertRegex(status, r'nap .*2 of 2 running')
        self.assertIn('nap.1', status)
        self.assertIn(UNIT, self.out('systemctl', 'status', UNIT))

    def test_replaced(self):
        before = self.actors('--runtime-dir=' + RUN)
        cursor = self.box.cursor()
        self.box.kill(before['nap.2']['pid'], 9)
        pid = self.running('nap.2', cursor)
        after = self.actors('--runtime-dir=' + RUN)
        self.assertEqual(after['nap.2']['pid'], pid)
        self.assertNotEqual(after['nap.2']['aid'], before['nap.2']['aid'])
        self.assertEqual(after['nap.1']['aid'], before['nap.1']['aid'])
        self.assertEqual(self.monitors('--runtime-dir=' + RUN)['nap']['restarts'], 1)


if __name__ == '__main__':
    case.main()
