#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The delegated scope of the actors: how it is made, who ends what is in it, and that it comes back."""

import case

UNIT, SCOPE, SLICE = 'arbiter.service', 'arbiter-system-actors.scope', 'arbiter-system.slice'
DROP_IN = '/run/systemd/system/%s.d/test.conf'
KEEPER = 'arbiter-keeper.service'


class Scope(case.Case):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.run_in, 'sh', '-ec', 'systemctl stop %s; systemctl reset-failed; rm -f /etc/arbiter/*.monitor %s %s; '
                        'systemctl daemon-reload' % (UNIT, DROP_IN % UNIT, DROP_IN % KEEPER))
        self.write('/etc/arbiter/nap.monitor', '[Monitor]\nWorkers=2\n[Actor]\nUser=nobody\nExec=/bin/sleep 1000\n')

    def set_up_service(self, text, unit=UNIT):
        self.write(DROP_IN % unit, '[Service]\n' + text)
        self.run_in('systemctl', 'daemon-reload')

    def start(self):
        self.run_in('systemctl', 'start', UNIT)

    def pids(self):
        return sorted(a['pid'] for a in self.actors().values() if a['pid'])

    def kill_daemon(self):
        self.box.kill(self.box.property(UNIT, 'MainPID'), 9)

    def sleepers(self):
        return sorted(map(int, self.out('pgrep', '-x', 'sleep', check=False).split()))

    def test_what_it_is(self):
        self.start()
        expected = {'Delegate': 'yes', 'OOMPolicy': 'continue', 'CollectMode': 'inactive-or-failed', 'Slice': SLICE,
                    'TasksMax': 'infinity', 'TimeoutStopUSec': '5s'}
        self.assertEqual({name: self.box.property(SCOPE, name) for name in expected}, expected)
        # At a shutdown it is stopped when the arbiter has stopped its actors.
        self.assertIn(UNIT, self.box.property(SCOPE, 'Before').split())
        group = self.box.property(SCOPE, 'ControlGroup')
        self.assertEqual(self.out('cat', '/sys/fs/cgroup%s/cgroup.procs' % group), '')  # a level without processes
        leaves = self.cgroups(group)
        self.assertEqual(len(leaves), 3, leaves)
        self.assertIn('arbiter-logger', leaves)

    def test_it_waits_for_the_slowest(self):
        self.write('/etc/arbiter/slow.monitor', '[Monitor]\n[Actor]\nUser=nobody\nExec=/bin/sleep 1000\nTimeoutStopSec=20s\n')
        self.start()
        self.assertEqual(self.box.property(SCOPE, 'TimeoutStopUSec'), '20s')

    def test_no_bus_is_needed(self):
        self.set_up_service('Environment=DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent\n')
        self.start()
        self.assertEqual(self.box.property(SCOPE, 'ActiveState'), 'active')

    def test_an_arbiter_that_dies_for_good(self):
        """Programs that know nothing of arbiter do not run on without supervision."""
        self.set_up_service('Restart=no\n')
        self.start()
        self.assertEqual(self.sleepers(), self.pids())
        cursor = self.box.cursor()
        self.kill_daemon()
        self.box.wait_for_entry(cursor, '_PID=1', 'UNIT=' + SCOPE, 'MESSAGE_ID=9d1aaa27d60140bd96365438aad20286')  # stopped
        self.assertEqual(self.sleepers(), [])
        self.assertEqual(self.box.property(UNIT, 'ActiveState'), 'failed')

    def test_leftovers_are_stopped_first(self):
        """Nobody has cleaned up: the next start does, and says so."""
        self.set_up_service('Restart=no\nExecStopPost=\n')
        self.set_up_service('ExecStopPost=\n', KEEPER)
        self.start()
        old = self.pids()
        self.kill_daemon()
        self.box.wait_for(lambda: self.box.property(UNIT, 'ActiveState') == 'failed', 'the end of the arbiter')
        self.assertEqual(self.sleepers(), old)
        self.run_in('systemctl', 'reset-failed', UNIT)
        cursor = self.box.cursor()
        self.start()
        self.box.wait_for_entry(cursor, '_SYSTEMD_UNIT=' + UNIT, predicate=lambda e: 'is there already' in e['MESSAGE'])
        new = self.pids()
        self.assertEqual(len(new), 2)
        self.assertEqual(self.sleepers(), new)
        self.assertFalse(set(old) & set(new))

    def test_it_comes_back(self):
        """Stopped by an administrator: the actors are started again, in a new one."""
        self.start()
        invocation = self.box.property(SCOPE, 'InvocationID')
        cursor = self.box.cursor()
        self.run_in('systemctl', 'stop', SCOPE)
        self.box.wait_for_entry(cursor, '_SYSTEMD_UNIT=' + UNIT, predicate=lambda e: 'is made anew' in e['MESSAGE'])
        self.assertNotIn(self.box.property(SCOPE, 'InvocationID'), ('', invocation))
        self.ctl('wait', 'nap', 'running')
        group = self.box.property(SCOPE, 'ControlGroup')
        for pid in self.pids():
            self.assertIn(group + '/', self.out('cat', '/proc/%d/cgroup' % pid))

    def test_it_is_refused(self):
        """An arbiter that may not have a scope does without, and says so."""
        self.write('/etc/arbiter/nap.monitor', '[Monitor]\nWorkers=2\n[Actor]\nExec=/bin/sleep 1000\n')
        self.set_up_service('User=bob\n')
        self.start()
        self.assertRegex(self.box.property(UNIT, 'StatusText'), '; without cgroups: .*authentication')
        pids = self.out('cat', '/sys/fs/cgroup%s/cgroup.procs' % self.box.property(UNIT, 'ControlGroup')).split()
        self.assertLessEqual(set(map(str, self.sleepers())), set(pids))
        self.assertEqual(len(self.sleepers()), 2)
        self.run_in('systemctl', 'stop', UNIT)
        self.assertEqual(self.sleepers(), [])

    def test_an_arbiter_that_runs_keeps_its_actors(self):
        self.start()
        pids = self.pids()
        self.assertIn('runs in /run/arbiter already', self.run_in('arbiterd', '--system', '--stop-actors', check=2).stderr)
        self.assertEqual(self.sleepers(), pids)

    def test_a_user_s_arbiter_refuses_other_users(self):
        etc = '/home/alice/.config/arbiter'
        self.run_in('sh', '-ec', 'mkdir -p "$1"; printf "[Monitor]\\n[Actor]\\nUser=nobody\\nExec=/bin/sleep 1\\n" >"$1/bad.monitor"',
                    'sh', etc, user='alice')
        self.addCleanup(self.run_in, 'rm', '-r', etc)
        self.addCleanup(self.run_in, 'systemctl', '--user', 'stop', UNIT, user='alice')
        self.run_in('systemctl', '--user', 'start', UNIT, user='alice')
        self.assertIn('bad.monitor has errors', self.box.property(UNIT, 'StatusText', user='alice'))


if __name__ == '__main__':
    case.main()
