#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Actors as units whose arbiter dies: they go on, and so does their arbiter's successor, with the same lives. What has ended
meanwhile has ended as it did, what was on its way arrives, and what only bears such a name is let alone."""

import json
import os
import random

import case

SEED = int(os.environ.get('ARBITER_TEST_SEED', '0')) or random.SystemRandom().randrange(1, 1 << 32)
PRIMES = '/usr/local/libexec/primes'


class Adoption(case.Case):
    """The arbiter of the system."""

    where, user, etc, templates, instance = (), None, '/etc/arbiter', '/etc/systemd/system/', 'system'

    def systemctl(self, *argv, **options):
        return self.run_in('systemctl', *(['--user'] if self.user else []), *argv, user=self.user, **options)

    def arbiterctl(self, *argv, **options):
        return self.ctl(*(['--user'] if self.user else []), *argv, user=self.user, **options)

    def setUp(self):
        super().setUp()
        self.box.copy(os.path.join(self.box.build, 'examples/squares.so'), '/tmp/squares.so', 0o755)
        self.box.copy(os.path.join(self.box.build, 'examples/primes'), PRIMES, 0o755)
        self.addCleanup(self.stop_all)

    def stop_all(self):
        self.systemctl('stop', 'arbiter.service')
        self.assertEqual(self.units(), {})
        self.run_in('sh', '-c', 'rm -rf %s/*.monitor %s*@.service %s/arbiter.service.d' % (self.etc, self.templates, self.templates))
        self.systemctl('daemon-reload')
        self.systemctl('reset-failed')

    def monitor(self, name, actor, workers=1, monitor='RestartIntensity=1000\nBackoffMaxSec=100ms\n'):
        user = '' if self.user or 'Unit=' in actor else 'User=root\n'
        self.write('%s/%s.monitor' % (self.etc, name), '[Monitor]\nWorkers=%d\n%s[Actor]\nConcurrency=unit\n%s%s' % (workers, monitor, user, actor),
                   owner=self.user or 'root')

    def template(self, name, service):
        self.write(self.templates + name, '[Service]\n' + service, owner=self.user or 'root')
        self.systemctl('daemon-reload')

    def pool(self, more=0):
        """One of each kind, and what a test has defined itself."""
        self.template('nap@.service', 'ExecStart=/bin/sleep 1000\n')
        self.template('primes@.service', 'ExecStart=%s\n' % PRIMES)
        self.monitor('web', 'Exec=/bin/sleep 1000\n', 3)
        self.monitor('squares', 'Module=/tmp/squares.so\n', 2)
        self.monitor('nap', 'Unit=nap@.service\n', 2)
        self.monitor('primes', 'Unit=primes@.service\nType=mailbox\n', 2)
        self.systemctl('start', 'arbiter.service')
        return self.wait_running(9 + more)

    def running(self):
        out = self.arbiterctl('list-actors', '--json=short', check=False).stdout
        return {a['name']: a for a in json.loads(out or '[]') if a['state'] == 'running'}

    def wait_running(self, n):
        """An actor may run before systemd has said which process it is."""
        return self.box.wait_for(lambda: (lambda a: a if len(a) == n and all(x['pid'] for x in a.values()) else None)(self.running()),
                                 '%d running' % n)

    def unit(self, name):
        monitor, _, number = name.partition('.')
        if monitor in ('nap', 'primes'):
            return '%s@%s.service' % (monitor, number)
        return 'arbiter-%s-%s-%s.service' % (self.instance, monitor, number)

    def units(self):
        out = self.systemctl('list-units', '--plain', '--no-legend', '--all', 'arbiter-%s-*.service' % self.instance, 'nap@*', 'primes@*').stdout
        return {line.split()[0]: line.split()[2] for line in out.splitlines() if line.split()[2] != 'inactive'}

    def show(self, name, prop):
        return self.systemctl('show', '--value', '-p', prop, self.unit(name)).stdout.rstrip('\n')

    def deaths(self, name):
        return [(d['reason'], d['status']) for d in json.loads(self.arbiterctl('deaths', name, '--json=short').stdout)]

    @staticmethod
    def lives(actors, names=None):
        return {n: (a['aid'], a['pid']) for n, a in actors.items() if names is None or n in names}

    def replaced(self, *meanwhile):
        """The arbiter is killed, and comes back when all that has been done. Its successor has said so."""
        cursor = self.box.cursor()
        slow = '[Service]\nRestartSec=%s\n' % ('3s' if meanwhile else '50ms')
        directory = self.templates + 'arbiter.service.d'
        self.write(directory + '/slow.conf', slow, owner=self.user or 'root')
        self.systemctl('daemon-reload')
        self.systemctl('kill', '-s', 'KILL', 'arbiter.service')
        if meanwhile:
            self.box.wait_for(lambda: self.systemctl('show', '--value', '-p', 'SubState', 'arbiter.service').stdout == 'auto-restart\n', 'its death')
            for command in meanwhile:
                command()
        return self.box.wait_for_entry(cursor, 'ARBITER_EVENT=re-adopted')

    def answers(self):
        self.assertEqual(self.arbiterctl('send', 'squares.1', 'square', 'x', '7').stdout.strip(), 'x 49')
        self.assertEqual(self.arbiterctl('send', 'primes.2', 'is_prime', 'u', '7').stdout.strip(), 'b true')
        for name in 'squares.2', 'primes.1', 'web.1':
            self.arbiterctl('ping', '-c', '1', name)

    # How it is meant

    def test_all_kinds(self):
        before = self.pool()
        for _ in range(3):
            self.replaced()
            after = self.wait_running(9)
            self.assertEqual(self.lives(after), self.lives(before))
            self.answers()
        for name in before:
            self.assertEqual(self.show(name, 'MainPID'), str(before[name]['pid']))
            self.assertEqual(self.deaths(name), [])
        # They are still what it takes them for: each is stopped, and started again.
        self.arbiterctl('restart', 'web.1', 'squares.1', 'nap.1', 'primes.1')
        after = self.wait_running(9)
        for name in before:
            self.assertEqual(after[name]['aid'] == before[name]['aid'], not name.endswith('.1'), name)
        self.answers()
        self.systemctl('kill', '-s', 'KILL', self.unit('web.2'), self.unit('nap.2'))
        self.box.wait_for(lambda: self.deaths('web.2') and self.deaths('nap.2'), 'their ends')
        self.assertEqual(self.deaths('web.2') + self.deaths('nap.2'), 2 * [('signal', 9)])
        self.wait_running(9)

    def test_restart(self):
        """"systemctl restart", as after an update."""
        before = self.pool()
        self.systemctl('restart', 'arbiter.service')
        self.assertEqual(self.lives(self.wait_running(9)), self.lives(before))
        self.answers()

    # Meanwhile

    def test_ended_meanwhile(self):
        """As it was: systemd keeps what has failed, and the kernel tells how a process has ended."""
        self.monitor('code', "Exec=/bin/sh -c 'trap \"exit 7\" USR1; while :; do sleep 0.1; done'\n")
        self.monitor('good', "Exec=/bin/sh -c 'trap \"exit 0\" USR1; while :; do sleep 0.1; done'\nRestart=transient\n")
        before = self.pool(2)

        def kill(name, number):
            self.run_in('kill', '-%d' % number, str(before[name]['pid']))

        def kill_all():
            kill('web.1', 9)
            kill('web.2', 15)
            kill('code.1', 10)
            kill('good.1', 10)
            kill('nap.1', 9)
            self.box.wait_for(lambda: not any(self.run_in('kill', '-0', str(before[n]['pid']), check=False).returncode == 0
                                              for n in ('web.1', 'web.2', 'code.1', 'good.1', 'nap.1')), 'their ends')
        self.replaced(kill_all)
        after = self.wait_running(10)  # good.1 has ended as it should, and stays down
        for name, how in {'web.1': ('signal', 9), 'web.2': ('signal', 15), 'code.1': ('exit-code', 7), 'good.1': ('normal', 0), 'nap.1': ('signal', 9)}.items():
            self.assertEqual(self.deaths(name), [how], name)
        spared = {'web.3', 'squares.1', 'squares.2', 'nap.2', 'primes.1', 'primes.2'}
        self.assertEqual(self.lives(after, spared), self.lives(before, spared))
        self.assertEqual([u for u, state in self.units().items() if state != 'active'], [])

    def test_stopped_by_the_keeper(self):
        """With the keeper dead, too, what is left is stopped. That is no end of its own."""
        self.monitor('calm', 'Exec=/bin/sleep 1000\nRestart=transient\n')
        self.systemctl('start', 'arbiter.service')
        before = self.wait_running(1)
        services = 'arbiter.service', 'arbiter-keeper.service'
        pids = [self.systemctl('show', '-P', 'MainPID', s).stdout.strip() for s in services]
        self.run_in('kill', '-KILL', *pids)
        self.box.wait_for(lambda: self.ctl(*(['--user'] if self.user else []), 'wait', '--timeout=20', 'calm', 'running', user=self.user, check=False).returncode == 0, 'the next arbiter')
        after = self.wait_running(1)
        self.assertNotEqual(self.lives(after), self.lives(before))
        self.assertEqual(self.deaths('calm.1'), [('unknown', 0)])

    def test_taken_meanwhile(self):
        """Its unit is gone, and another one has its name: by its invocation id it is told, and let alone."""
        before = self.pool()

        def take():
            self.systemctl('stop', self.unit('web.1'))
            self.run_in('systemd-run', *(['--user'] if self.user else []), '--unit=' + self.unit('web.1'), 'sleep', '1000', user=self.user)
            self.systemctl('restart', self.unit('nap.1'))
        cursor = self.box.cursor()
        self.replaced(take)
        foreign = {name: self.show(name, 'MainPID') for name in ('web.1', 'nap.1')}
        self.box.wait_for_entry(cursor, predicate=lambda e: 'is another one than this actor' in str(e.get('MESSAGE')))
        self.box.wait_for_entry(cursor, predicate=lambda e: 'nap@1.service is active already' in str(e.get('MESSAGE')))
        self.box.wait_for_entry(cursor, predicate=lambda e: 'there is a unit %s already' % self.unit('web.1') in str(e.get('MESSAGE')))
        self.assertEqual({name: self.show(name, 'MainPID') for name in foreign}, foreign)
        after = self.wait_running(7)
        self.assertEqual(self.lives(after), self.lives(before, set(after)))
        self.systemctl('stop', self.unit('web.1'), self.unit('nap.1'))
        self.wait_running(9)

    def test_restarted_meanwhile(self):
        """"systemctl restart" of a unit that bears our mark: it is ours to restart, and so it is done once more."""
        before = self.pool()
        self.replaced(lambda: self.systemctl('restart', self.unit('web.1')))
        self.box.wait_for(lambda: self.running().get('web.1', before['web.1'])['aid'] != before['web.1']['aid'], 'a new life')
        after = self.wait_running(9)
        self.assertEqual(self.show('web.1', 'MainPID'), str(after['web.1']['pid']))
        self.assertEqual(self.lives(after, set(before) - {'web.1'}), self.lives(before, set(before) - {'web.1'}))

    def test_manager_meanwhile(self):
        before = self.pool()
        self.replaced(lambda: self.systemctl('daemon-reexec'), lambda: self.systemctl('daemon-reload'))
        self.assertEqual(self.lives(self.wait_running(9)), self.lives(before))
        self.answers()

    def test_stop_meanwhile(self):
        """It is not to come back: nothing runs on, neither transient units nor instances."""
        self.pool()
        directory = self.templates + 'arbiter.service.d'
        self.write(directory + '/slow.conf', '[Service]\nRestartSec=1h\n', owner=self.user or 'root')
        self.systemctl('daemon-reload')
        self.systemctl('kill', '-s', 'KILL', 'arbiter.service')
        self.box.wait_for(lambda: self.systemctl('show', '--value', '-p', 'SubState', 'arbiter.service').stdout == 'auto-restart\n', 'its death')
        self.systemctl('stop', 'arbiter.service')
        self.box.wait_for(lambda: not self.units(), 'the end of all')

    # At any moment

    def test_any_moment(self):
        """Killed amid starts and stops: each unit is somebody's, and none is there twice."""
        print('ARBITER_TEST_SEED=%d' % SEED, flush=True)
        rng = random.Random(SEED)
        before = self.pool()
        directory = self.templates + 'arbiter.service.d'
        self.write(directory + '/fast.conf', '[Service]\nRestartSec=1ms\nStartLimitIntervalSec=0\n[Unit]\nStartLimitIntervalSec=0\n', owner=self.user or 'root')
        self.systemctl('daemon-reload')
        workers = {'web': 3, 'squares': 2, 'nap': 2, 'primes': 2}
        for _ in range(int(os.environ.get('ARBITER_TEST_KILLS', '12'))):
            name, n = rng.choice(sorted(workers)), rng.choice((2, 8, 20))
            workers[name] = n
            scale = self.box.popen(['arbiterctl', *(['--user'] if self.user else []), 'scale', name, str(n)], user=self.user)
            self.run_in('sleep', '%.3f' % rng.uniform(0, 0.15))
            self.systemctl('kill', '-s', 'KILL', 'arbiter.service')
            scale.wait()
            self.box.wait_for(lambda: self.arbiterctl('scale', name, str(n), check=False).returncode == 0, 'an arbiter that answers')
            actors = self.wait_running(sum(workers.values()))
            self.box.wait_for(lambda a=actors: sorted(self.units()) == sorted(self.unit(name) for name in a), 'a unit for each')
            pids = self.systemctl('show', '--value', '-p', 'MainPID', *[self.unit(name) for name in sorted(actors)]).stdout.split()
            self.assertEqual(pids, [str(actors[name]['pid']) for name in sorted(actors)])
            spared = {n for n in before if n in actors and not n.startswith(name + '.')}
            self.assertEqual(self.lives(actors, spared), self.lives(before, spared))
            before = actors
        for name in sorted(before):
            self.arbiterctl('ping', '-c', '1', name)


class UserAdoption(Adoption):
    """The arbiter of a user, unprivileged, with the user's own systemd."""

    user, etc, templates, instance = 'alice', '/home/alice/.config/arbiter', '/home/alice/.config/systemd/user/', 'user'


if __name__ == '__main__':
    case.main()
