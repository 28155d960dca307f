#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""arbiter.service, arbiter@.service and the service of a user, as systemctl sees them."""

import json

import case


class Verbs(case.Service):
    def test_start(self):
        self.nap(3)
        self.start()
        self.assertEqual(self.property('ActiveState'), 'active')
        # It is ready when the workers are.
        actors = self.actors()
        self.assertEqual([(a['name'], a['state']) for a in actors.values()], [('nap.%d' % i, 'running') for i in (1, 2, 3)])
        self.assertEqual(self.workers(), sorted(a['pid'] for a in actors.values()))

    def test_cgroups(self):
        """The daemon is alone in the cgroup of its service; each worker has a leaf in the delegated scope."""
        self.nap()
        self.start()
        group = self.property('ControlGroup')
        self.assertEqual(self.out('cat', '/sys/fs/cgroup%s/cgroup.procs' % group).split(), [str(self.pid())])
        scope = 'arbiter-system-actors.scope'
        for actor in self.actors().values():
            path = self.cgroup(actor['pid'])
            self.assertRegex(path, r'^/arbiter\.slice/(.*/)?%s/' % scope)
            self.assertIn(actor['aid'], path.split('/')[-1])
        self.assertEqual(self.box.property(scope, 'ActiveState'), 'active')
        self.assertEqual(self.box.property(scope, 'Delegate'), 'yes')
        self.run_in('systemctl', 'stop', self.UNIT)
        self.assertEqual(self.box.property(scope, 'ActiveState'), 'inactive')

    def test_status(self):
        self.nap()
        self.start()
        self.assertRegex(self.property('StatusText'), r'2')
        status = self.out('systemctl', 'status', self.UNIT)
        self.assertIn(self.property('StatusText'), status)
        self.assertIn('nap', self.ctl('status').stdout)

    def test_reload(self):
        """Done when the command is: what is new runs, what is the same was not touched."""
        self.nap()
        self.start()
        before = self.actors()
        self.monitor('late', 'Exec=/bin/sleep 2000\n')
        self.run_in('systemctl', 'reload', self.UNIT)
        after = self.actors()
        self.assertEqual(sorted(after), ['late.1', 'nap.1', 'nap.2'])
        for name in before:
            self.assertEqual(after[name]['aid'], before[name]['aid'])
        self.assertEqual(self.property('ActiveState'), 'active')

    def test_reload_refused(self):
        """A bad file is not loaded; the others are, and the service goes on."""
        self.nap()
        self.start()
        pid, before = self.pid(), self.actors()
        self.monitor('bad', 'Exec=/bin/sleep 1000\nRestart=sometimes\n')
        self.run_in('systemctl', 'reload', self.UNIT, check=False)
        self.entry('_SYSTEMD_UNIT=' + self.UNIT, predicate=lambda e: 'bad.monitor:' in e['MESSAGE'])
        self.assertEqual((self.pid(), self.property('ActiveState')), (pid, 'active'))
        self.assertEqual({n: a['aid'] for n, a in self.actors().items()}, {n: a['aid'] for n, a in before.items()})

    def test_restart(self):
        self.nap()
        self.start()
        pid = self.pid()
        self.run_in('systemctl', 'restart', self.UNIT)
        self.assertNotEqual(self.pid(), pid)
        self.assertEqual(self.workers(), sorted(a['pid'] for a in self.actors().values()))
        self.assertEqual(len(self.workers()), 2)

    def test_stop(self):
        self.nap()
        self.start()
        self.assertEqual(len(self.workers()), 2)
        self.run_in('systemctl', 'stop', self.UNIT)
        self.assertEqual(self.workers(), [])
        self.assertEqual(self.property('Result'), 'success')
        gone = self.ctl('status', check=3)
        self.assertIn('systemctl start arbiter', gone.stderr)

    def test_stubborn(self):
        """They are killed, and systemd does not lose its patience before arbiter does."""
        self.monitor('stubborn', "Exec=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1000; done'\nTimeoutStopSec=1s\n",
                     'Workers=3\n')
        self.start()
        self.run_in('systemctl', 'stop', self.UNIT)
        self.assertEqual(self.workers(), [])
        self.assertEqual(self.property('Result'), 'success')

    def test_shutdown(self):
        """As when the machine goes down: service, scope and slice at once. Workers end by their rule, and stay ended."""
        self.nap()
        self.monitor('slow', "Exec=/bin/sh -c 'trap \"sleep 0.5; exit 0\" TERM; while :; do sleep 0.05; done'\n")
        self.start()
        cursor = self.box.cursor()
        self.run_in('systemctl', 'stop', self.UNIT, 'arbiter-system-actors.scope', 'arbiter.slice')
        told = [e.get('MESSAGE') for e in self.box.entries(cursor, '_SYSTEMD_UNIT=' + self.UNIT)]
        for name in 'nap.1', 'nap.2', 'slow.1':
            self.assertIn(name + ' has ended: shutdown', told)
        self.assertFalse([t for t in told if 'is running' in t], told)
        self.assertEqual(self.property('Result'), 'success')

    def test_nothing_to_run(self):
        """An empty configuration is no failure: files may come later."""
        self.start()
        self.assertEqual(self.property('ActiveState'), 'active')
        self.nap()
        self.run_in('systemctl', 'reload', self.UNIT)
        self.assertEqual(sorted(self.actors()), ['nap.1', 'nap.2'])

    def test_enable(self):
        self.run_in('systemctl', 'enable', self.UNIT)
        self.addCleanup(self.run_in, 'systemctl', 'disable', self.UNIT)
        self.assertEqual(self.out('systemctl', 'is-enabled', self.UNIT).strip(), 'enabled')


