#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that are linked with libarbiter, in instances of a template (Unit=, Type=mailbox): they come to the arbiter by
themselves, and are known by what systemd says of them, without a secret. And others, who say that they are, or look for one."""

import json
import os
import re

import case

PROGRAM = '/usr/local/libexec/primes'
# As on a kernel before 6.5.
OLD = '[Service]\nEnvironment=ARBITER_OLD_IDENTITY=1\n'
GATE = "ExecStart=/bin/sh -c 'while ! [ -e /tmp/open ]; do sleep 0.05; done; exec %s'\n" % PROGRAM


class Instances(case.Case):
    """The arbiter of the system."""

    user, etc, templates, runtime, dropin = None, '/etc/arbiter', '/etc/systemd/system/', '/run/arbiter', ''

    def systemctl(self, *argv, **options):
        return self.run_in('systemctl', *(['--user'] if self.user else []), *argv, user=self.user, **options)

    def arbiterctl(self, *argv, **options):
        return self.ctl(*(['--user'] if self.user else []), *argv, user=self.user, **options)

    def setUp(self):
        super().setUp()
        self.box.copy(os.path.join(self.box.build, 'examples/primes'), PROGRAM, 0o755)
        self.addCleanup(self.stop)

    def stop(self):
        self.systemctl('stop', 'arbiter.service')
        self.assertEqual(self.systemctl('list-units', '--plain', '--no-legend', '--state=active', '*@*.service').stdout.count('primes'), 0)
        self.run_in('sh', '-c', 'rm -rf %s/*.monitor %s/*@.service %s/arbiter.service.d /tmp/open' % (self.etc, self.templates, self.templates))
        self.systemctl('daemon-reload')
        self.systemctl('reset-failed')

    def start(self, name, template, workers=1, actor=''):
        self.write('%s%s@.service' % (self.templates, name), template, owner=self.user or 'root')
        if self.dropin:
            self.write(self.templates + 'arbiter.service.d/old.conf', self.dropin, owner=self.user or 'root')
        self.write('%s/%s.monitor' % (self.etc, name), '[Monitor]\nWorkers=%d\n[Actor]\nConcurrency=unit\nUnit=%s@.service\nType=mailbox\n%s'
                   % (workers, name, actor), owner=self.user or 'root')
        self.systemctl('daemon-reload')
        self.systemctl('start', 'arbiter.service')

    def running(self):
        return {a['name']: a for a in json.loads(self.arbiterctl('list-actors', '--json=short').stdout) if a['state'] == 'running'}

    def wait_running(self, n):
        return self.box.wait_for(lambda: (lambda a: a if len(a) == n else None)(self.running()), '%d running' % n)

    def show(self, unit, prop):
        return self.systemctl('show', '--value', '-p', prop, unit).stdout.rstrip('\n')

    def refused(self, cursor, text):
        return self.box.wait_for_entry(cursor, predicate=lambda e: re.search('refused a connection.*' + text, str(e.get('MESSAGE'))))

    # How it is meant

    def example(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../examples/primes/primes@.service'), encoding='utf-8') as f:
            return f.read()

    def test_pool(self):
        self.start('primes', self.example(), 3)
        actors = self.wait_running(3)
        for i in 1, 2, 3:
            self.assertEqual(self.show('primes@%d.service' % i, 'MainPID'), str(actors['primes.%d' % i]['pid']))
            self.assertEqual(self.arbiterctl('send', 'primes.%d' % i, 'is_prime', 'u', '4294967291').stdout.strip(), 'b true')
        self.assertIn('2 sent, 2 received', self.arbiterctl('ping', '-c', '2', 'primes.1').stdout)
        self.assertNotIn('ARBITER', self.show('primes@1.service', 'Environment'))
        # It is asked before it is told by a signal, and has not failed.
        cursor = self.box.cursor()
        self.arbiterctl('stop', 'primes.2')
        self.assertEqual([e['MESSAGE'] for e in self.box.entries(cursor) if 'Failed with result' in str(e['MESSAGE'])], [])
        self.assertEqual(self.show('primes@2.service', 'ActiveState'), 'inactive')
        self.arbiterctl('restart', 'primes.2')
        # A death is seen, and the successor comes, too.
        self.systemctl('kill', '-s', 'KILL', 'primes@1.service')
        self.box.wait_for(lambda: self.running().get('primes.1', actors['primes.1'])['aid'] != actors['primes.1']['aid'], 'a new life')
        self.wait_running(3)
        self.assertEqual(self.arbiterctl('send', 'primes.1', 'is_prime', 'u', '91').stdout.strip(), 'b false')

    def test_ready(self):
        """A template of Type=notify hears READY=1, and its watchdog is fed."""
        self.start('primes', '[Service]\nType=notify\nWatchdogSec=2s\nExecStart=%s\n' % PROGRAM)
        self.wait_running(1)
        self.box.wait_for(lambda: self.show('primes@1.service', 'ActiveState') == 'active', 'its start')
        self.box.wait_for(lambda: self.show('primes@1.service', 'WatchdogTimestampMonotonic') not in ('0', ''), 'a sign of life')

    def test_not_linked(self):
        cursor = self.box.cursor()
        self.start('nap', '[Service]\nExecStart=/bin/sleep 1000\n', actor='TimeoutStartSec=500ms\n')
        self.box.wait_for_entry(cursor, predicate=lambda e: 'nap@1.service runs, but has not come to the arbiter' in str(e.get('MESSAGE')))
        self.box.wait_for(lambda: self.show('nap@1.service', 'ActiveState') != 'active', 'its end')

    def test_by_hand(self):
        """Nobody has asked for it."""
        self.start('primes', '[Service]\nExecStart=%s\n' % PROGRAM)
        actors = self.wait_running(1)
        self.systemctl('start', 'primes@7.service')
        self.box.wait_for(lambda: self.show('primes@7.service', 'Result') == 'exit-code', 'its end')
        p = self.run_in(PROGRAM, user=self.user, check=1)
        self.assertIn('no arbiter has asked for this', p.stderr)
        self.assertEqual({a['aid'] for a in self.running().values()}, {a['aid'] for a in actors.values()})

    # Others

    def intrude(self, user=None, *how):
        """Says hello as this user; whoever is refused ends at once, with 1."""
        command = '%s ARBITER_MAILBOX_SOCKET=%s/mailbox %s; echo left $?'
        p = self.run_in('sh', '-c', command % ('exec 2>&1;', self.runtime, PROGRAM), *how, user=user)
        self.assertIn('left 1', p.stdout)

    def test_strangers(self):
        self.start('gate', '[Service]\n' + GATE)
        self.box.wait_for(lambda: self.show('gate@1.service', 'ActiveState') == 'active', 'the one that is waited for')
        cursor = self.box.cursor()
        for user in None, 'bob', 'alice':
            self.intrude(user)
        self.refused(cursor, 'no actor that it could be is expected|it has no token')
        self.fake_units()
        self.assertEqual(self.running(), {})
        self.write('/tmp/open', '')
        actors = self.wait_running(1)
        self.assertEqual(self.show('gate@1.service', 'MainPID'), str(actors['gate.1']['pid']))

    def fake_units(self):
        """Users have managers of their own, and cgroups, in which what they like bears any name."""
        self.write('/home/alice/.config/systemd/user/gate@.service',
                   '[Service]\nType=oneshot\nEnvironment=ARBITER_MAILBOX_SOCKET=%s/mailbox\nExecStart=-%s\n' % (self.runtime, PROGRAM), owner='alice')
        self.run_in('systemctl', '--user', 'daemon-reload', user='alice')
        self.run_in('systemctl', '--user', 'start', 'gate@1.service', user='alice')
        self.run_in('rm', '/home/alice/.config/systemd/user/gate@.service')
        uid = self.out('id', '-u', 'alice').strip()
        cgroup = '/sys/fs/cgroup/user.slice/user-%s.slice/user@%s.service/gate@1.service' % (uid, uid)
        script = ('mkdir -p %s; echo $$$$ >%s/cgroup.procs; grep -q gate@1.service$ /proc/self/cgroup && echo in place; '
                  'ARBITER_MAILBOX_SOCKET=%s/mailbox %s; echo left $?' % (cgroup, cgroup, self.runtime, PROGRAM)).replace('$$$$', '$$')
        p = self.run_in('systemd-run', '--user', '--pipe', '--wait', '--quiet', 'sh', '-c', script.replace('$', '$$'), user='alice')
        self.assertEqual(p.stdout.split('\n')[:2], ['in place', 'left 1'])
        self.assertEqual(self.running(), {})

    def test_in_the_unit(self):
        """A process of the unit, but not the one."""
        cursor = self.box.cursor()
        self.start('helped', "[Service]\nExecStart=/bin/sh -c '%s; echo helper left $$?; exec %s'\n" % (PROGRAM, PROGRAM))
        actors = self.wait_running(1)
        self.box.wait_for_entry(cursor, predicate=lambda e: e.get('MESSAGE') == 'helper left 1')
        self.assertEqual(self.show('helped@1.service', 'MainPID'), str(actors['helped.1']['pid']))
        self.assertEqual(self.arbiterctl('send', 'helped.1', 'is_prime', 'u', '7').stdout.strip(), 'b true')


class OldInstances(Instances):
    """On a kernel that cannot say which process is at the other end but by its pid."""

    dropin = OLD


class UserInstances(Instances):
    """The arbiter of a user: no other one may even come near."""

    user, etc, templates, runtime = 'alice', '/home/alice/.config/arbiter', '/home/alice/.config/systemd/user/', '/run/user/2000/arbiter'

    def example(self):
        return super().example().replace('DynamicUser=yes', '').replace('PrivateNetwork=yes', '')

    def test_strangers(self):
        uid = self.out('id', '-u', 'alice').strip()
        self.assertEqual(self.runtime, '/run/user/%s/arbiter' % uid)
        self.start('gate', '[Service]\n' + GATE)
        self.box.wait_for(lambda: self.show('gate@1.service', 'ActiveState') == 'active', 'the one that is waited for')
        for user in None, 'bob', 'alice':
            self.intrude(user)
        self.assertEqual(self.running(), {})
        self.write('/tmp/open', '')
        self.wait_running(1)


class Secrets(case.Case):
    """What somebody without privileges finds of an arbiter with unit actors, and what he can do with it."""

    def test_nothing_to_find(self):
        self.box.copy(os.path.join(self.box.build, 'examples/squares.so'), '/usr/local/lib/squares.so', 0o755)
        self.box.copy(os.path.join(self.box.build, 'examples/primes'), PROGRAM, 0o755)
        self.write('/etc/systemd/system/primes@.service', '[Service]\nExecStart=%s\n' % PROGRAM)
        self.write('/etc/arbiter/squares.monitor', '[Monitor]\nWorkers=2\n[Actor]\nConcurrency=unit\nUser=root\nModule=/usr/local/lib/squares.so\n')
        self.write('/etc/arbiter/primes.monitor', '[Actor]\nConcurrency=unit\nUnit=primes@.service\nType=mailbox\n')
        self.run_in('systemctl', 'daemon-reload')
        self.run_in('systemctl', 'start', 'arbiter.service')
        self.addCleanup(self.run_in, 'sh', '-c', 'systemctl stop arbiter.service; rm -f /etc/arbiter/*.monitor /etc/systemd/system/primes@.service')
        for name in 'squares.1', 'squares.2', 'primes.1':
            self.ctl('wait', name, 'running')
        pids = [str(a['pid']) for a in self.actors().values()] + [self.box.property('arbiter.service', 'MainPID')]

        # D-Bus: all that systemd says of these units, and the arbiter of itself.
        said = self.out('systemctl', 'show', '--all', 'arbiter*', 'primes@*', user='bob')
        said += self.run_in('busctl', 'introspect', 'io.arbiter.Arbiter1', '/io/arbiter/Arbiter1', user='bob', check=False).stdout
        self.assertIn('ARBITER_MAILBOX=0', said)  # a number, and no secret
        # /run: what can be read of the arbiter's, and of its sockets only those are open that anybody may use.
        said += self.out('sh', '-c', 'find /run/arbiter* -type f -readable -exec cat {} + 2>/dev/null || true', user='bob')
        sockets = self.out('sh', '-c', 'find /run/arbiter* -type s -writable 2>/dev/null || true', user='bob').split()
        self.assertEqual(sorted(os.path.basename(s) for s in sockets if not s.endswith('/metrics')), ['mailbox'])
        # /proc: arguments are anybody's to read, the rest is not.
        for pid in pids:
            said += self.out('cat', '/proc/%s/cmdline' % pid, user='bob')
            for file in 'environ', 'fd/0', 'mem', 'auxv':
                self.assertFalse(self.run_in('cat', '/proc/%s/%s' % (pid, file), user='bob', check=False).returncode == 0, file)
            self.assertNotEqual(self.run_in('ls', '/proc/%s/fd/' % pid, user='bob', check=False).returncode, 0)
        # Invocation ids have 32 digits, and open nothing; a token has 64.
        self.assertEqual(re.findall('[0-9a-f]{64}', said), [])
        journal = '\n'.join(str(e.get('MESSAGE')) for e in self.box.entries(self.cursor))
        self.assertEqual(re.findall('[0-9a-f]{64}', journal), [])


if __name__ == '__main__':
    case.main()
