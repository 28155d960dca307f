#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Units of systemd as children of trees, in their order, and as workers of pools that drain and follow their load."""

import json
import os

import case

# Says in a file, which all share, when it starts and when it is told to stop; runs when it has said READY=1.
WORKER, SAID = '/usr/local/libexec/unit-worker', '/run/said'
SCRIPT = """#!/usr/bin/python3
import os, signal, socket, sys
def say(what):
    with open('%s', 'a') as f:
        f.write(what + sys.argv[1] + ' ')
def stop(*_):
    say('-')
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
say('+')
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', os.environ['NOTIFY_SOCKET'].replace('@', chr(0)))
while True:
    signal.pause()
""" % SAID
GO = '/run/go'
FLOW = '/usr/local/lib/flow.so'


class Monitors(case.Service):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.restore)

    def restore(self):
        self.end()
        self.run_in('rm', '-f', SAID, GO)

    def unit(self, name):
        return 'arbiter-system-%s.service' % name.replace('.', '-')


class Trees(Monitors):
    def setUp(self):
        super().setUp()
        self.write(WORKER, SCRIPT, 0o755)

    def tree(self, strategy):
        self.write(SAID, '', 0o666)
        self.heard = 0
        for name in 'abc':
            self.write('%s/%s.actor' % (self.ETC, name), '[Actor]\nUser=nobody\nConcurrency=unit\nType=notify\nExec=%s %s\n' % (WORKER, name))
        self.monitor('w', 'Concurrency=unit\nType=notify\nExec=%s w\n' % WORKER, 'Workers=2\n')
        self.write(self.ETC + '/tree.monitor', '[Monitor]\nStrategy=%s\nChildren=a.actor b.actor w.monitor c.actor\n'
                   'BackoffMinSec=1ms\nBackoffMaxSec=1ms\nBackoffJitter=0\n' % strategy)

    def expect(self, text):
        """What has been said since it was last asked."""
        words = text.split()

        def look():
            said = self.out('cat', SAID).split()[self.heard:]
            return said if len(said) >= len(words) else None

        self.assertEqual(self.box.wait_for(look, text), words)
        self.heard += len(words)

    def lives(self):
        names = ['a', 'b', 'c', 'w.1', 'w.2']
        for name in names:
            self.ctl('wait', name, 'running', '--timeout=20s')
        actors = self.actors()
        for name in names:
            self.assertEqual(actors[name]['concurrency'], 'unit')
            self.assertEqual(self.box.property(self.unit(name), 'MainPID'), str(actors[name]['pid']))
        return {n: self.box.property(self.unit(n), 'InvocationID') for n in names}

    def check(self, strategy, changed, said):
        self.tree(strategy)
        self.start()
        self.expect('+a +b +w +w +c')
        before = self.lives()
        self.box.kill(self.actors()['b']['pid'], 9)
        self.expect(said)
        after = self.lives()
        self.assertEqual(sorted(n for n in before if before[n] != after[n]), changed)
        self.ctl('restart', 'tree')
        self.expect('-c -w -w -b -a +a +b +w +w +c')
        self.lives()
        self.stop()
        self.expect('-c -w -w -b -a')

    def test_one_for_one(self):
        self.check('one-for-one', ['b'], '+b')

    def test_rest_for_one(self):
        self.check('rest-for-one', ['b', 'c', 'w.1', 'w.2'], '-c -w -w +b +w +w +c')

    def test_one_for_all(self):
        self.check('one-for-all', ['a', 'b', 'c', 'w.1', 'w.2'], '-c -w -w -a +a +b +w +w +c')