class Death(case.Service):
    def back(self, pid):
        """Another one has started instead of that; nobody else's workers are left."""
        self.entry('UNIT=' + self.UNIT, case.UNIT_STARTED, cursor=self.died)
        self.assertNotEqual(self.pid(), pid)
        self.assertEqual(self.property('ActiveState'), 'active')
        actors = self.actors()
        self.assertEqual([(a['name'], a['state']) for a in actors.values()], [('nap.1', 'running'), ('nap.2', 'running')])
        self.box.wait_for(lambda: self.workers() == sorted(a['pid'] for a in actors.values()), 'the end of the old workers')

    def test_killed(self):
        self.nap()
        self.start()
        pid, self.died = self.pid(), self.box.cursor()
        self.box.kill(pid, 9)
        self.back(pid)

    def test_wedged(self):
        """It is stopped, feeds no watchdog, and systemd puts another one in its place."""
        self.write('/run/systemd/system/arbiter.service.d/watchdog.conf', '[Service]\nWatchdogSec=1s\n')
        self.run_in('systemctl', 'daemon-reload')
        self.addCleanup(self.run_in, 'systemctl', 'daemon-reload')
        self.addCleanup(self.run_in, 'rm', '/run/systemd/system/arbiter.service.d/watchdog.conf')
        self.nap()
        self.start()
        self.assertEqual(self.property('WatchdogUSec'), '1s')
        pid, self.died = self.pid(), self.box.cursor()
        self.box.kill(pid, 19)
        self.entry('UNIT=' + self.UNIT, cursor=self.died, predicate=lambda e: 'Watchdog timeout' in e['MESSAGE'])
        self.back(pid)

    def test_watchdog_is_fed(self):
        """An idle one is alive after several times its watchdog: the timer of systemd says so, not a clock here."""
        self.write('/run/systemd/system/arbiter.service.d/watchdog.conf', '[Service]\nWatchdogSec=500ms\n')
        self.run_in('systemctl', 'daemon-reload')
        self.addCleanup(self.run_in, 'systemctl', 'daemon-reload')
        self.addCleanup(self.run_in, 'rm', '/run/systemd/system/arbiter.service.d/watchdog.conf')
        self.nap()
        self.start()
        pid, seen = self.pid(), set()
        while len(seen) < 5:
            seen.add(self.property('WatchdogTimestampMonotonic'))
            self.assertEqual(self.pid(), pid)


