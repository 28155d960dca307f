#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Workers of arbiterd replaced bit by bit, as an operator sees it: reload and restart of a monitor, their progress and their
verdict, a new version that does not start, and the way back. Real processes, and no waiting for time.

test-roll.py ARBITERD ARBITERCTL ARBITER_HOST SQUARES_SO WRONG_ABI_SO
"""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location('arbiterd_cases', os.path.join(HERE, 'test-arbiterd.py'))
arbiterd = importlib.util.module_from_spec(spec)
spec.loader.exec_module(arbiterd)

# Says that it is ready, and answers who it is; or ends, if it is told to.
WORKER = '''
import os, socket, sys, time
version = sys.argv[1]
if version == 'bad':
    print('there is no database', file=sys.stderr, flush=True)
    sys.exit(7)
listener = socket.socket(fileno=3) if os.environ.get('LISTEN_FDS') else None
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
address = os.environ['NOTIFY_SOCKET']
notify.sendto(b'READY=1\\nSTATUS=version ' + version.encode(), address.replace('@', '\\0', 1) if address[0] == '@' else address)
while listener:
    c, _ = listener.accept()
    c.sendall(version.encode())
    c.close()
time.sleep(1000)
'''
PACE = 'BackoffMinSec=200ms\n'
# Good as soon as there is a file of this name.
PROBE = '''test -e %s/"$1" || { echo "no database for $1"; exit 3; }
'''
SURGE = 'Workers=3\nMaxSurge=1\nMaxUnavailable=0\n'


class Roll(arbiterd.Case):
    def setUp(self):
        super().setUp()
        self.worker = self.script('worker.py', WORKER)

    def web(self, version, monitor='Workers=3\n', actor=''):
        self.monitor('web', 'Type=notify\nExec=%s %s\n%s' % (self.worker, version, actor), PACE + monitor)

    def begin(self, monitor='Workers=3\n', actor=''):
        self.web('one', monitor, actor)
        self.start()
        self.ctl('wait', 'web', 'running')
        return self.lives()

    def lives(self):
        return {n: a['pid'] for n, a in self.actors().items()}

    def versions(self):
        found = []
        for pid in filter(None, self.lives().values()):
            try:
                with open('/proc/%d/cmdline' % pid, encoding='ascii') as f:
                    found.append((f.read() or '?\0').split('\0')[-2])
            except FileNotFoundError:  # it has just ended: that one fails, and is tried again
                pass
        return found

    def await_versions(self, expected):
        """Who leaves may be on his way yet when the roll is done."""
        deadline = time.monotonic() + arbiterd.PATIENCE
        while self.versions() != expected:
            self.assertLess(time.monotonic(), deadline)

    def shown(self, name='web'):
        return [o for o in json.loads(self.ctl('--json=short', 'status')) if o['kind'] == 'monitor' and o['name'] == name][0]

    def fails_ctl(self, *arguments):
        p = subprocess.run([arbiterd.ARBITERCTL, '--runtime-dir=' + self.directory, *arguments], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, env=arbiterd.ENVIRONMENT,
                           timeout=arbiterd.PATIENCE)
        self.assertEqual(p.returncode, 1, p)
        return p.stderr

    def test_restart(self):
        """In their own places, one after the other; and a line for each."""
        before = self.begin()
        lines = self.ctl('restart', 'web').splitlines()
        self.assertEqual([n for n in lines if 'of 3' in n][0], 'web: 1 of 3 workers replaced')
        self.assertEqual([re.match(r'web\.(\d): .*\(pid %d\) → .*\(pid \d+\)$' % before['web.%d' % (i + 1)], n).group(1)
                          for i, n in enumerate(lines[-3:])], ['1', '2', '3'])
        after = self.lives()
        self.assertEqual(set(after), set(before))
        self.assertFalse(set(after.values()) & set(before.values()))
        self.assertEqual(self.shown()['roll_state'], 'done')
        self.assertEqual(len(json.loads(self.ctl('--json=short', 'restart', 'web'))), 3)
        self.assertEqual(self.ctl('--quiet', 'restart', 'web'), '')
        self.stop()

    def test_reload(self):
        """The file is read again; workers are replaced even if it says what it said."""
        before = self.begin('Workers=3\nMaxSurge=1\nMaxUnavailable=0\n')
        out = self.ctl('reload', 'web')
        after = self.lives()
        self.assertEqual(len(after), 3)
        self.assertFalse(set(after.values()) & set(before.values()))
        self.assertIn('web.4: - → ', out)
        self.assertRegex(out, r'(?m)^web\.\d: .* → -$')
        self.web('two', 'Workers=4\nMaxSurge=50%\nMaxUnavailable=0\n')
        self.ctl('reload', 'web')
        self.assertEqual(self.versions(), ['two'] * 4)
        # What is wrong in it is told, and nothing is done.
        before = self.lives()
        self.write('web.monitor', '[Monitor]\nWorkers=many\n[Actor]\nExec=/bin/true\n')
        self.assertRegex(self.fails_ctl('reload', 'web'), r'web\.monitor:2: Workers=many is not a whole number')
        self.assertEqual(self.lives(), before)
        os.unlink(os.path.join(self.etc, 'web.monitor'))
        self.assertIn("There is no web.monitor any more. 'arbiterctl daemon-reload' stops its workers",
                      self.fails_ctl('reload', 'web'))
        self.monitor('new', 'Exec=/bin/sleep 1000\n')
        self.assertIn("No monitor 'new'", self.ctl('reload', 'new', status=4))
        self.stop()

    def test_no_block(self):
        before = self.begin()
        self.assertEqual(self.ctl('--no-block', 'reload', 'web'), 'web: reload asked for\n')
        self.log.expect('web: all workers are replaced')
        self.assertFalse(set(self.lives().values()) & set(before.values()))
        self.stop()

    def test_halted(self):
        """The old ones serve on, also one that dies meanwhile; and the way back."""
        before = self.begin('Workers=3\nMaxSurge=1\nMaxUnavailable=0\n')
        self.web('bad', 'Workers=3\nMaxSurge=1\nMaxUnavailable=0\n')
        err = self.fails_ctl('reload', 'web')
        self.assertRegex(err, r"The roll|the roll of 'web' has halted: web\.4 fails \(.*7\)\. 3 of 3 workers serve")
        self.assertIn("'arbiterctl reload --abort web'", err)
        self.log.expect(r"The roll of 'web' has halted: web\.4 fails")
        shown = self.shown()
        self.assertEqual((shown['roll_state'], shown['roll_replaced'], shown['roll_left']), ('halted', 0, 3))
        self.assertRegex(self.ctl('status', 'web'), r'Workers: 3 of 3 running.*; replacing has halted, .* fails .*: 0 new, 3 old')
        self.assertEqual({n: p for n, p in self.lives().items() if n in before}, before)
        os.kill(before['web.2'], signal.SIGKILL)
        self.log.expect(r'web\.2 is running')
        self.assertEqual(self.versions().count('one'), 3)
        # Whoever asks again is told again, and at once.
        self.assertIn('has halted', self.fails_ctl('reload', 'web'))
        self.assertEqual(self.ctl('reload', '--abort', 'web'),
                         'web: turned back, all workers are of the definition before\n')
        self.assertEqual(self.versions(), ['one'] * 3)
        self.assertEqual(self.shown()['roll_state'], 'aborted')
        self.assertIn('nothing to turn back', self.fails_ctl('reload', '--abort', 'web'))
        # The file still says it: that alone changes nothing, nor does its author's second thought.
        kept = self.lives()
        self.ctl('daemon-reload')
        self.web('one', 'Workers=3\nMaxSurge=1\nMaxUnavailable=0\n')
        self.ctl('daemon-reload')
        self.assertEqual(self.lives(), kept)
        self.web('two', 'Workers=3\nMaxSurge=1\nMaxUnavailable=0\n')
        self.ctl('reload', 'web')
        self.assertEqual(self.versions(), ['two'] * 3)
        self.stop()

    def probed(self, version, monitor):
        self.web(version, monitor, '[ReadinessProbe]\nProbeExec=/bin/sh %s %s\nIntervalSec=100ms\nFailureThreshold=1\n' % (
            self.probe, version))

    def make_ready(self, version):
        with open(os.path.join(self.etc, version), 'x', encoding='ascii'):
            pass

    def begin_probed(self, monitor=SURGE):
        self.probe = self.write('probe.sh', PROBE % self.etc)
        self.make_ready('one')
        self.probed('one', monitor)
        self.start()
        for i in range(3):
            self.ctl('wait', 'web.%d' % (i + 1), 'ready')
        return self.lives()

    def test_deadline(self):
        """A new worker that runs and never gets ready: the roll is halted for it, and what it waits for is told."""
        before = self.begin_probed()
        self.probed('two', SURGE)
        reload = subprocess.Popen([arbiterd.ARBITERCTL, '--runtime-dir=' + self.directory, 'reload', 'web'],
                                  stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, env=arbiterd.ENVIRONMENT)
        self.log.expect(r'web\.4 is not ready: its readiness probe says')
        self.probed('two', SURGE + 'ProgressDeadlineSec=1ms\n')
        self.ctl('daemon-reload')
        err = reload.communicate(timeout=arbiterd.PATIENCE)[1]
        self.assertEqual(reload.returncode, 1)
        self.assertRegex(err, r"the roll of 'web' has halted: web\.4 has not been ready for .* "
                         r"\(its readiness probe says: .*no database for two\)\. "
                         r"3 of 3 workers serve, and no other is replaced unless it gets ready")
        self.assertRegex(err, r"web\.4 goes on running, and the roll goes on when it is ready.*"
                         r"'arbiterctl reload --abort web'")
        self.log.expect(r"The roll of 'web' has halted: web\.4 has not been ready for")
        self.assertEqual({n: p for n, p in self.lives().items() if n in before}, before)
        shown = self.shown()
        self.assertEqual([shown['roll_' + k] for k in ('state', 'failing', 'reason', 'waiting', 'deadline_usec')],
                         ['halted', 'web.4', 'not-ready', 'web.4', 0])
        self.assertIn('replacing has halted, web.4 does not get ready: 0 new, 3 old', self.ctl('status', 'web'))
        why = self.ctl('why', 'web')
        self.assertRegex(why, r'has waited too long for web\.4, which has not been ready for .*\(its readiness probe says: ')
        self.assertNotIn('database', why)  # which is for its owner
        # Whoever asks again is told again, and at once.
        self.assertIn('has halted: web.4 has not been ready', self.fails_ctl('reload', 'web'))
        # Ready at last, it is not in the way any more.
        self.make_ready('two')
        self.log.expect('web: all workers are replaced')
        self.await_versions(['two'] * 3)
        self.assertEqual(self.shown()['roll_waiting'], '')
        # Or back.
        before = self.lives()
        self.probed('three', SURGE + 'ProgressDeadlineSec=1ms\n')
        self.assertIn('has halted', self.fails_ctl('reload', 'web'))
        self.assertIn('turned back', self.ctl('reload', '--abort', 'web'))
        self.assertEqual(self.lives(), before)
        self.stop()

    def test_deadline_waits(self):
        """Before, it says for whom it waits, and until when; and another deadline counts at once."""
        self.begin_probed()
        self.probed('two', SURGE)
        self.ctl('--no-block', 'reload', 'web')
        self.log.expect(r'web\.4 is not ready: its readiness probe says')
        self.assertRegex(self.ctl('why', 'web'), r'web replaces its workers: 0 of 3 are new, 3 old ones are left\. It waits for '
                         r'web\.4, which has not been ready for .* \(its readiness probe says: .*\), and halts in (10|9)min.* '
                         r'unless it gets ready\.')
        shown = self.shown()
        self.assertEqual((shown['roll_state'], shown['roll_waiting']), ('going', 'web.4'))
        self.assertGreater(shown['roll_deadline_usec'], 0)
        self.assertIn('being replaced: 0 new, 3 old, waits for web.4 to get ready', self.ctl('status', 'web'))
        self.probed('two', SURGE + 'ProgressDeadlineSec=0\n')
        self.ctl('daemon-reload')
        self.assertEqual(self.shown()['roll_deadline_usec'], 0)
        self.assertRegex(self.ctl('why', 'web'), r'It waits for web\.4, which .* says: [^()]*\)\.')
        self.probed('two', SURGE + 'ProgressDeadlineSec=1ms\n')
        self.assertEqual(self.ctl('daemon-reload', '--dry-run').splitlines()[1].split()[:2], ['web', 'adjust'])
        self.ctl('daemon-reload')
        self.log.expect(r"The roll of 'web' has halted: web\.4 has not been ready for")
        self.stop()

    def test_mended(self):
        """It is tried again, and the rest follows when it starts."""
        self.begin()
        target = os.path.join(self.etc, 'worker.py')
        with open(target, encoding='utf-8') as f:
            good = f.read()
        with open(target, 'w', encoding='utf-8') as f:
            f.write('raise SystemExit(3)\n')
        self.assertIn('has halted: web.1 fails', self.fails_ctl('restart', 'web'))
        with open(target, 'w', encoding='utf-8') as f:
            f.write(good)
        self.log.expect('web: all workers are replaced')
        self.assertEqual(len(self.lives()), 3)
        self.stop()

    def test_third(self):
        """One that overtakes a halted one."""
        self.begin()
        self.web('bad')
        self.ctl('daemon-reload')
        self.log.expect('has halted')
        self.web('three')
        self.assertEqual(self.ctl('daemon-reload', '--dry-run').splitlines()[1].split()[:2], ['web', 'replace'])
        self.ctl('reload', 'web')
        self.assertEqual(self.versions(), ['three'] * 3)
        self.stop()

    def test_put_back(self):
        """By the file: the plan knows that it is the way back, and who still runs is not touched."""
        before = self.begin()
        self.web('bad')
        self.ctl('daemon-reload')
        self.log.expect('has halted')
        self.web('one')
        self.assertIn('turned back: this is the definition before', self.ctl('daemon-reload', '--dry-run'))
        self.ctl('daemon-reload')
        self.log.expect('the roll has been turned back')
        after = self.lives()
        self.assertEqual(len([n for n in before if after[n] == before[n]]), 2)
        self.stop()

    def test_policy(self):
        before = self.begin()
        self.web('one', 'Workers=3\nMaxSurge=2\nMinReadySec=1ms\nDrainSec=1min\nRestartIntensity=9\nBreakerFailures=5\n')
        self.assertEqual(self.ctl('daemon-reload', '--dry-run').splitlines()[1].split()[:2], ['web', 'adjust'])
        self.ctl('daemon-reload')
        self.assertEqual(self.lives(), before)
        self.assertIn('web.5: - → ', self.ctl('restart', 'web'))
        self.stop()

    def test_crashes(self):
        """A plain program is running as soon as it is executed: whoever ends within MinReadySec= has never been ready."""
        self.monitor('nap', 'Exec=/bin/sleep 1000\n', 'Workers=3\nMaxSurge=1\nMaxUnavailable=0\nMinReadySec=10s\n' + PACE)
        self.start()
        before = {n: a['pid'] for n, a in self.actors().items()}
        self.monitor('nap', 'Exec=/bin/false\n', 'Workers=3\nMaxSurge=1\nMaxUnavailable=0\nMinReadySec=10s\n' + PACE)
        self.assertIn('nap.4 fails (exit-code 1). 3 of 3 workers serve', self.fails_ctl('reload', 'nap'))
        self.assertEqual({n: a['pid'] for n, a in self.actors().items() if n in before}, before)
        self.ctl('reload', '--abort', 'nap')
        self.assertEqual({n: a['pid'] for n, a in self.actors().items()}, before)
        self.stop()

    def test_breaker(self):
        self.monitor('nap', 'Exec=/bin/false\n', 'Workers=3\nBreakerFailures=3\nBreakerMinSec=1h\nBreakerMaxSec=1h\n')
        self.start()
        self.log.expect('nap: too many workers fail; none is started for 60 min|1 h')
        self.assertEqual(self.shown('nap')['breaker'], 'open')
        self.assertIn('too many fail: none is started for a while', self.ctl('status', 'nap'))
        self.monitor('nap', 'Exec=/bin/sleep 1000\n', 'Workers=3\nBreakerFailures=3\nBreakerMinSec=1h\nBreakerMaxSec=1h\n')
        self.ctl('reload', 'nap')
        self.assertEqual(self.shown('nap')['breaker'], 'closed')
        self.assertEqual(len(self.actors()), 3)
        self.stop()

    def ask(self, port):
        with socket.create_connection(('127.0.0.1', port), timeout=arbiterd.PATIENCE) as s:
            return s.recv(100).decode()

    def test_sockets(self):
        """Another port: the old one is listened to as long as somebody may be started with it."""
        with socket.socket() as a, socket.socket() as b:
            a.bind(('127.0.0.1', 0))
            b.bind(('127.0.0.1', 0))
            old, new = a.getsockname()[1], b.getsockname()[1]
        self.begin('Workers=2\n', 'ListenStream=127.0.0.1:%d\n' % old)
        self.assertEqual(self.ask(old), 'one')
        self.web('bad', 'Workers=2\n', 'ListenStream=127.0.0.1:%d\n' % new)
        self.assertIn('has halted', self.fails_ctl('reload', 'web'))
        self.assertEqual(self.ask(old), 'one')
        self.ctl('reload', '--abort', 'web')
        self.assertEqual(self.ask(old), 'one')
        self.web('two', 'Workers=2\n', 'ListenStream=127.0.0.1:%d\n' % new)
        self.ctl('reload', 'web')
        self.assertEqual(self.ask(new), 'two')
        with self.assertRaises(ConnectionRefusedError):
            self.ask(old)
        # Each worker its own: a surge brings one more.
        own = 'ListenStream=127.0.0.1:%d\nReusePort=yes\n' % new
        self.web('three', 'Workers=2\nMaxSurge=1\nMaxUnavailable=0\n', own)
        self.ctl('daemon-reload')
        self.ctl('wait', 'web', 'running')
        self.web('four', 'Workers=2\nMaxSurge=1\nMaxUnavailable=0\n', own)
        self.ctl('reload', 'web')
        self.assertEqual({self.ask(new) for _ in range(20)}, {'four'})
        self.stop()

    def test_threads(self):
        """A new version of a module needs a process of its own: that of the old one has it loaded."""
        text = 'Concurrency=thread\nModule=%s\nParams=version=%%s\n' % arbiterd.SQUARES
        self.monitor('squares', text % 'one', 'Workers=2\nMaxSurge=1\nMaxUnavailable=0\n')
        self.start()
        self.ctl('wait', 'squares', 'running')
        host = {a['name']: a['pid'] for a in json.loads(self.ctl('--json=short', 'list-actors'))}['squares-host']
        self.monitor('squares', text % 'two', 'Workers=2\nMaxSurge=1\nMaxUnavailable=0\n')
        self.ctl('reload', 'squares')
        self.log.expect('squares-host has ended')
        actors = {a['name']: a for a in json.loads(self.ctl('--json=short', 'list-actors'))}
        hosts = [a['pid'] for n, a in actors.items() if 'host' in n]
        self.assertNotIn(host, hosts)
        workers = [n for n in actors if n.startswith('squares.')]
        self.assertEqual(len(workers), 2)
        for name in workers:
            self.assertEqual(self.ctl('send', name, 'parameter', 's', 'version'), 's "two"\n')
        self.stop()


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
