#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Actors as units while the ground shakes: systemd reads its units anew again and again, executes itself anew, and the bus
daemon dies, all while units are started, stopped and killed and their actors answer. Nobody ends of it, nothing is doubled or
forgotten, and what happened meanwhile is noticed as what it was."""

import json
import os
import random

import case

SEED = int(os.environ.get('ARBITER_TEST_SEED', '0')) or random.SystemRandom().randrange(1, 1 << 32)


class Storms(case.Case):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        print('ARBITER_TEST_SEED=%d' % SEED, flush=True)
        self.box.copy(os.path.join(self.box.build, 'examples/squares.so'), '/usr/local/lib/squares.so', 0o755)
        for name in 'load.py', 'peer.py':
            self.box.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), '/run/test/' + name)
        self.write('/etc/arbiter/squares.monitor', '[Monitor]\nWorkers=4\nRestartIntensity=1000\n[Actor]\nConcurrency=unit\nUser=root\n'
                   'Module=/usr/local/lib/squares.so\n')
        self.write('/etc/arbiter/nap.monitor', '[Monitor]\nWorkers=20\nRestartIntensity=1000\nBackoffMaxSec=100ms\n[Actor]\nConcurrency=unit\n'
                   'User=root\nExec=/bin/sleep 1000\n')
        self.run_in('systemctl', 'start', 'arbiter.service')
        self.addCleanup(self.stop_all)
        self.before = self.wait_running(24)
        self.pid = self.box.property('arbiter.service', 'MainPID')
        self.load = self.box.popen(['/usr/bin/python3', '/run/test/load.py', '/run/arbiter/private', 'private'], stdin=-1)
        self.load.expect('answered')

    def stop_all(self):
        self.load.kill()
        self.run_in('systemctl', 'stop', 'arbiter.service')
        self.assertEqual(self.units(), {})
        self.run_in('sh', '-c', 'rm -f /etc/arbiter/*.monitor; systemctl reset-failed')

    def running(self):
        return {a['name']: a for a in json.loads(self.ctl('list-actors', '--json=short').stdout) if a['state'] == 'running'}

    def wait_running(self, n):
        return self.box.wait_for(lambda: (lambda a: a if len(a) == n else None)(self.running()), '%d running' % n)

    def units(self):
        out = self.out('systemctl', 'list-units', '--all', '--plain', '--no-legend', 'arbiter-system-*.service')
        return {line.split()[0]: line.split()[2] for line in out.splitlines()}

    def unit(self, name):
        return 'arbiter-system-%s.service' % name.replace('.', '-')

    def kill(self, actors, n):
        """Some of them, past the arbiter; their names."""
        names = self.random.sample(sorted(name for name in actors if name.startswith('nap.')), n)
        self.run_in('systemctl', 'kill', '-s', 'KILL', *[self.unit(name) for name in names])
        return names

    def settled(self, n, spared):
        """n of them run, each once, and those that are spared are who they were."""
        def look():
            actors = self.running()
            return actors if len(actors) == n and len(self.units()) == n else None
        actors = self.box.wait_for(look, '%d actors and as many units' % n)
        self.assertEqual({name: actors[name]['aid'] for name in spared}, {name: self.before[name]['aid'] for name in spared})
        pids = self.out('systemctl', 'show', '--value', '-p', 'MainPID', *[self.unit(name) for name in sorted(actors)]).split()
        self.assertEqual(pids, [str(actors[name]['pid']) for name in sorted(actors)])
        self.assertEqual(self.box.property('arbiter.service', 'MainPID'), self.pid)
        self.load.expect('answered')
        self.assertNotIn('connected', self.load.seen[1:])  # nobody was cut off
        return actors

    def deaths(self, name):
        return [(d['reason'], d['status']) for d in json.loads(self.ctl('deaths', name, '--json=short').stdout)]

    def storm(self, command, times):
        """While that goes on: up, down, killed by both, and by nobody."""
        storm = self.box.popen(['/bin/sh', '-ec', 'for i in $(seq %d); do %s; done' % (times, command)])
        self.ctl('scale', 'nap', '60')
        killed = self.kill(self.before, 5)
        self.ctl('kill', '-s', 'KILL', 'nap.60')
        self.ctl('scale', 'nap', '40')
        self.ctl('restart', 'squares.1')
        self.assertEqual(storm.wait()[0], 0)
        spared = [name for name in ('squares.2', 'squares.3', 'squares.4') if name in self.before]
        actors = self.settled(44, spared)
        for name in killed:
            if name in actors and self.deaths(name):
                self.assertEqual(self.deaths(name)[0], ('signal', 9), name)
        self.assertEqual(self.deaths('squares.2'), [])
        self.ctl('scale', 'nap', '20')
        self.settled(24, spared)

    def test_reload(self):
        self.storm('systemctl daemon-reload', 25)

    def test_reexec(self):
        self.storm('systemctl daemon-reexec', 8)

    def test_both(self):
        self.storm('systemctl daemon-reload & systemctl daemon-reexec || true; wait', 5)

    def kill_bus(self):
        self.run_in('systemctl', 'kill', '--signal=KILL', 'dbus.service')

    def test_bus(self):
        """Who has ended meanwhile has ended as he did: systemd keeps it, or the kernel tells."""
        for _ in range(3):
            self.kill_bus()
            names = self.random.sample(['nap.%d' % i for i in range(1, 21)], 3)
            for name, number in zip(names, (9, 10, 15)):
                self.run_in('kill', '-%d' % number, str(self.before[name]['pid']))
            after = self.settled_after(names)
            for name, number in zip(names, (9, 10, 15)):
                self.assertEqual(self.deaths(name)[0], ('signal', number), name)
            # The names are free again, for good: each can end and begin once more.
            for name in names:
                self.ctl('restart', name)
            self.before = self.settled_after(names, after)

    def settled_after(self, names, since=None):
        since = since or self.before
        self.box.wait_for(lambda: (lambda a: len(a) == 24 and all(a[n]['aid'] != since[n]['aid'] for n in names))(self.running()), 'successors')
        return self.settled(24, set(self.before) - set(names))

    def test_bus_amid_starts(self):
        for n in 60, 20, 60:
            cursor = self.box.cursor()
            scale = self.box.popen(['arbiterctl', 'scale', 'nap', str(n)])
            self.box.wait_for_entry(cursor, predicate=lambda e: str(e.get('MESSAGE')).endswith(('has ended: shutdown', ')'))
                                    and str(e.get('MESSAGE')).startswith('nap.'))
            self.kill_bus()
            self.assertEqual(scale.wait()[0], 0)
            self.settled(n + 4, [name for name in self.before if name.startswith('squares.')])


if __name__ == '__main__':
    case.main()