class Metrics(case.Service):
    READ = 'import socket; s = socket.socket(socket.AF_UNIX); s.connect("/run/arbiter/metrics"); print(s.makefile().read(), end="")'

    def test_socket(self):
        """Anybody may have the figures; they do not start what was stopped."""
        self.nap()
        self.start()
        text = self.out('/usr/bin/python3', '-c', self.READ, user='bob')
        self.assertRegex(text, r'(?m)^# TYPE arbiter_')
        self.assertTrue(text.endswith('# EOF\n'), text)
        names = {line.split('{')[0].split(' ')[0] for line in text.splitlines() if not line.startswith('#')}
        ours = self.ctl('metrics').stdout
        self.assertEqual({line.split('{')[0].split(' ')[0] for line in ours.splitlines() if not line.startswith('#')}, names)
        self.run_in('systemctl', 'stop', self.UNIT)
        self.assertNotEqual(self.run_in('/usr/bin/python3', '-c', self.READ, user='bob', check=False).returncode, 0)
        self.assertEqual(self.property('ActiveState'), 'inactive')


class Instances(case.Service):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.run_in, 'systemctl', 'stop', 'arbiter@one.service', 'arbiter@two-b.service')

    def test_side_by_side(self):
        self.nap(1)
        self.nap(2, directory=self.ETC + '/instance/one')
        self.monitor('other', 'Exec=/bin/sleep 3000\n', directory=self.ETC + '/instance/two-b')
        self.run_in('systemctl', 'start', self.UNIT, 'arbiter@one.service', 'arbiter@two-b.service')
        names = {'--runtime-dir=/run/arbiter': ['nap.1'], '--runtime-dir=/run/arbiter-one': ['nap.1', 'nap.2'],
                 '--runtime-dir=/run/arbiter-two-b': ['other.1']}
        pids = []
        for where, expected in names.items():
            actors = self.actors(where)
            self.assertEqual(sorted(actors), expected)
            pids += [a['pid'] for a in actors.values()]
        self.assertEqual(sorted(pids), self.workers())
        owned = self.out('busctl', 'list', '--acquired', '--no-legend')
        for name in 'io.arbiter.Arbiter1 ', 'io.arbiter.Arbiter1.one ', 'io.arbiter.Arbiter1.two_2db ':
            self.assertIn(name, owned)
        # The end of one is nothing to the others.
        self.run_in('systemctl', 'stop', 'arbiter@one.service')
        self.assertEqual(len(self.workers()), 2)
        for unit in self.UNIT, 'arbiter@two-b.service':
            self.assertEqual(self.box.property(unit, 'ActiveState'), 'active')
        self.run_in('systemctl', 'stop', 'arbiter@two-b.service')
        self.assertEqual(self.workers(), [self.actors()['nap.1']['pid']])


    def test_no_name(self):
        """As systemd-escape(1) has it. It stays wrong: nothing is tried again."""
        cursor = self.box.cursor()
        units = 'arbiter@my\\x2dx.service', 'arbiter-keeper@my\\x2dx.service'
        self.addCleanup(self.run_in, 'systemctl', 'reset-failed', *units)
        self.run_in('systemctl', 'start', units[0], check=1)
        self.box.wait_for_entry(cursor, 'UNIT=' + units[0], predicate=lambda e: 'Failed with result' in str(e['MESSAGE']))
        for unit in units:
            self.box.wait_for(lambda u=unit: self.box.property(u, 'SubState') == 'failed', 'the end of ' + unit)
            self.assertEqual(self.box.property(unit, 'NRestarts'), '0')


