#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The arbiter is killed at any moment: while it spawns, stops, scales, rolls and reloads, while a tree is restarted by its
strategies, while its actors are killed, under load between them and over D-Bus. Each time the next one has what there was: the same lives, each once, each supervised, and
nothing that was sent is lost. ARBITER_TEST_SEED repeats what was done, ARBITER_TEST_KILLS says how often."""

import collections
import json
import os
import random
import re

import case

LONG = 'ARBITER_TEST_LONG' in os.environ
SEED = int(os.environ.get('ARBITER_TEST_SEED', '0')) or random.SystemRandom().randrange(1, 1 << 32)
KILLS = int(os.environ.get('ARBITER_TEST_KILLS', '200' if LONG else '15'))
DROP_IN = '/run/systemd/system/arbiter.service.d/chaos.conf'
FIXED = ['flow', 'sink', 'unitflow', 'unitsink', 'hunter', 'still.1', 'still.2', 'stillunit.1']
# As they are when nothing is going on.
WORKERS = {'squares': 4, 'nap': 4, 'hosted': 3, 'web': 3, 'roots': 2}
# How they are replaced.
ROLLS = {'squares': 'MaxSurge=2\nDrainSec=200ms\n', 'nap': 'MaxSurge=1\nMaxUnavailable=0\n', 'hosted': 'MaxUnavailable=2\n'}
# By rest-for-one, the second and the third by one-for-all.
TREE = ['shopdb', 'shopcache', 'shopqueue', 'shopweb']
UNITS = ('web', 'roots', 'stillunit', 'stillunit.1', 'unitflow', 'unitsink', 'many')
# What a call may end with that an arbiter has not answered which is no more. Anything else is not known to who called.
GONE = re.compile(r'closed the connection|No arbiter|ends, or is replaced')
# What an arbiter may answer, to calls that meet each other.
ANSWER = re.compile(r'no (actor|monitor|such)|not (running|known)|is being|stopp|already|is taken|ended|replaced|is down', re.I)
SYSTEMD = re.compile(r'Job for .* (failed|canceled)|Unit .* not (loaded|found)|is not active|Job type reload is not applicable', re.S)


class Base(case.Service):
    """What there is, and what must be."""

    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        print('ARBITER_TEST_SEED=%d' % SEED, flush=True)
        self.write(DROP_IN, '[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=1ms\n')
        self.run_in('systemctl', 'daemon-reload')
        self.addCleanup(self.restore)

    def restore(self):
        self.end()
        self.run_in('rm', '-f', DROP_IN)
        self.run_in('systemctl', 'daemon-reload')
        self.run_in('systemctl', 'reset-failed')

    # What there is

    def pool(self, name, actor, workers, environment='0'):
        # In one piece: an arbiter may begin at this moment, and a file that is empty is one that is not there.
        self.write('/etc/chaos.new', '[Monitor]\nWorkers=%d\nRestartIntensity=1000\nBackoffMaxSec=100ms\n%s'
                   '[Actor]\nUser=nobody\nEnvironment=VERSION=%s\n%s' % (workers, ROLLS.get(name, ''), environment, actor))
        self.run_in('mv', '/etc/chaos.new', '%s/%s.monitor' % (self.ETC, name))

    DEFINITIONS = {'squares': 'Module=/usr/local/lib/squares.so\n', 'nap': 'Exec=/bin/sleep 1000\n',
                   'hosted': 'Concurrency=thread\nModule=/usr/local/lib/squares.so\n',
                   'web': 'Concurrency=unit\nExec=/bin/sleep 1000\n',
                   'roots': 'Concurrency=unit\nModule=/usr/local/lib/squares.so\n'}

    def lone(self, name, actor):
        self.write('%s/%s.actor' % (self.ETC, name), '[Actor]\nUser=nobody\n' + actor)

    def tree(self, name, strategy, children):
        self.write('%s/%s.monitor' % (self.ETC, name), '[Monitor]\nStrategy=%s\nChildren=%s\nRestartIntensity=1000\n'
                   'BackoffMinSec=10ms\nBackoffMaxSec=100ms\n' % (strategy, children))

    def begin(self):
        self.box.copy(os.path.join(self.box.build, 'examples/squares.so'), '/usr/local/lib/squares.so', 0o755)
        self.box.copy(os.path.join(self.box.build, 'tests/integration/flow.so'), '/usr/local/lib/flow.so', 0o755)
        for name, workers in WORKERS.items():
            self.pool(name, self.DEFINITIONS[name], workers)
        self.pool('still', 'Module=/usr/local/lib/squares.so\n', 2)
        self.pool('stillunit', 'Concurrency=unit\nExec=/bin/sleep 1000\n', 1)
        flow = 'Module=/usr/local/lib/flow.so\n'
        self.lone('sink', flow)
        self.lone('flow', flow + 'Params=target=sink\n')
        self.lone('unitsink', 'Concurrency=unit\n' + flow)
        self.lone('unitflow', 'Concurrency=unit\n' + flow + 'Params=target=unitsink\n')
        for name in TREE:
            self.lone(name, 'Exec=/bin/sleep 1000\n')
        self.tree('shop', 'rest-for-one', 'shopdb.actor shopstore.monitor shopweb.actor')
        self.tree('shopstore', 'one-for-all', 'shopcache.actor shopqueue.actor')
        self.pool('prey', flow, 1)
        self.lone('hunter', flow + 'Params=target=prey.1\n')
        self.wanted = {**dict.fromkeys([*FIXED, *TREE, 'hosted-host', 'prey'], 1), **WORKERS}
        self.start()
        return self.supervised()

    def list(self, check=True):
        return json.loads(self.ctl('list-actors', '--json=short', check=check).stdout or '[]')

    @staticmethod
    def group(name):
        """Which workers there are is a matter of how it has come so: who is scaled down loses the oldest ones. Each host of
        threads has a name of its own."""
        return name if name in FIXED else re.sub(r'-host-\d+$', '-host', name).partition('.')[0]

    def become(self, look, expected):
        try:
            self.box.wait_for(lambda: look() == expected)
        except AssertionError:
            self.assertEqual(look(), expected)

    def settled(self):
        """All that there is to be runs, and nothing else is there."""
        actors = []

        def look():
            actors[:] = self.list(check=False)
            return dict(collections.Counter(self.group(a['name']) if a['state'] == 'running' else a['state'] for a in actors))
        self.become(look, self.wanted)
        self.assertEqual(len({a['name'] for a in actors}), len(actors), actors)
        return {a['name']: a for a in actors}

    # What must be

    @staticmethod
    def lives(actors, names):
        return {n: (actors[n]['aid'], actors[n]['pid'], actors[n]['generation']) for n in names}

    def processes(self):
        """Of actors: all that runs as nobody. Hosts of threads are no actors."""
        lines = self.run_in('ps', '-u', 'nobody', '-o', 'pid=,comm=', check=False).stdout.splitlines()
        return sorted(int(line.split()[0]) for line in lines)

    def units(self):
        out = self.out('systemctl', 'list-units', '--all', '--plain', '--no-legend', 'arbiter-system-*.service')
        return {line.split()[0]: line.split()[2] for line in out.splitlines()}

    def unit(self, name):
        return 'arbiter-system-%s.service' % name.replace('.', '-')

    def supervised(self):
        """Each actor is there once, and there is nothing else: no process without one, and no unit."""
        actors = self.settled()
        self.assertEqual(len({a['aid'] for a in actors.values()}), len(actors))
        self.become(self.processes, sorted({a['pid'] for a in actors.values() if a['pid']}))
        units = sorted(n for n in actors if self.group(n) in UNITS)
        self.become(self.units, {self.unit(n): 'active' for n in units})
        pids = self.out('systemctl', 'show', '--value', '-p', 'MainPID', *map(self.unit, units)).split()
        self.assertEqual(pids, [str(actors[n]['pid']) for n in units])
        self.assertIn('Actors: %d of ' % len(actors), self.ctl('status').stdout)
        return actors

    def fds(self):
        pids = [self.box.property(unit, 'MainPID') for unit in (self.UNIT, self.KEEPER)]
        return [len(self.out('ls', '/proc/%s/fd' % pid).split()) for pid in pids]


class Chaos(Base):
    # What is done to it

    def call(self, *argv):
        return self.box.popen(['arbiterctl', '--no-pager', '--timeout=20s', *argv])

    def one_of(self, *monitors):
        name = self.random.choice(monitors or sorted(WORKERS))
        return self.random.choice(sorted(n for n in self.before if n.startswith(name + '.')))

    def scale(self):
        name = self.random.choice(sorted(WORKERS))
        return self.call('scale', name, str(self.random.choice([0, 1, WORKERS[name] + 1, 8, 12])))

    def restart(self):
        return self.call('restart', self.random.choice([self.one_of(), self.random.choice(sorted(WORKERS)), 'prey.1']))

    def stop_one(self):
        return self.call('stop', self.one_of())

    def stop_all(self):
        return self.call('stop', self.random.choice(sorted(WORKERS)))

    def kill_one(self):
        return self.call('kill', '-s', self.random.choice(['KILL', 'TERM']), self.random.choice([self.one_of(), 'prey.1']))

    def kill_child(self):
        return self.call('kill', '-s', 'KILL', self.random.choice(TREE))

    def reload_one(self):
        name = self.random.choice(sorted(WORKERS))
        self.pool(name, self.DEFINITIONS[name], WORKERS[name], str(self.random.randint(0, 2)))
        return self.call('reload', name)

    def abort(self):
        return self.call('reload', '--abort', self.random.choice(sorted(ROLLS)))

    def kill_many(self):
        """Past the arbiter."""
        names = ['prey.1'] + [self.one_of() for _ in range(self.random.randint(1, 5))]
        host = next(a['pid'] for n, a in self.before.items() if self.group(n) == 'hosted-host')
        pids = {self.before[name]['pid'] or host for name in names}
        return self.box.popen(['kill', '-KILL', *map(str, sorted(pids))])

    def systemctl(self):
        verb = self.random.choice([['stop'], ['restart'], ['kill', '-s', 'KILL']])
        return self.box.popen(['systemctl', *verb, self.unit(self.one_of('web', 'roots'))])

    def reload(self):
        name = self.random.choice(sorted(WORKERS))
        self.pool(name, self.DEFINITIONS[name], WORKERS[name] + self.random.randint(0, 2), str(self.random.randint(0, 2)))
        return self.box.popen(['systemctl', 'reload', self.UNIT])

    def spawn(self):
        return self.call('spawn', 'extra', '--', '/usr/bin/setpriv', '--reuid=nobody', '--clear-groups', '/bin/sleep', '1000')

    ACTS = [scale, scale, restart, stop_one, stop_all, kill_one, kill_many, systemctl, reload, spawn, kill_child, kill_child, reload_one,
            reload_one, abort]

    def kill_arbiter(self):
        """Its main process, whichever it is just now."""
        self.run_in('systemctl', 'kill', '--kill-who=main', '-s', 'KILL', self.UNIT, check=False)

    def ended(self, acts):
        """Each has an answer, or a known reason why it has none."""
        for act, process in acts:
            status, text = process.wait()
            good = status == 0 or GONE.search(text) or SYSTEMD.search(text) or ANSWER.search(text) or act == 'kill_many'
            self.assertTrue(good, '%s: status %d: %s' % (process.argv[-5:], status, text))

    def put_right(self):
        """All is asked for as it was at first."""
        for name, workers in WORKERS.items():
            self.pool(name, self.DEFINITIONS[name], workers)
        self.insist('reload')
        there = {m['name']: m for m in json.loads(self.insist('list-monitors', '--json=short').stdout)}
        for name, workers in WORKERS.items():
            if name not in there or there[name]['state'] != 'running':
                self.insist('restart', name)
            self.insist('scale', name, str(workers))
        self.insist('restart', 'prey.1')
        actors = {a['name']: a for a in self.list()}
        if 'extra' in actors:
            self.insist('stop', 'extra')
        for name, a in actors.items():
            if a['state'] not in ('running', 'starting', 'stopping'):
                self.ctl('restart', name, check=False)

    def insist(self, *argv):
        """Until an arbiter is there to be asked."""
        def ask():
            p = self.ctl(*argv, check=False)
            if p.returncode != 0 and not GONE.search(p.stderr):
                raise AssertionError('%s: %s' % (argv, p.stderr))
            return p if p.returncode == 0 else None
        return self.box.wait_for(ask, ' '.join(argv))

    # What must be, too

    def flows_are_whole(self):
        for name in 'flow', 'unitflow', 'hunter':
            self.ctl('send', name, 'stop_sending')
            self.box.wait_for(lambda n=name: (lambda r: r['answered'] + r['failed'] == r['asked'])(self.report(n)), 'the last answer')
        for name, sink in ('flow', 'sink'), ('unitflow', 'unitsink'):
            sent = self.report(name)
            self.box.wait_for(lambda s=sink, n=sent: self.report(s)['got'] == n['sent'], 'the last message')
            self.assertEqual((self.report(sink)['gaps'], sent['failed']), (0, 0), sent)
            self.assertGreater(sent['sent'], 1000)

    def journal_is_coherent(self):
        """Each life begins and ends once, and who lives has not ended."""
        begun, ended = collections.Counter(), collections.Counter()
        for e in self.box.entries(self.cursor, '_SYSTEMD_UNIT=' + self.UNIT):
            if 'ARBITER_AID' in e and e.get('ARBITER_EVENT') in ('started', 'replaced', 'died', 'stopped'):
                aid, begins = e['ARBITER_AID'], e['ARBITER_EVENT'] in ('started', 'replaced')
                (begun if begins else ended)[aid] += 1
                self.assertFalse(begins and aid in ended, e['MESSAGE'])
        self.assertEqual([c.most_common(1)[0][1] for c in (begun, ended)], [1, 1])
        self.assertEqual({a['aid'] for a in self.before.values()} & set(ended), set())

    def tree_is_whole(self):
        """Nobody has outlived whom it stands on."""
        pids = [str(self.before[name]['pid']) for name in TREE]
        stats = self.out('cat', *('/proc/%s/stat' % pid for pid in pids)).splitlines()
        db, cache, queue, web = [int(line.rpartition(')')[2].split()[19]) for line in stats]
        self.assertEqual([db, cache], sorted([db, cache]))
        self.assertLessEqual(cache, queue)
        self.assertLessEqual(db, web)

    # Again and again

    def check(self):
        """Who lived lives, and no life is taken for another one."""
        actors, before = self.supervised(), self.before
        self.assertEqual(self.lives(actors, FIXED), self.lives(before, FIXED))
        for name, a in actors.items():
            old = self.latest.get(name, a)
            self.assertGreaterEqual(a['generation'], old['generation'], name)
            self.assertEqual(a['generation'] == old['generation'], (a['aid'], a['pid']) == (old['aid'], old['pid']), (a, old))
        self.latest.update(actors)
        self.before = actors
        self.tree_is_whole()

    def round(self, number):
        acts = [self.random.choice(self.ACTS) for _ in range(self.random.randint(1, 3))]
        pauses = [self.random.uniform(0, 0.2)] + [self.random.uniform(0, 0.1) for _ in range(self.random.choice([0, 0, 1, 2]))]
        print('%d: %s, killed after %s' % (number, [a.__name__ for a in acts], ['%.3f' % p for p in pauses]), flush=True)
        begun = [(act.__name__, act(self)) for act in acts]
        for pause in pauses:
            self.run_in('sleep', '%.3f' % pause)
            self.kill_arbiter()
        self.ended(begun)
        self.put_right()
        self.check()
        return len(pauses)

    def test_any_moment(self):
        self.latest = {}
        self.before = first = self.begin()
        self.begin_calls('still.1', 'still.2')
        fds, kills, number = None, 0, 0
        while kills < KILLS:
            number += 1
            kills += self.round(number)
            now = self.fds()
            fds = fds or now
            self.assertLessEqual([max(0, now[i] - fds[i] - 6) for i in (0, 1)], [0, 0], (fds, now))
        self.assertEqual(self.lives(self.before, FIXED), self.lives(first, FIXED))
        self.flows_are_whole()
        self.end_calls(KILLS)
        self.journal_is_coherent()


class Many(Base):
    """Many units, up and down, with systemctl behind the arbiter's back."""

    def count(self, n):
        self.wanted = {'many': n}
        return self.supervised()

    def test_many(self):
        n, down, up = (200, 50, 300) if LONG else (30, 8, 45)
        self.pool('many', 'Concurrency=unit\nExec=/bin/sleep 1000\n', n)
        self.start()
        self.count(n)
        self.ctl('scale', 'many', str(down))
        self.count(down)
        self.ctl('scale', 'many', str(up), timeout=120)
        before = self.count(up)
        names = self.random.sample(sorted(before), up // 2)
        third = len(names) // 3
        stopped, restarted = names[2 * third:2 * third + 3], names[2 * third + 3:]
        kill = self.box.popen(['arbiterctl', 'kill', '-s', 'KILL', *names[:third]])
        self.run_in('systemctl', 'kill', '-s', 'KILL', *map(self.unit, names[third:2 * third]))
        self.run_in('systemctl', 'kill', '--kill-who=main', '-s', 'KILL', self.UNIT)
        self.run_in('systemctl', 'restart', *map(self.unit, restarted), timeout=120)
        kill.wait()
        self.box.wait_for(lambda: self.ctl('scale', 'many', str(up), check=False).returncode == 0, 'an arbiter that answers')
        self.run_in('systemctl', 'stop', *map(self.unit, stopped))
        self.count(up - len(stopped))
        self.ctl('scale', 'many', str(up))
        after, spared = self.count(up), set(before) - set(names)
        self.assertEqual(self.lives(after, spared), self.lives(before, spared))


DAMAGE = """
import os, random, sys
keeper, what, seed = sys.argv[1:]
directory = '/proc/%s/fd/' % keeper
name, = [n for n in os.listdir(directory) if 'arbiter-state' in os.readlink(directory + n)]
fd = os.open(directory + name, os.O_RDWR)
size, rng = os.fstat(fd).st_size, random.Random(int(seed))
half = (size - 4096) // 2
used = [i for i in range(0, size, 4096) if any(os.pread(fd, 4096, i))]
if what == 'truncate':
    try:
        os.ftruncate(fd, 4096)
    except PermissionError:
        sys.exit(0)
    sys.exit('it could be truncated')
elif what == 'cut':  # from somewhere on there is nothing any more
    at = rng.choice(used) + rng.randrange(4096)
    os.pwrite(fd, bytes(size - at), at)
elif what == 'nothing':
    os.pwrite(fd, bytes(size), 0)
elif what == 'header':
    at = rng.randrange(32)
    os.pwrite(fd, bytes([os.pread(fd, 1, at)[0] ^ 1 << rng.randrange(8)]), at)
else:
    for _ in range(int(what)):
        at = rng.choice(used) + rng.randrange(4096)
        os.pwrite(fd, bytes([os.pread(fd, 1, at)[0] ^ 1 << rng.randrange(8)]), at)
"""


class Ruin(Base):
    """Of what outlives the arbiter. Nothing runs unsupervised, whatever is left of it."""

    def kill(self, *units):
        self.run_in('systemctl', 'kill', '--kill-who=main', '-s', 'KILL', *units)

    def test_keeper(self):
        """Alone: nobody is hurt, and all is kept again."""
        before = self.begin()
        for _ in range(10 if LONG else 3):
            self.kill(self.KEEPER)
            self.box.wait_for(lambda: self.ctl('daemon-reexec', check=False).returncode == 0, 'all to be kept again')
            self.kill(self.UNIT)
            self.assertEqual(self.lives(self.supervised(), FIXED), self.lives(before, FIXED))

    def test_both(self):
        """One shortly after the other."""
        self.begin()
        for _ in range(30 if LONG else 4):
            first, second = self.random.sample([self.UNIT, self.KEEPER], 2)
            self.become(lambda: self.box.property(self.KEEPER, 'SubState'), 'running')
            self.kill(first)
            self.run_in('sleep', '%.3f' % self.random.choice([0, self.random.uniform(0, 0.1)]))
            self.run_in('systemctl', 'kill', '--kill-who=main', '-s', 'KILL', second, check=False)
            self.supervised()

    def test_slice(self):
        pids = {a['pid'] for a in self.begin().values() if a['pid']}
        self.run_in('systemctl', 'kill', '-s', 'KILL', 'arbiter.slice')
        # The next arbiter may answer before systemd has told it of the last unit's end.
        self.become(lambda: pids.isdisjoint(a['pid'] for a in self.list(check=False) or [{'pid': min(pids)}]), True)
        self.assertTrue(pids.isdisjoint(a['pid'] for a in self.supervised().values()))

    def test_damaged_state(self):
        self.begin()
        kinds = ['truncate', 'header', 'cut', 'nothing', '1', '100']
        for what in kinds * 10 if LONG else kinds:
            seed = str(self.random.randrange(1 << 32))
            print('%s %s' % (what, seed), flush=True)
            before, cursor = self.supervised(), self.box.cursor()
            self.write(DROP_IN, '[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=1h\n')
            self.run_in('systemctl', 'daemon-reload')
            self.kill(self.UNIT)
            self.become(lambda: self.property('SubState'), 'auto-restart')
            self.run_in('/usr/bin/python3', '-c', DAMAGE, self.box.property(self.KEEPER, 'MainPID'), what, seed)
            self.run_in('systemctl', 'restart', self.UNIT)
            after = self.supervised()
            events = {e.get('ARBITER_EVENT') for e in self.box.entries(cursor, '_SYSTEMD_UNIT=' + self.UNIT)}
            self.assertEqual(len(events & {'re-adopted', 'state-refused'}), 1, events)
            if what == 'truncate':
                self.assertEqual(self.lives(after, before), self.lives(before, before))


if __name__ == '__main__':
    case.main()
