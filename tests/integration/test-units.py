#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Actors as units of systemd (Concurrency=unit): of the system and of a user, programs and modules, how they end, what
systemctl does to them behind the arbiter's back, and what is left of them."""

import json
import os
import re

import case


class Units(case.Case):
    """The arbiter of the system."""

    where, user, etc, instance = (), None, '/etc/arbiter', 'system'

    def systemctl(self, *argv, **options):
        return self.run_in('systemctl', *(['--user'] if self.user else []), *argv, user=self.user, **options)

    def setUp(self):
        super().setUp()
        self.box.copy(os.path.join(self.box.build, 'examples/squares.so'), '/tmp/squares.so', 0o755)
        self.addCleanup(self.stop_all)

    def stop_all(self):
        self.systemctl('stop', 'arbiter.service')
        self.assertEqual(self.units(), {})
        self.run_in('sh', '-c', 'rm -rf %s/*.monitor %s/*.actor' % (self.etc, self.etc))
        self.run_in('systemctl', 'reset-failed')

    def monitor(self, name, actor, workers=1, monitor='', service=''):
        user = '' if self.user else 'User=root\n'
        text = '[Monitor]\nWorkers=%d\n%s[Actor]\nConcurrency=unit\n%s%s%s' % (workers, monitor, user, actor, service)
        self.write('%s/%s.monitor' % (self.etc, name), text, owner=self.user or 'root')

    def start(self):
        self.systemctl('start', 'arbiter.service')

    def arbiterctl(self, *argv, **options):
        return self.ctl(*(['--user'] if self.user else []), *argv, user=self.user, **options)

    def running(self):
        return {a['name']: a for a in json.loads(self.arbiterctl('list-actors', '--json=short').stdout) if a['state'] == 'running'}

    def wait_running(self, n):
        return self.box.wait_for(lambda: (lambda a: a if len(a) == n else None)(self.running()), '%d running' % n)

    def units(self):
        """By name: the load and the active state of what systemd has."""
        out = self.systemctl('list-units', '--all', '--plain', '--no-legend', 'arbiter-%s-*.service' % self.instance).stdout
        return {line.split()[0]: line.split()[1:4] for line in out.splitlines()}

    def unit(self, name):
        monitor, _, number = name.partition('.')
        return 'arbiter-%s-%s%s.service' % (self.instance, monitor.replace('-', '\\x2d'), '-' + number if number else '')

    def show(self, name, prop):
        return self.systemctl('show', '--value', '-p', prop, self.unit(name)).stdout.rstrip('\n')

    def deaths(self, name):
        return json.loads(self.arbiterctl('deaths', name, '--json=short').stdout)

    # What they are

    def test_life(self):
        self.monitor('web', "Exec=/bin/sh -c 'echo hello from $ARBITER_TEST; exec sleep 1000'\nEnvironment=ARBITER_TEST=web\n"
                     'LimitNOFILE=100:200\nNice=3\nUMask=0027\nKillSignal=SIGINT\nTimeoutStopSec=7s\n', workers=2,
                     monitor='Documentation=https://example.com/web file:/web\n')
        self.start()
        actors = self.wait_running(2)
        self.assertEqual({a['concurrency'] for a in actors.values()}, {'unit'})
        self.assertEqual(str(actors['web.1']['pid']), self.show('web.1', 'MainPID'))
        self.assertEqual(self.show('web.1', 'Slice'), 'arbiter-%s-web.slice' % self.instance)
        for prop, value in {'LimitNOFILE': '200', 'LimitNOFILESoft': '100', 'Nice': '3', 'UMask': '0027', 'KillSignal': '2',
                            'TimeoutStopUSec': '7s', 'Restart': 'no', 'Type': 'exec', 'SyslogIdentifier': 'web.1',
                            'CollectMode': 'inactive', 'Documentation': 'https://example.com/web file:/web'}.items():
            self.assertEqual(self.show('web.1', prop), value, prop)
        status = self.systemctl('status', self.unit('web.1')).stdout
        self.assertIn('Actor web.1 of arbiter (%s)' % self.instance, status)
        self.printed(actors)
        self.assertNotIn('ARBITER_MAILBOX', self.show('web.1', 'Environment'))
        self.systemctl('daemon-reload')
        self.assertEqual(self.units()[self.unit('web.1')], ['loaded', 'active', 'running'])
        self.assertEqual({n: a['aid'] for n, a in self.running().items()}, {n: a['aid'] for n, a in actors.items()})

    def printed(self, actors):
        entry = self.box.wait_for_entry(self.cursor, 'ARBITER_MONITOR=web', predicate=lambda e: 'hello' in str(e['MESSAGE']))
        self.assertEqual(entry['MESSAGE'], 'hello from web')
        for field, value in {'ARBITER_INSTANCE': self.instance, 'ARBITER_GENERATION': '1'}.items():
            self.assertEqual(entry[field], value)
        self.assertEqual(entry['ARBITER_AID'], actors[entry['ARBITER_NAME']]['aid'])

    def test_notify(self):
        """Each process of a program may say that it is ready, as where units have nothing to do with it."""
        for name in 'web', 'pro':
            self.monitor(name, "Type=notify\nExec=/bin/sh -c 'systemd-notify --ready --status=here; exec sleep 1000'\n")
        self.run_in('sed', '-i', 's/^Concurrency=unit/Concurrency=process/', self.etc + '/pro.monitor')
        self.start()
        for name, actor in self.wait_running(2).items():
            self.assertEqual(actor['concurrency'], 'process' if name == 'pro.1' else 'unit')
            self.box.wait_for(lambda n=name: 'here' in self.arbiterctl('status', '-n0', n).stdout, 'its status')
        self.assertEqual(self.show('web.1', 'StatusText'), 'here')

    def test_no_files(self):
        """Nothing is written for units, and systemd is not told to read its files again."""
        def files():
            return self.run_in('find', '/etc/systemd', '/run/systemd/system', '/run/systemd/system.control', '/home/alice/.config/systemd',
                               '/run/user/2000/systemd/user', '/run/user/2000/systemd/user.control', '-printf', '%p %T@\n', check=False).stdout

        self.monitor('web', 'Exec=/bin/sleep 1000\n', workers=2, service='[Service]\nMemoryMax=1G\n')
        before = files()
        self.start()
        self.wait_running(2)
        self.arbiterctl('scale', 'web', '4')
        self.arbiterctl('restart', 'web')
        self.arbiterctl('scale', 'web', '1')
        self.wait_running(1)
        self.assertEqual(files(), before)
        self.assertEqual([e for e in self.box.entries(self.cursor, '_COMM=systemd') if 'eloading' in str(e['MESSAGE'])], [])

    def test_linked(self):
        """A program that is linked with libarbiter has its mailbox by standard input, as modules have."""
        self.box.copy(os.path.join(self.box.build, 'examples/primes'), '/usr/local/libexec/primes', 0o755)
        self.monitor('primes', 'Exec=/usr/local/libexec/primes\nType=mailbox\n', workers=2)
        self.start()
        self.wait_running(2)
        self.assertEqual(self.arbiterctl('send', 'primes.2', 'is_prime', 'u', '4294967291').stdout.strip(), 'b true')
        self.arbiterctl('stop', 'primes.1')
        self.assertEqual(self.deaths('primes.1')[0]['reason'], 'shutdown')

    def test_mailbox(self):
        self.monitor('squares', 'Module=/tmp/squares.so\nWatchdogSec=2s\n', workers=2)
        self.start()
        actors = self.wait_running(2)
        self.assertIn('2 sent, 2 received', self.arbiterctl('ping', '-c', '2', 'squares.1').stdout)
        self.assertEqual(self.arbiterctl('send', 'squares.2', 'square', 'x', '7').stdout.strip(), 'x 49')
        self.assertIn('ARBITER_MAILBOX=0', self.show('squares.1', 'Environment'))
        # Its loop feeds systemd's watchdog beside the arbiter's own watch: it lives for several times of it.
        self.box.wait_for(lambda: self.show('squares.1', 'WatchdogTimestampMonotonic') not in ('0', ''), 'a sign of life')
        # Stopped in order, it has not failed.
        cursor = self.box.cursor()
        self.arbiterctl('stop', 'squares.1')
        self.assertEqual([e['MESSAGE'] for e in self.box.entries(cursor) if 'Failed with result' in str(e['MESSAGE'])], [])
        self.assertEqual(self.deaths('squares.1')[0]['reason'], 'shutdown')
        self.assertEqual(self.running()['squares.2']['aid'], actors['squares.2']['aid'])

    def test_watchdogs(self):
        """Either one alone catches a hang."""
        self.monitor('silent', 'Module=/tmp/squares.so\nTimeoutSec=1s\nTimeoutStopSec=1s\n')
        self.monitor('watched', 'Module=/tmp/squares.so\nTimeoutSec=60s\nWatchdogSec=1s\nTimeoutStopSec=1s\n')
        self.start()
        for name, actor in self.wait_running(2).items():
            self.box.kill(actor['pid'], 19)
        self.box.wait_for(lambda: self.deaths('silent.1') and self.deaths('watched.1'), 'two deaths')
        self.assertEqual(self.deaths('silent.1')[0]['reason'], 'silent')
        self.assertEqual(self.deaths('watched.1')[0]['reason'], 'watchdog')
        self.wait_running(2)

    def test_forged(self):
        """The bus delivers what anybody sends to one connection alone: who says that a unit has ended is looked at."""
        if self.user:
            self.skipTest('on the bus of a user there is nobody else')
        self.monitor('web', 'Exec=/bin/sleep 1000\n')
        self.start()
        before = self.wait_running(1)
        unit = self.unit('web.1')
        path = json.loads(self.out('busctl', '--json=short', 'call', 'org.freedesktop.systemd1', '/org/freedesktop/systemd1',
                                   'org.freedesktop.systemd1.Manager', 'GetUnit', 's', unit))['data'][0]
        pid = int(self.systemctl('show', '--value', '-p', 'MainPID', 'arbiter.service').stdout)
        mine = [c['name'] for c in json.loads(self.out('busctl', '--json=short', '--unique', 'list')) if c['pid'] == pid]
        self.assertTrue(mine)
        for name in mine:
            for signal in ((path, 'org.freedesktop.DBus.Properties', 'PropertiesChanged', 'sa{sv}as',
                            'org.freedesktop.systemd1.Unit', '1', 'ActiveState', 's', 'inactive', '0'),
                           ('/org/freedesktop/systemd1', 'org.freedesktop.systemd1.Manager', 'UnitRemoved', 'so', unit, path),
                           ('/org/freedesktop/systemd1', 'org.freedesktop.systemd1.Manager', 'Reloading', 'b', 'true'),
                           ('/org/freedesktop/DBus', 'org.freedesktop.DBus', 'NameOwnerChanged', 'sss',
                            'org.freedesktop.systemd1', ':1.1', '')):
                self.run_in('busctl', '--system', '--destination=' + name, 'emit', *signal, user='bob')
        self.arbiterctl('scale', 'web', '2')  # what systemd says comes behind that
        actors = self.wait_running(2)
        self.assertEqual([(actors['web.1'][k], before['web.1'][k]) for k in ('aid', 'pid')],
                         [(before['web.1'][k], before['web.1'][k]) for k in ('aid', 'pid')])
        self.assertEqual(self.deaths('web.1'), [])
        self.arbiterctl('scale', 'web', '1')

    # How they end

    def test_reasons(self):
        cases = {
            'zero': ("Exec=/bin/sh -c 'exit 0'\n", 'normal', 0),
            'three': ("Exec=/bin/sh -c 'exit 3'\n", 'exit-code', 3),
            'fine': ("Exec=/bin/sh -c 'exit 3'\n", 'normal', 0),
            'usr': ("Exec=/bin/sh -c 'kill -USR1 $$$$'\n", 'signal', 10),
            'term': ("Exec=/bin/sh -c 'kill -TERM $$$$'\n", 'signal', 15),
            'directory': ('Exec=/bin/sleep 1000\nWorkingDirectory=/nowhere\n', 'exit-code', 200),
            'slow': ('Exec=/bin/sleep 1000\nType=notify\nTimeoutStartSec=500ms\n', 'start-timeout', 15),
            'unwatched': ("Exec=/bin/sh -c 'systemd-notify --ready; exec sleep 1000'\nType=notify\nWatchdogSec=500ms\n", 'watchdog', 6),
        }
        for name, (actor, _, _) in cases.items():
            self.monitor(name, actor + 'Restart=temporary\n', service='[Service]\nSuccessExitStatus=3\n' if name == 'fine' else '')
        self.start()
        for name, (_, reason, status) in cases.items():
            self.box.wait_for(lambda n=name: self.deaths(n + '.1'), 'the end of ' + name)
            death = self.deaths(name + '.1')[0]
            self.assertEqual((death['reason'], death['status'] if reason in ('exit-code', 'signal') else None),
                             (reason, status if reason in ('exit-code', 'signal') else None), name)
        self.box.wait_for(lambda: not self.units(), 'no unit')

    def test_start_fails(self):
        """What systemd could not do before there was a process it says in its journal alone: that is where people are sent."""
        self.monitor('pre', 'Exec=/bin/sleep 1000\n', service='[Service]\nExecStartPre=/bin/false\n')
        self.monitor('en-v', 'Exec=/bin/sleep 1000\n', service='[Service]\nEnvironmentFile=/nowhere\n')
        cursor = self.box.cursor()
        self.start()
        option = ' --user' if self.user else ''
        words = {'pre.1': 'Result=exit-code): "journalctl%s -u %s" says why' % (option, self.unit('pre.1')),
                 'en-v.1': 'Result=resources): "journalctl%s -u \'%s\'" says why' % (option, self.unit('en-v.1'))}
        for name, text in words.items():
            self.box.wait_for_entry(cursor, 'ARBITER_NAME=' + name, predicate=lambda e, t=text: t in str(e['MESSAGE']))
            self.assertIn(text, self.arbiterctl('restart', name, check=1).stderr)

    def test_stop_timeout(self):
        self.monitor('stubborn', "Exec=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1000; done'\nTimeoutStopSec=500ms\n")
        self.start()
        self.wait_running(1)
        self.arbiterctl('stop', 'stubborn.1')
        self.assertEqual(self.deaths('stubborn.1')[0]['reason'], 'stop-timeout')
        self.arbiterctl('restart', 'stubborn.1')
        self.wait_running(1)
        self.arbiterctl('kill', '-s', 'KILL', 'stubborn.1')
        self.box.wait_for(lambda: len(self.deaths('stubborn.1')) == 2, 'its end')
        self.assertEqual(self.deaths('stubborn.1')[0]['reason'], 'killed')
        self.wait_running(1)

    # What operators do past the arbiter

    def test_systemctl(self):
        self.monitor('web', 'Exec=/bin/sleep 1000\n', workers=3)
        self.start()
        before = self.wait_running(3)
        self.systemctl('stop', self.unit('web.2'))
        self.wait_running(2)
        why = self.arbiterctl('why', 'web.2').stdout
        self.assertIn('stopped by an operator', why)
        self.assertEqual(self.deaths('web.2')[0]['reason'], 'shutdown')
        self.arbiterctl('restart', 'web.2')
        self.wait_running(3)
        # A crash is none of that.
        self.systemctl('kill', '-s', 'KILL', self.unit('web.1'))
        self.box.wait_for(lambda: self.deaths('web.1'), 'a death')
        self.assertEqual((self.deaths('web.1')[0]['reason'], self.deaths('web.1')[0]['status']), ('signal', 9))
        after = self.wait_running(3)
        self.assertEqual(after['web.3']['aid'], before['web.3']['aid'])
        # A restart is done by the arbiter: a new life, of which it knows.
        self.systemctl('restart', self.unit('web.3'), check=False)
        self.box.wait_for(lambda: self.running().get('web.3', before['web.3'])['aid'] != before['web.3']['aid'], 'a new life')
        actors = self.wait_running(3)
        self.assertEqual(str(actors['web.3']['pid']), self.show('web.3', 'MainPID'))

    def test_last_word(self):
        """"systemctl stop", and "arbiterctl restart" before that is done."""
        # What it does at its end is not ended by the signal that has begun that.
        self.monitor('slow', "Type=notify\nExec=/bin/sh -c 'trap \"sleep 1; exit\" TERM; systemd-notify --ready; while :; do sleep 0.1; done'\n",
                     service='[Service]\nKillMode=mixed\n')
        self.start()
        before = self.wait_running(1)['slow.1']
        self.systemctl('stop', '--no-block', self.unit('slow.1'))
        self.box.wait_for(lambda: self.show('slow.1', 'ActiveState') == 'deactivating', 'its end')
        self.arbiterctl('restart', 'slow.1')
        self.assertNotEqual(self.wait_running(1)['slow.1']['aid'], before['aid'])

    def test_left(self):
        """What KillMode= lets go on keeps the name of its unit from the next one."""
        self.monitor('left', 'Exec=/bin/sh -c "sleep 2000 & exec sleep 1000"\n', service='[Service]\nKillMode=process\n')
        self.start()
        before = self.wait_running(1)['left.1']
        self.arbiterctl('restart', 'left.1')
        self.systemctl('kill', '-s', 'KILL', '--kill-who=main', self.unit('left.1'))
        self.box.wait_for(lambda: len(self.deaths('left.1')) == 2, 'its death')
        self.assertEqual([d['reason'] for d in self.deaths('left.1')], ['signal', 'shutdown'])
        self.assertNotEqual(self.wait_running(1)['left.1']['aid'], before['aid'])
        self.assertEqual(len(self.out('pgrep', '-f', '^sleep 2000$').split()), 1)

    def test_existing(self):
        """A unit of that name which is not ours is an error, and let alone."""
        self.run_in('systemd-run', *(['--user'] if self.user else []), '--unit=' + self.unit('web.1'), 'sleep', '1000', user=self.user)
        pid = self.show('web.1', 'MainPID')
        self.monitor('web', 'Exec=/bin/sleep 1000\nRestart=temporary\n')
        cursor = self.box.cursor()
        self.start()
        self.box.wait_for_entry(cursor, predicate=lambda e: 'there is a unit %s already' % self.unit('web.1') in str(e.get('MESSAGE')))
        self.assertEqual(self.show('web.1', 'MainPID'), pid)
        self.systemctl('stop', self.unit('web.1'))

    def test_managers(self):
        """daemon-reload and daemon-reexec, also amid starts: nobody dies, and what ends is noticed afterwards, too."""
        self.monitor('web', 'Exec=/bin/sleep 1000\n', workers=5)
        self.start()
        before = self.wait_running(5)
        for _ in range(5):
            self.systemctl('daemon-reload')
        self.systemctl('daemon-reexec')
        self.assertEqual({n: a['aid'] for n, a in self.wait_running(5).items()}, {n: a['aid'] for n, a in before.items()})
        self.systemctl('kill', '-s', 'KILL', self.unit('web.4'))
        self.box.wait_for(lambda: self.running().get('web.4', before['web.4'])['aid'] != before['web.4']['aid'], 'a new life')
        cursor = self.box.cursor()
        scale = self.box.popen(['arbiterctl', *(['--user'] if self.user else []), 'scale', 'web', '60'], user=self.user)
        self.box.wait_for_entry(cursor, predicate=lambda e: 'is running' in str(e.get('MESSAGE')))
        self.systemctl('daemon-reexec')
        self.assertEqual(scale.wait()[0], 0)
        self.wait_running(60)
        self.assertEqual(len(self.units()), 60)

    # Templates

    def template(self, name, service):
        directory = '/home/alice/.config/systemd/user/' if self.user else '/etc/systemd/system/'
        self.write(directory + name, '[Service]\n' + service, owner=self.user or 'root')
        self.systemctl('daemon-reload')
        return directory + name

    def instance_monitor(self, name, unit, workers=1):
        self.write('%s/%s.monitor' % (self.etc, name), '[Monitor]\nWorkers=%d\n[Actor]\nConcurrency=unit\nUnit=%s\n' % (workers, unit),
                   owner=self.user or 'root')

    def test_template(self):
        path = self.template('my-worker@.service', 'ExecStart=/bin/sleep 1000\n')
        written = self.out('cat', path)
        self.instance_monitor('mine', 'my-worker@.service', 3)
        self.start()
        actors = self.wait_running(3)
        for n in 1, 2, 3:
            unit = 'my-worker@%d.service' % n
            self.assertEqual(self.systemctl('show', '--value', '-p', 'MainPID', unit).stdout.strip(), str(actors['mine.%d' % n]['pid']))
        self.systemctl('stop', 'my-worker@2.service')
        self.wait_running(2)
        self.assertIn('stopped by an operator', self.arbiterctl('why', 'mine.2').stdout)
        self.arbiterctl('restart', 'mine.2')
        self.wait_running(3)
        # A restart is done by the arbiter, as of units of its own.
        before = self.running()['mine.3']
        self.systemctl('restart', 'my-worker@3.service', check=False)
        self.box.wait_for(lambda: self.running().get('mine.3', before)['aid'] != before['aid'], 'a new life')
        self.assertEqual(self.systemctl('show', '--value', '-p', 'MainPID', 'my-worker@3.service').stdout.strip(), str(self.running()['mine.3']['pid']))
        self.systemctl('kill', '-s', 'KILL', 'my-worker@1.service')
        self.box.wait_for(lambda: self.running().get('mine.1', actors['mine.1'])['aid'] != actors['mine.1']['aid'], 'a new life')
        # A roll replaces each.
        before = self.wait_running(3)
        self.arbiterctl('reload', 'mine')
        after = self.wait_running(3)
        self.assertEqual([n for n in before if after[n]['aid'] == before[n]['aid']], [])
        # To scale is to want them all.
        self.systemctl('stop', 'my-worker@2.service')
        self.wait_running(2)
        self.arbiterctl('scale', 'mine', '5')
        self.wait_running(5)
        self.arbiterctl('scale', 'mine', '1')
        # The template is as it was.
        self.assertEqual(self.out('cat', path), written)
        self.assertEqual(self.systemctl('show', '--value', '-p', 'DropInPaths', 'my-worker@1.service').stdout, '\n')
        self.arbiterctl('stop', 'mine')
        out = self.systemctl('list-units', '--plain', '--no-legend', '--state=active', 'my-worker@*').stdout
        self.assertEqual(out, '')

    def test_template_refused(self):
        """Two must not supervise one process. The drop-in that the text names cures it."""
        path = self.template('fighter@.service', 'ExecStart=/bin/sleep 1000\nRestart=always\n')
        self.instance_monitor('fight', 'fighter@.service')
        cursor = self.box.cursor()
        self.start()
        entry = self.box.wait_for_entry(cursor, predicate=lambda e: 'Restart=always' in str(e.get('MESSAGE')))
        self.assertIn('fight.monitor: fighter@.service has Restart=always', entry['MESSAGE'])
        self.assertIn('systemctl%s edit fighter@.service' % (' --user' if self.user else ''), entry['MESSAGE'])
        self.assertEqual(self.running(), {})
        for verb in ('daemon-reload',), ('restart', 'fight'):
            r = self.arbiterctl(*verb, check=False)
            self.assertEqual(r.returncode, 1)
            self.assertIn('fighter@.service has Restart=always', r.stderr)
        self.write(path + '.d/arbiter.conf', '[Service]\nRestart=no\n', owner=self.user or 'root')
        self.systemctl('daemon-reload')
        self.systemctl('restart', 'arbiter.service')
        self.wait_running(1)
        self.assertEqual(self.systemctl('is-active', 'fighter@1.service').stdout, 'active\n')

    def test_template_unfit(self):
        """What could not be seen to run or to end is refused, too; what is there, but cannot run now, is tried again."""
        directory = os.path.dirname(self.template('nap@.service', 'ExecStart=/bin/sleep 1000\n'))
        self.template('once@.service', 'Type=oneshot\nExecStart=/bin/sleep 1000\n')
        self.template('stays@.service', 'RemainAfterExit=yes\nExecStart=/bin/sleep 1000\n')
        self.template('bad@.service', 'ExecStart=\n')
        self.template('unmet@.service', 'ExecStart=/bin/sleep 1000\n[Unit]\nConditionPathExists=/nowhere\n')
        self.template('masked@.service', 'ExecStart=/bin/sleep 1000\n')
        self.run_in('ln', '-sf', 'nap@.service', directory + '/alias@.service')
        self.run_in('ln', '-sf', '/dev/null', directory + '/masked@.service')
        self.systemctl('daemon-reload')
        words = {'once': 'once@.service has Type=oneshot', 'stays': 'stays@.service has RemainAfterExit=yes',
                 'alias': 'alias@.service is another name of nap@.service: write Unit=nap@.service',
                 'bad': 'status bad@1.service', 'masked': 'unmask masked@.service', 'gone': 'there is no gone@.service',
                 'unmet': 'unmet@1.service was not started, since a Condition'}
        for name in words:
            self.instance_monitor(name, name + '@.service')
        cursor = self.box.cursor()
        self.start()
        for name, text in words.items():
            self.box.wait_for_entry(cursor, predicate=lambda e, t=text: t in str(e.get('MESSAGE')))
        self.assertEqual(self.running(), {})
        self.run_in('sh', '-c', 'rm -f %s/*@.service' % directory)

    def test_unsaid(self):
        """A service of the system is root's, in /, by itself: that is not said, unless a setting might ask for it."""
        self.monitor('web', 'Exec=/bin/sleep 1000\n')
        self.monitor('set', 'Exec=/bin/sleep 1000\n', service='[Service]\nTasksMax=100\n')
        self.start()
        for name, actor in self.wait_running(2).items():
            said = not self.user and name == 'set.1'
            self.assertEqual(self.show(name, 'User'), 'root' if said else '')
            file = '/proc/%d/' % actor['pid']
            directory = self.run_in('readlink', file + 'cwd').stdout.rstrip('\n')
            environment = dict(e.split('=', 1) for e in self.run_in('cat', file + 'environ').stdout.split('\0') if e)
            self.assertEqual(directory, '/')
            self.assertEqual(environment['HOME'], '/home/' + self.user if self.user else '/root')
            self.assertEqual(environment['USER'], self.user or 'root')

    def test_settings(self):
        self.monitor('web', 'Exec=/bin/sleep 1000\n', service='[Service]\nMemoryMax=500M\nPrivateTmp=yes\nOOMScoreAdjust=100\nRuntimeDirectory=web/%i\n')
        self.start()
        self.wait_running(1)
        for prop, value in {'MemoryMax': str(500 << 20), 'PrivateTmp': 'yes', 'OOMScoreAdjust': '100', 'RuntimeDirectory': 'web/1'}.items():
            self.assertEqual(self.show('web.1', prop), value)
        self.run_in('rm', self.etc + '/web.monitor')
        self.assertRegex(self.arbiterctl('daemon-reload').stdout, 'web: (running → stopping|1 → 0 workers)')  # gone already

    def test_log(self):
        """What [Actor] says of its lines."""
        self.monitor('web', 'Exec=/bin/sleep 1000\nSyslogIdentifier=web-%i\nSyslogLevelPrefix=no\nLogRateLimitBurst=7\n', workers=2)
        self.monitor('free', 'Exec=/bin/sleep 1000\nLogRateLimitIntervalSec=0\n', service='[Service]\nSyslogIdentifier=mine\n')
        self.start()
        self.wait_running(3)
        for name, wanted in {'web.2': ('web-2', 'no', '30s', '7'), 'free.1': ('mine', 'yes', '1us', '4294967295')}.items():
            props = 'SyslogIdentifier', 'SyslogLevelPrefix', 'LogRateLimitIntervalUSec', 'LogRateLimitBurst'
            self.assertEqual(tuple(self.show(name, p) for p in props), wanted)

    def test_other_files(self):
        """A program that is there in the unit's view of the files alone."""
        if self.user:
            self.skipTest('a manager of a user makes no mounts')
        self.monitor('web', 'Exec=/srv/bin/sleep 1000\n', service='[Service]\nBindReadOnlyPaths=/bin:/srv/bin\n')
        self.start()
        self.wait_running(1)
        self.assertIn('0 errors, 0 warnings', self.arbiterctl('verify').stdout)

    def test_example(self):
        """As examples/sandbox has it."""
        if self.user:
            self.skipTest('a user has no DynamicUser=')
        examples = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../examples')
        self.box.copy(os.path.join(examples, 'load.py'), '/usr/local/share/arbiter/examples/load.py')
        self.box.copy(os.path.join(examples, 'sandbox/sandbox.monitor'), self.etc + '/sandbox.monitor')
        self.start()
        actors = self.wait_running(2)
        for name, actor in actors.items():
            status = dict(line.split(':\t', 1) for line in self.out('cat', '/proc/%d/status' % actor['pid']).splitlines())
            self.assertGreater(int(status['Uid'].split()[0]), 60000)
            self.assertEqual((status['Seccomp'], status['CapBnd'], status['NoNewPrivs']), ('2', '0' * 16, '1'))
            self.assertEqual(self.show(name, 'MemoryMax'), str(64 << 20))
        self.box.wait_for(lambda: re.search(r'load \d', self.arbiterctl('status', 'sandbox').stdout), 'its status')

    # Many

    def test_many(self):
        self.monitor('many', 'Exec=/bin/sleep 1000\n', workers=200, monitor='RestartIntensity=1000\n')
        self.start()
        self.wait_running(200)
        self.assertEqual(len(self.units()), 200)
        self.arbiterctl('scale', 'many', '50')
        self.wait_running(50)
        self.box.wait_for(lambda: len(self.units()) == 50, '50 units')
        self.arbiterctl('scale', 'many', '300')
        before = self.wait_running(300)
        self.assertEqual(len(self.units()), 300)
        names = sorted(before)
        killed, stopped = names[0:300:2], names[1:40:4]
        self.run_in('kill', '-9', *[str(before[n]['pid']) for n in killed[:75]])
        self.systemctl('kill', '-s', 'KILL', *[self.unit(n) for n in killed[75:]])
        self.systemctl('stop', *[self.unit(n) for n in stopped])
        after = self.box.wait_for(lambda: (lambda a: a if len(a) == 300 - len(stopped) and all(
            a[n]['aid'] != before[n]['aid'] for n in killed if n in a) else None)(self.running()), 'those that are to live')
        self.assertEqual(set(names) - set(after), set(stopped))
        self.assertEqual(len(self.units()), 300 - len(stopped))
        for n in set(after) - set(killed):
            self.assertEqual(after[n]['aid'], before[n]['aid'])
        self.assertEqual(len({a['pid'] for a in after.values()}), len(after))


