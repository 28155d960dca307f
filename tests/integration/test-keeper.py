#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""arbiter-keeper.service: it is there as long as its arbiter may come back, and when that does not, nothing is left."""

import os

import case

PEER = '/usr/local/lib/keeper_peer.py'
# Nobody but the keeper cleans up.
ALONE = 'ExecStopPost=\n'


class Keeper(case.Service):
    """Of one instance. What a test has changed of the units is changed back when all of it is over."""

    SOCKET = '/run/arbiter.keeper/system/socket'
    UNITS, USER = '/run/systemd/system', None

    def setUp(self):
        super().setUp()
        self.box.copy(os.path.join(case.boxes.HERE, 'keeper_peer.py'), PEER)
        self.units = set()
        self.addCleanup(self.restore)

    def systemctl(self, *argv, **options):
        return self.run_in('systemctl', *(['--user'] if self.USER else []), *argv, user=self.USER, **options)

    def property(self, name, unit=None):
        return self.box.property(unit or self.UNIT, name, user=self.USER)

    def set_up_unit(self, text, unit=None):
        """text: of the section [Service]."""
        path = '%s/%s.d/test.conf' % (self.UNITS, unit or self.UNIT)
        self.units.add(path)
        self.write(path, '[Service]\n' + text, owner=self.USER or 'root')
        self.systemctl('daemon-reload')

    def restore(self):
        self.systemctl('stop', self.UNIT)
        self.systemctl('reset-failed')
        self.keeper_ends()
        for path in self.units:
            self.run_in('rm', path)
        self.systemctl('daemon-reload')

    def stop(self):
        """Of the base: before ours."""

    def start(self):
        self.systemctl('start', self.UNIT)

    def keeper_ends(self):
        self.box.wait_for(lambda: self.property('ActiveState', self.KEEPER) == 'inactive', 'the end of the keeper')

    def keeper(self):
        return int(self.property('MainPID', self.KEEPER))

    def pid(self):
        return int(self.property('MainPID'))

    def naps(self):
        """Programs that know nothing of arbiter, and hold on to life."""
        self.monitor('nap', 'Exec=/bin/sh -c "trap : TERM; while :; do sleep 1000; done"\nTimeoutStopSec=1s\n', 'Workers=2\n')

    def kill(self, unit=None):
        self.systemctl('kill', '--signal=KILL', '--kill-whom=main', unit or self.UNIT)

    def put(self, *names):
        peer = self.box.popen(['/usr/bin/python3', PEER, self.SOCKET, 'put', *names], user=self.USER)
        peer.expect('^kept$')
        return peer

    def kept(self):
        """Nothing, too, where there is no keeper."""
        return self.run_in('/usr/bin/python3', PEER, self.SOCKET, 'list', user=self.USER, check=False).stdout.split()

    def gone(self):
        """All that was left, and the keeper."""
        self.keeper_ends()
        self.box.wait_for(lambda: self.property('ActiveState', self.SCOPE) == 'inactive', 'the end of the scope')
        self.assertEqual(self.workers(), [])