class Pools(Monitors):
    def web(self, monitor, version=1):
        self.monitor('web', 'Concurrency=unit\nModule=%s\nEnvironment=VERSION=%d\n' % (FLOW, version),
                     'DrainSec=20s\nMaxSurge=1\nMaxUnavailable=0\n' + monitor)

    def begin(self, monitor):
        self.box.copy(os.path.join(self.box.build, 'tests/integration/flow.so'), FLOW, 0o755)
        self.web(monitor)
        self.write(self.ETC + '/flow.actor', '[Actor]\nUser=nobody\nModule=%s\nParams=target=web\n' % FLOW)
        self.start()
        for name in 'web', 'flow':
            self.ctl('wait', name, 'running', '--timeout=20s')
        self.box.wait_for(lambda: self.report()['answered'] > 0, 'an answer')
        self.failed = self.report()['failed']  # before there was a worker

    def report(self):
        keys = 'sent', 'got', 'gaps', 'asked', 'answered', 'failed', 'outcome'
        words = self.ctl('send', 'flow', 'report').stdout.split()[1:]
        return {k: int(v) if v.isdigit() else v for k, v in zip(keys, words)}

    def linger(self, n):
        """Requests that are begun, and answered when the file is there."""
        cursor = self.box.cursor()
        asked = [self.box.popen(['arbiterctl', 'send', 'web', 'linger', 's', GO, '--timeout=1h']) for _ in range(n)]
        begun = []
        self.box.wait_for_entry(cursor, 'ARBITER_MONITOR=web',
                                predicate=lambda e: e['MESSAGE'] == 'lingers' and (begun.append(e['ARBITER_NAME']) or len(begun) == n))
        return asked, begun

    def shown(self, name):
        return [o for o in json.loads(self.ctl('--json=short', 'status').stdout) if o.get('name') == name][0]

    def until(self, what, predicate):
        return self.box.wait_for(lambda: predicate(self.shown('web')), what)

    def let_go(self, asked):
        self.write(GO, '')
        for process in asked:
            self.assertEqual(process.wait()[0], 0, process.seen)

    def check_flow(self):
        """Every request has been answered."""
        self.ctl('send', 'flow', 'stop_sending')
        def look():
            counts = self.report()
            return counts if counts['answered'] + counts['failed'] == counts['asked'] else None

        counts = self.box.wait_for(look, 'all answers')
        self.assertEqual(counts['failed'], self.failed, counts)
        self.assertGreater(counts['answered'], 0)

    def test_drained_roll(self):
        """Under messages, one of which takes long: its worker leaves when that is answered, and nobody else fails."""
        self.begin('Workers=3\n')
        asked, (busy,) = self.linger(1)
        self.box.wait_for(lambda: self.shown(busy)['requests_begun'] > 0, 'its report of that')  # else it is told to stop at once
        before = self.actors()
        self.web('Workers=3\n', 2)
        self.ctl('--no-block', 'reload', 'web')
        self.box.wait_for(lambda: self.shown(busy)['draining'], 'that it drains')
        self.assertEqual(self.actors()[busy]['pid'], before[busy]['pid'])
        self.assertEqual(self.box.property(self.unit(busy), 'ActiveState'), 'active')
        self.assertIn('is about to be stopped', self.ctl('why', busy).stdout)
        self.let_go(asked)
        self.until('the end of the roll', lambda web: web['roll_state'] == 'done' and web['running'] == 3 and web['draining'] == 0)
        self.box.wait_for(lambda: len([n for n in self.actors() if n.startswith('web.')]) == 3, 'three workers')
        after = self.actors()
        self.assertFalse({a['aid'] for a in before.values() if a['monitor'] == 'web'} & {a['aid'] for a in after.values()})
        for name in after:
            if name.startswith('web.'):
                self.assertIn('VERSION=2', self.box.property(self.unit(name), 'Environment'))
        self.check_flow()

    def test_load(self):
        """It grows with what is begun and unanswered, and comes back to one; and nobody fails for that."""
        self.begin('WorkersMin=1\nWorkersMax=3\nScaleUpLoad=150%\nScaleUpSec=200ms\nScaleDownSec=400ms\n')
        asked, begun = self.linger(8)
        self.assertEqual(set(begun), {'web.1'})
        self.until('three workers', lambda web: web['running'] == 3)
        for name in 'web.2', 'web.3':
            self.assertEqual(self.box.property(self.unit(name), 'ActiveState'), 'active')
        self.let_go(asked)
        self.ctl('send', 'flow', 'stop_sending')
        self.until('one worker', lambda web: web['workers'] == 1 and web['running'] == 1)
        self.check_flow()


if __name__ == '__main__':
    case.main()