class UserUnits(Units):
    """The arbiter of a user, unprivileged, with the user's own systemd."""

    user, etc, instance = 'alice', '/home/alice/.config/arbiter', 'user'

    def printed(self, actors):
        """The journal of systemd 252 takes LogExtraFields= from the system's manager only."""
        for name in actors:
            entry = self.box.wait_for_entry(self.cursor, '_SYSTEMD_USER_UNIT=' + self.unit(name))
            self.assertEqual((entry['MESSAGE'], entry['SYSLOG_IDENTIFIER']), ('hello from web', name))


class Degraded(case.Case):
    """What is missing is said, and all else works."""

    def alone(self, *command, user=None, before=''):
        """Units can be had in no case, and everything else can."""
        line = '' if user else 'User=root\n'
        self.write('/tmp/alone/web.monitor', '[Actor]\nConcurrency=unit\n%sExec=/bin/sleep 1000\n' % line)
        self.write('/tmp/alone/nap.monitor', '[Actor]\n%sExec=/bin/sleep 1000\n' % line)
        self.addCleanup(self.run_in, 'rm', '-rf', '/tmp/alone', '/tmp/run')
        self.run_in('mkdir', '-m', '777', '/tmp/run')
        p = self.box.popen(['unshare', '--mount', 'sh', '-c', before + 'exec "$@"', 'sh', 'arbiterd', *command, '--config-dir=/tmp/alone',
                            '--runtime-dir=/tmp/run/alone'] if before else
                           ['arbiterd', *command, '--config-dir=/tmp/alone', '--runtime-dir=/tmp/run/alone'], user=user)
        self.addCleanup(p.kill)
        return p

    def test_standalone(self):
        """Without systemd behind it."""
        self.alone().expect_all('Concurrency=unit cannot be had: .*arbiter.service', 'nap.1 is running')

    def test_not_booted(self):
        self.alone('--system', before='mount -t tmpfs none /run/systemd; ').expect_all(
            'Concurrency=unit cannot be had: this machine was not booted with systemd', 'nap.1 is running')

    def test_no_privileges(self):
        self.alone('--system', user='bob').expect_all("Concurrency=unit cannot be had: the system's systemd makes units for root only",
                                                      'nap.1 is running')

    def test_no_manager_of_the_user(self):
        """bob has none: he is not logged in."""
        self.alone('--user', user='bob').expect_all('Concurrency=unit cannot be had: no systemd runs for this user', 'nap.1 is running')

    def test_too_old(self):
        """A setting that is newer than this systemd."""
        if int(self.out('systemctl', '--version').split()[1]) > 252:
            self.skipTest('this systemd is not that old')
        self.write('/etc/arbiter/web.monitor', '[Actor]\nConcurrency=unit\nUser=root\nExec=/bin/sleep 1000\n[Service]\nMemoryZSwapMax=1G\n')
        self.addCleanup(self.run_in, 'sh', '-c', 'systemctl stop arbiter.service; rm /etc/arbiter/web.monitor')
        self.run_in('systemctl', 'start', 'arbiter.service')
        entry = self.box.wait_for_entry(self.cursor, 'ARBITER_NAME=web.1', predicate=lambda e: 'MemoryZSwapMax' in str(e['MESSAGE']))
        self.assertRegex(entry['MESSAGE'], r'Cannot set property MemoryZSwapMax.*This is systemd 252.*left out of section \[Service\]')

    def test_no_bus(self):
        """systemd has a socket of its own: of units nothing is missing."""
        self.write('/etc/arbiter/web.monitor', '[Monitor]\nWorkers=2\n[Actor]\nConcurrency=unit\nUser=root\nExec=/bin/sleep 1000\n')
        self.addCleanup(self.run_in, 'sh', '-c', 'systemctl stop arbiter.service; rm /etc/arbiter/web.monitor')
        self.run_in('systemctl', 'stop', 'dbus.socket', 'dbus.service')
        self.addCleanup(self.run_in, 'systemctl', 'start', 'dbus.socket')
        self.run_in('systemctl', 'start', 'arbiter.service')
        for name in 'web.1', 'web.2':
            self.ctl('wait', name, 'running')
        self.ctl('restart', 'web.1')
        self.run_in('systemctl', 'stop', 'arbiter-system-web-2.service')
        self.box.wait_for(lambda: 'stopped by an operator' in self.ctl('why', 'web.2').stdout, 'what was said to systemd')
        self.ctl('scale', 'web', '3')
        for name in 'web.1', 'web.2', 'web.3':
            self.ctl('wait', name, 'running')
            self.assertEqual(self.box.property('arbiter-system-%s.service' % name.replace('.', '-'), 'MainPID'), str(self.actors()[name]['pid']))


if __name__ == '__main__':
    case.main()