class Life(Keeper):
    def test_what_it_is(self):
        self.start()
        self.assertEqual(self.property('ActiveState', self.KEEPER), 'active')
        self.assertEqual(self.out('stat', '-c', '%a %U', self.SOCKET, os.path.dirname(self.SOCKET)), '600 root\n700 root\n')
        status = self.out('cat', '/proc/%d/status' % self.keeper())
        self.assertRegex(status, r'(?m)^CapEff:\t0+$')
        self.assertRegex(status, r'(?m)^NoNewPrivs:\t1$')
        self.assertRegex(status, r'(?m)^Seccomp:\t2$')
        limits = self.out('cat', '/proc/%d/limits' % self.keeper())
        self.assertRegex(limits, r'(?m)^Max open files +(\d+) +\1 ')
        self.assertEqual(self.property('Slice', self.KEEPER), 'arbiter.slice')

    def test_it_stays_with_restarts(self):
        self.start()
        keeper = self.keeper()
        self.assertIn('state', self.kept())
        self.systemctl('restart', self.UNIT)
        pid = self.pid()
        self.kill()
        self.box.wait_for(lambda: self.pid() not in (0, pid) and self.property('ActiveState') == 'active', 'the next arbiter')
        self.assertEqual(self.keeper(), keeper)
        self.assertIn('state', self.kept())
        peer = self.put('test.1')
        self.systemctl('stop', self.UNIT)
        peer.expect('^test.1 closed$')
        self.keeper_ends()
        self.assertEqual(self.property('Result', self.KEEPER), 'success')

    def test_stop_and_start(self):
        """The keeper is about to end, has just ended, or does not know yet: whenever a start comes, there is one."""
        self.nap()
        self.start()
        for i in range(40):
            self.run_in('sh', '-ec', 'systemctl stop "$1"; sleep "$2"; systemctl start "$1"', 'sh', self.UNIT, '0.%03d' % (i // 2))
            self.box.wait_for(lambda: 'state' in self.kept(), 'a keeper that has what it is to keep')
            self.assertEqual(len(self.workers()), 2)
        self.assertEqual(self.property('Result', self.KEEPER), 'success')

    def test_it_is_killed(self):
        """It is started again, and neither arbiter nor actors notice."""
        self.nap()
        self.start()
        pid, workers, keeper = self.pid(), self.workers(), self.keeper()
        cursor = self.box.cursor()
        peer = self.put('test.1')
        self.kill(self.KEEPER)
        peer.expect('^test.1 closed$')
        self.box.wait_for(lambda: self.keeper() not in (0, keeper), 'the next keeper')
        self.box.wait_for_entry(cursor, '_PID=%d' % pid, predicate=lambda e: 'has what it is to keep' in e['MESSAGE'])
        self.assertEqual((self.pid(), self.workers()), (pid, workers))
        self.assertIn('state', self.kept())
        self.assertNotIn('test.1', self.kept())

    def test_it_hangs(self):
        """It is replaced, and the next one is given all."""
        self.monitor('squares', 'Module=/usr/local/lib/squares.so\n')
        self.box.copy(os.path.join(self.box.build, 'examples/squares.so'), '/usr/local/lib/squares.so', 0o755)
        self.set_up_unit('WatchdogSec=1s\n', self.KEEPER)
        self.start()
        self.ctl('wait', 'squares', 'running')
        pid, workers, keeper = self.pid(), self.workers(), self.keeper()
        cursor = self.box.cursor()
        self.run_in('kill', '-STOP', str(keeper))
        self.box.wait_for_entry(cursor, '_PID=%d' % pid, predicate=lambda e: 'has what it is to keep' in e['MESSAGE'])
        self.assertNotIn(self.keeper(), (0, keeper))
        self.crash()
        self.assertEqual(self.workers(), workers)
        self.assertEqual(len(workers), 1)

    def test_both_are_restarted(self):
        """One right after the other: the arbiter may not have found the next keeper yet."""
        self.monitor('squares', 'Module=/usr/local/lib/squares.so\n', 'Workers=2\n')
        self.box.copy(os.path.join(self.box.build, 'examples/squares.so'), '/usr/local/lib/squares.so', 0o755)
        self.start()
        self.ctl('wait', 'squares', 'running')
        lives = {name: (a['aid'], a['pid']) for name, a in self.actors().items()}
        for _ in range(3):
            self.run_in('sh', '-ec', 'systemctl restart "$1"; systemctl restart "$2"', 'sh', self.KEEPER, self.UNIT)
            self.assertEqual({name: (a['aid'], a['pid']) for name, a in self.actors().items()}, lives)

    def test_it_is_stopped(self):
        self.nap()
        self.start()
        pid, workers = self.pid(), self.workers()
        self.systemctl('stop', self.KEEPER)
        self.assertEqual((self.pid(), self.workers()), (pid, workers))
        self.systemctl('start', self.KEEPER)
        self.assertEqual(self.property('ActiveState', self.KEEPER), 'active')
        self.assertEqual(self.pid(), pid)

    def test_by_hand(self):
        """Without an arbiter that is to come it has nothing to do."""
        self.systemctl('start', self.KEEPER)
        self.keeper_ends()

    def test_others_cannot_reach_it(self):
        self.start()
        self.run_in('/usr/bin/python3', PEER, self.SOCKET, 'list', user='alice', check=1)

    def test_many(self):
        """The descriptors of 3,000 actors."""
        self.start()
        out = self.out('/usr/bin/python3', PEER, self.SOCKET, 'many', '12000')
        print(out.strip())
        self.assertGreaterEqual(int(out.partition(':')[0]), 12000)


class End(Keeper):
    def test_an_arbiter_that_dies_for_good(self):
        self.naps()
        self.set_up_unit('Restart=no\n' + ALONE)
        self.start()
        self.assertGreater(len(self.workers()), 0)
        peer = self.put('test.1')
        self.kill()
        peer.expect('^test.1 closed$')
        self.gone()
        self.assertEqual(self.property('ActiveState'), 'failed')

    def test_a_start_limit(self):
        self.naps()
        self.set_up_unit(ALONE + '[Unit]\nStartLimitBurst=1\nStartLimitIntervalSec=1h\n')
        self.start()
        cursor = self.box.cursor()
        self.kill()
        self.entry('_PID=1', 'UNIT=' + self.UNIT, cursor=cursor, predicate=lambda e: 'repeated too quickly' in e['MESSAGE'])
        self.gone()
        self.assertEqual(self.property('ActiveState'), 'failed')

    def test_stop_between_two_starts(self):
        self.naps()
        self.set_up_unit('RestartSec=1h\n' + ALONE)
        self.start()
        keeper = self.keeper()
        self.kill()
        self.box.wait_for(lambda: self.property('SubState') == 'auto-restart', 'the death of the arbiter')
        self.assertGreater(len(self.workers()), 0)
        self.assertEqual(self.keeper(), keeper)
        self.systemctl('stop', self.UNIT)
        self.gone()
        self.assertEqual(self.property('ActiveState'), 'inactive')

    def test_units_too(self):
        self.monitor('web', 'Exec=/bin/sleep 1000\nConcurrency=unit\n', 'Workers=3\n')
        self.set_up_unit('Restart=no\n' + ALONE)
        self.start()
        self.ctl('wait', 'web', 'running')
        self.assertEqual(len(self.workers()), 3)
        self.kill()
        self.gone()
        self.assertEqual(self.out('systemctl', 'list-units', '--no-legend', '--plain', 'arbiter-system-*.service'), '')

    def test_instances_of_templates_too(self):
        """They do not look like ours: only their processes tell. Those of others, and what has ended, are left alone."""
        self.write('/run/systemd/system/mine@.service', '[Service]\nUser=nobody\nExecStart=/bin/sleep 1000\n')
        self.write('/run/systemd/system/other@.service', '[Service]\nExecStart=/bin/sleep 1000\n')
        self.units |= {'/run/systemd/system/mine@.service', '/run/systemd/system/other@.service'}
        self.set_up_unit('Restart=no\n' + ALONE)
        self.systemctl('start', 'mine@1', 'mine@2', 'mine@3', 'other@1')
        self.addCleanup(self.systemctl, 'stop', 'mine@*', 'other@1')
        self.start()
        for i in '12':
            pid = self.property('MainPID', 'mine@' + i)
            self.run_in('/usr/bin/python3', PEER, self.SOCKET, 'pidfd', 'u.%s' % i, pid)
        self.run_in('/usr/bin/python3', PEER, self.SOCKET, 'pidfd', 'x.1', self.property('MainPID', 'other@1'))
        self.run_in('/usr/bin/python3', PEER, self.SOCKET, 'pidfd', 'u.me', str(self.pid()))
        self.systemctl('restart', 'mine@2')
        self.kill()
        self.keeper_ends()
        self.box.wait_for(lambda: self.property('ActiveState', 'mine@1') == 'inactive', 'the end of the instance')
        self.assertEqual([self.property('ActiveState', u) for u in ('mine@2', 'mine@3', 'other@1')], ['active'] * 3)

    def test_both_are_killed(self):
        """Whether they are found again or started anew: each is there once, and supervised."""
        self.monitor('nap', 'Exec=/bin/sleep 1000\n', 'Workers=20\n')
        self.start()
        for _ in range(5):
            pid, keeper = self.pid(), self.keeper()
            self.run_in('kill', '-KILL', str(keeper), str(pid))
            self.box.wait_for(lambda: self.pid() not in (0, pid) and self.property('ActiveState') == 'active', 'the next arbiter')
            self.ctl('wait', 'nap', 'running')
            self.assertEqual(self.workers(), sorted(a['pid'] for a in self.actors().values()))
            self.assertEqual(len(self.workers()), 20)
            self.box.wait_for(lambda: 'state' in self.kept(), 'a keeper that has what it is to keep')

    def test_an_arbiter_that_cannot_stop(self):
        """SIGSTOP, then systemctl stop: systemd kills it in the end, and the rest goes, too."""
        self.naps()
        self.set_up_unit('TimeoutStopSec=1s\n' + ALONE)
        self.start()
        self.run_in('kill', '-STOP', str(self.pid()))
        self.systemctl('stop', self.UNIT)
        self.gone()

    def test_the_slice_is_killed(self):
        self.naps()
        self.set_up_unit('Restart=no\n' + ALONE)
        self.set_up_unit('Restart=no\n' + ALONE, self.KEEPER)
        self.start()
        self.systemctl('kill', '--signal=KILL', 'arbiter.slice')
        self.box.wait_for(lambda: not self.workers(), 'the end of all')

    def test_no_bus_is_needed(self):
        self.naps()
        self.set_up_unit('Restart=no\n' + ALONE)
        self.set_up_unit('Environment=DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent\n', self.KEEPER)
        self.start()
        self.kill()
        self.gone()

    def test_systemd_is_executed_anew(self):
        self.nap()
        self.start()
        keeper = self.keeper()
        for _ in range(3):
            self.systemctl('daemon-reexec')
            self.systemctl('daemon-reload')
        self.systemctl('restart', self.UNIT)
        self.assertEqual(self.keeper(), keeper)
        self.systemctl('stop', self.UNIT)
        self.keeper_ends()


class Instance(Keeper):
    """arbiter@NAME of a name that is escaped in units."""

    UNIT, KEEPER = 'arbiter@my-app.service', 'arbiter-keeper@my-app.service'
    SOCKET, SCOPE = '/run/arbiter.keeper/my-app/socket', r'arbiter-my\x2dapp-actors.scope'
    ETC = '/etc/arbiter/instance/my-app'

    def test_life(self):
        self.naps()
        self.set_up_unit('RestartSec=1h\n' + ALONE)
        self.start()
        keeper = self.keeper()
        self.systemctl('restart', self.UNIT)
        self.assertEqual(self.keeper(), keeper)
        self.assertIn('state', self.kept())
        peer = self.put('test.1')
        self.assertEqual(self.box.property('arbiter-keeper.service', 'ActiveState'), 'inactive')
        self.assertGreater(len(self.workers()), 0)
        self.kill()
        self.systemctl('stop', self.UNIT)
        peer.expect('^test.1 closed$')
        self.gone()


class User(Keeper):
    ETC, UNITS, USER = '/home/alice/.config/arbiter', '/run/user/2000/systemd/user', 'alice'
    SOCKET, SCOPE = '/run/user/2000/arbiter.keeper/user/socket', 'arbiter-user-actors.scope'

    def workers(self):
        return sorted(map(int, self.run_in('pgrep', '-u', 'alice', '-x', 'sleep', check=False).stdout.split()))

    def naps(self):
        self.write(self.ETC + '/nap.monitor', '[Monitor]\nWorkers=2\n[Actor]\nExec=/bin/sleep 1000\n')

    def test_life(self):
        self.naps()
        self.set_up_unit('RestartSec=1h\n' + ALONE)
        self.start()
        keeper = self.keeper()
        self.systemctl('restart', self.UNIT)
        self.assertEqual(self.keeper(), keeper)
        self.assertIn('state', self.kept())
        peer = self.put('test.1')
        self.assertEqual(len(self.workers()), 2)
        self.kill()
        self.box.wait_for(lambda: self.property('SubState') == 'auto-restart', 'the death of the arbiter')
        self.assertEqual(len(self.workers()), 2)
        self.systemctl('stop', self.UNIT)
        peer.expect('^test.1 closed$')
        self.gone()

    def test_it_is_killed(self):
        self.naps()
        self.start()
        pid, keeper, workers = self.pid(), self.keeper(), self.workers()
        self.kill(self.KEEPER)
        self.box.wait_for(lambda: self.keeper() not in (0, keeper), 'the next keeper')
        self.assertEqual((self.pid(), self.workers()), (pid, workers))


if __name__ == '__main__':
    case.main()