class User(case.Case):
    ETC = '/home/alice/.config/arbiter'

    def test_service(self):
        alice = {'user': 'alice'}
        self.run_in('sh', '-ec', 'mkdir -p "$1"; printf "[Monitor]\\nWorkers=2\\n[Actor]\\nExec=/bin/sleep 1000\\n" >"$1/nap.monitor"',
                    'sh', self.ETC, **alice)
        self.run_in('systemctl', '--user', 'start', 'arbiter.service', **alice)
        self.addCleanup(self.run_in, 'systemctl', '--user', 'stop', 'arbiter.service', **alice)
        actors = self.actors('--user', **alice)
        self.assertEqual(sorted(actors), ['nap.1', 'nap.2'])
        for actor in actors.values():
            self.assertIn('/user@2000.service/', self.out('cat', '/proc/%d/cgroup' % actor['pid']))
            self.assertIn('arbiter-user-actors.scope/', self.out('cat', '/proc/%d/cgroup' % actor['pid']))
        self.assertIn('nap', self.ctl('--user', 'status', **alice).stdout)
        listed = json.loads(self.out('busctl', '--user', '--json=short', 'call', 'io.arbiter.Arbiter1', '/io/arbiter/Arbiter1',
                                     'io.arbiter.Arbiter1.Manager', 'ListActors', **alice))
        self.assertEqual(sorted(a[1] for a in listed['data'][0]), ['nap.1', 'nap.2'])
        self.run_in('systemctl', '--user', 'reload', 'arbiter.service', **alice)
        self.run_in('systemctl', '--user', 'restart', 'arbiter.service', **alice)
        self.assertEqual(sorted(self.actors('--user', **alice)), ['nap.1', 'nap.2'])
        # The user's is no business of others.
        self.assertNotEqual(self.run_in('arbiterctl', '--runtime-dir=/run/user/2000/arbiter', 'status', user='bob', check=False).returncode, 0)
        self.run_in('systemctl', '--user', 'stop', 'arbiter.service', **alice)
        self.run_in('pgrep', '-u', 'alice', '-x', 'sleep', check=1)
        self.assertEqual(self.out('systemctl', '--user', '--failed', '--no-legend', '--plain', **alice), '')

    def test_the_session_ends(self):
        """With all that it runs, its bus among that, and also while systemd waits to start it again. Nothing is wrong about that."""
        bob = {'user': 'bob'}
        self.write('/home/bob/.config/arbiter/nap.monitor', '[Actor]\nExec=/bin/sleep 1000\n', owner='bob')
        self.write('/home/bob/.config/arbiter/unit.monitor', '[Actor]\nConcurrency=unit\nExec=/bin/sleep 1000\n', owner='bob')
        self.addCleanup(self.run_in, 'rm', '-r', '/home/bob/.config')
        for signal in None, 'STOP', 'KILL':
            self.run_in('systemctl', 'start', 'user@2001.service')
            self.run_in('systemctl', '--user', 'start', 'arbiter.service', **bob)
            for name in 'nap', 'unit':
                self.ctl('--user', 'wait', name, 'running', **bob)
            if signal:
                self.run_in('systemctl', '--user', 'kill', '--kill-who=main', '-s', signal, 'arbiter.service', **bob)
            self.run_in('systemctl', 'stop', 'user@2001.service')
            self.run_in('pgrep', '-u', 'bob', check=1)
        entries = self.box.entries(self.cursor, '_UID=2001')
        self.assertEqual({e['ARBITER_REASON'] for e in entries if e.get('ARBITER_NAME') in ('nap.1', 'unit.1') and 'ARBITER_REASON' in e},
                         {'shutdown'})
        self.assertEqual([e['MESSAGE'] for e in entries if int(e['PRIORITY']) <= 3 and e['_COMM'].startswith('arbiter')], [])


if __name__ == '__main__':
    case.main()
