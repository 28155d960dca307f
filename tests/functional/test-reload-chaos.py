#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that change at random, and verbs in their midst: pools, trees and lone actors that become each other, claim each
other, are broken, go and come again. Whatever they hold, arbiterd answers; when all of them are right again it runs exactly
what they say, has no more descriptors than such an arbiter has, and ends in order. A seed that fails is printed;
ARBITER_TEST_SEED=N takes up that one.

test-reload-chaos.py ARBITERD ARBITERCTL ARBITER_HOST SQUARES_SO WRONG_ABI_SO
"""

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location('arbiterd_cases', os.path.join(HERE, 'test-arbiterd.py'))
base = importlib.util.module_from_spec(spec)
spec.loader.exec_module(base)

LONG = 'ARBITER_TEST_LONG' in os.environ
SEEDS = [int(os.environ['ARBITER_TEST_SEED'])] if 'ARBITER_TEST_SEED' in os.environ else (range(1, 61) if LONG else (1, 2, 4, 118))
STEPS = 100
NAMES = ['n%d' % i for i in range(10)]
QUICK = 'FailureAction=none\nBackoffMinSec=10ms\nBackoffMaxSec=100ms\n'
POOLS = ('', 'MaxSurge=1\nMaxUnavailable=0\n', 'MaxSurge=50%\n', 'WorkersMax=5\nScaleUpSec=200ms\nScaleDownSec=200ms\n',
         'Routing=broadcast\n', 'RuntimeMaxSec=500ms\n', 'BreakerFailures=3\nBreakerMinSec=100ms\n', 'ProgressDeadlineSec=100ms\n')
PROGRAMS = ('Exec=/bin/sleep %d000', 'Module=' + base.SQUARES + '\nParams=n=%d', 'Exec=/bin/sh -c "sleep 0.%d; exit 1"',
            'Exec=/nosuch%d', 'Exec=/bin/sh -c "trap \\"\\" TERM; sleep 10%d"',
            'Concurrency=thread\nModule=' + base.SQUARES + '\nParams=n=%d')
PROBES = ('[ReadinessProbe]\nProbeExec=/bin/true\nIntervalSec=50ms\n', '[ReadinessProbe]\nProbeExec=/bin/false\nIntervalSec=50ms\n',
          '[LivenessProbe]\nProbeExec=/bin/false\nIntervalSec=50ms\n')


class ReloadChaos(base.Case):
    def start(self, *arguments, env=None):
        """Its log is a file: nobody reads it meanwhile."""
        with open(os.path.join(self.top, 'log'), 'wb') as log:
            self.daemon = subprocess.Popen(self.command(*arguments), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                           env={**self.environment, **(env or {})})
        self.answers()

    def leave(self):
        if self.daemon:
            self.daemon.kill()
            self.daemon.wait()
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)

    def said(self):
        with open(os.path.join(self.top, 'log'), encoding='utf-8', errors='replace') as f:
            return f.read()[-20000:]

    def verb(self, *arguments, timeout=base.PATIENCE):
        """Whatever comes of it, it comes, and arbiterctl does not say that nobody answers."""
        p = subprocess.run([base.ARBITERCTL, '--no-pager', *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           stdin=subprocess.DEVNULL, timeout=timeout, env={**self.environment, 'ARBITER_RUNTIME_DIR': self.directory})
        self.assertIsNone(self.daemon.poll(), '%s: arbiterd has ended\n%s' % (arguments, self.said()))
        self.assertGreaterEqual(p.returncode, 0, arguments)
        self.assertNotIn('does not answer', p.stderr, arguments)
        return p

    def answers(self):
        for _ in range(1000):
            if self.verb('list-monitors').returncode == 0:
                return
        self.fail('it does not come up\n' + self.said())

    def worker(self):
        text = '[Actor]\n%sTimeoutStopSec=300ms\n%s\n' % (base.USER, self.random.choice(PROGRAMS) % self.random.randint(1, 9))
        if self.random.random() < .3:
            text += 'Restart=%s\n' % self.random.choice(['permanent', 'transient', 'temporary'])
        return text + (self.random.choice(PROBES) if self.random.random() < .3 else '')

    def exists(self, name):
        return os.path.exists(os.path.join(self.etc, name))

    def children(self, name):
        """Those that there are, or not: then the file is wrong."""
        found = [c + kind for c in self.random.sample(NAMES, self.random.randint(1, 4)) for kind in ('.monitor', '.actor')
                 if c != name and self.exists(c + kind)]
        return ' '.join(found + (['gone.actor'] if self.random.random() < .1 else []))

    def change(self, name):
        for kind in '.actor', '.monitor':
            if self.exists(name + kind):
                os.unlink(os.path.join(self.etc, name + kind))
        x = self.random.random()
        if x < .15:
            return
        if x < .45:
            self.write(name + '.actor', self.worker())
        elif x < .7:
            self.write(name + '.monitor', '[Monitor]\n%sMinReadySec=20ms\nDrainSec=200ms\nWorkers=%d\n%s%s' % (
                QUICK, self.random.randint(0, 4), self.random.choice(POOLS), self.worker()))
        else:
            self.write(name + '.monitor', '[Monitor]\n%sRestartIntensity=%d\nStrategy=%s\nChildren=%s\n' % (
                QUICK, self.random.choice([1, 5, 1000]), self.random.choice(['one-for-one', 'one-for-all', 'rest-for-one']),
                self.children(name)))

    def step(self):
        for name in self.random.sample(NAMES, self.random.randint(1, 5)):
            self.change(name)
        if self.random.random() < .6:
            self.verb('daemon-reload')
        name = self.random.choice(NAMES)
        self.verb(*self.random.choice([
            ['daemon-reload', '--dry-run'], ['--no-block', 'reload', name],
            ['--no-block', 'restart', name], ['--no-block', 'stop', name], ['--no-block', 'reload', '--abort', name],
            ['--no-block', 'scale', name, str(self.random.randint(0, 5))],
            ['kill', '-s', 'KILL', name + self.random.choice(['', '.1', '.2'])], ['status'], ['why'], ['metrics'],
            ['--no-block', 'add-child', name, self.random.choice(NAMES), 'x%d' % self.random.randint(0, 5)],
            ['--no-block', 'remove-child', name, self.random.choice(NAMES + ['x1', 'x2'])], ['list-children', name],
            ['--timeout=1', 'send', '--hold', name, 'square', 'x', '3'],
            ['--timeout=1', 'send', '--routing=broadcast', name, 'square', 'x', '3'],
            ['--no-block', 'spawn', name, 's%d' % self.random.randint(0, 3)]]))

    def mend(self):
        """Every file is right, and none has children."""
        for name in NAMES:
            for kind in '.actor', '.monitor':
                if self.exists(name + kind):
                    os.unlink(os.path.join(self.etc, name + kind))
            self.write(name + '.monitor', '[Monitor]\n%sWorkers=1\n[Actor]\n%sExec=/bin/sleep 1000\n' % (QUICK, base.USER))

    def check_end(self):
        self.mend()
        p = self.verb('daemon-reload')
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr + self.verb('status').stdout + self.said())
        deadline = time.monotonic() + base.PATIENCE
        while 'stopping' in self.verb('list-monitors').stdout:  # as somebody has wished, before he wishes otherwise
            self.assertLess(time.monotonic(), deadline)
        for name in NAMES:  # a stopped one, one that gave up, and one that is in the midst of a roll: all start
            self.verb('--no-block', 'restart', name)
            p = self.verb('wait', name, 'running', '--timeout=%d' % base.PATIENCE, timeout=2 * base.PATIENCE)
            self.assertEqual(p.returncode, 0, '%s: %s\n%s' % (name, p.stderr, self.said()))
        monitors = {m['name'] for m in json.loads(self.verb('list-monitors', '--json=short').stdout)}
        self.assertEqual(monitors, set(NAMES))
        # its own, and of each of the actors that run, spawned ones too, no more than three
        n = len(json.loads(self.verb('list-actors', '--json=short').stdout))
        self.assertLess(len(os.listdir('/proc/%d/fd' % self.daemon.pid)), 40 + 3 * n)

    def test(self):
        for seed in SEEDS:
            with self.subTest(seed=seed):
                self.random = random.Random(seed)
                self.setUp()
                self.start()
                for _ in range(STEPS):
                    self.step()
                self.check_end()
                self.daemon.terminate()
                self.assertEqual(self.daemon.wait(2 * base.PATIENCE), 0, self.said())
                self.daemon = None
                self.assertEqual(self.pids(), [])


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
