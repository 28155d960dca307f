#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rolls of pools in a machine: of processes and of units, with the last lines of a worker that fails, and with an arbiter
that is killed in the midst of one."""

import json
import re
import threading

import case

WORKER = '/usr/local/libexec/roll-worker'
SERVER = '/usr/local/libexec/roll-server'
KINDS = {'process': '', 'unit': 'Concurrency=unit\n'}


class Rolls(case.Service):
    def setUp(self):
        super().setUp()
        self.write(WORKER, '#!/bin/sh\n[ "$1" = bad ] && { echo "there is no database" >&2; exit 7; }\n'
                   '[ "$1" = 3 ] && echo "waits for a database" >&2\nexec sleep 100$1\n', 0o755)
        self.addCleanup(self.end)

    def web(self, version, kind='process', monitor='', more=''):
        self.monitor('web', '%sExec=%s %s\n%s' % (KINDS[kind], WORKER, version, more),
                     'Workers=3\nBackoffMinSec=200ms\nMaxSurge=1\nMaxUnavailable=0\n' + monitor)

    def unready(self, kind, deadline, more=''):
        """A version that runs, and does not get ready."""
        self.web('3', kind, 'ProgressDeadlineSec=%s\n' % deadline,
                 more + '[ReadinessProbe]\nProbeExec=/bin/false\nIntervalSec=200ms\n')

    def versions(self):
        """Of the processes that there are, whatever the arbiter says."""
        lines = self.run_in('pgrep', '-u', 'nobody', '-a', check=False).stdout.splitlines()
        return sorted(line.split()[-1][3:] for line in lines if 'sleep 100' in line)

    def roll(self):
        shown = [o for o in json.loads(self.ctl('--json=short', 'status').stdout) if o.get('name') == 'web' and o['kind'] == 'monitor']
        return shown[0]

    def begin(self, kind):
        self.web('1', kind)
        self.start()
        self.ctl('wait', 'web', 'running', '--timeout=20s')
        self.assertEqual(self.versions(), ['1'] * 3)

    def until(self, *states):
        self.box.wait_for(lambda: self.roll()['roll_state'] in states, 'a roll that is ' + ' or '.join(states))

    def test_done(self):
        for kind in KINDS:
            with self.subTest(kind):
                self.begin(kind)
                self.web('2', kind)
                out = self.ctl('reload', 'web').stdout
                self.assertIn('of 3 workers replaced', out)
                self.assertIn('web.4: - ', out)
                self.assertEqual(self.versions(), ['2'] * 3)
                if kind == 'unit':
                    units = self.out('systemctl', 'list-units', '--plain', '--no-legend', 'arbiter-*web*.service').splitlines()
                    self.assertEqual(len([u for u in units if ' running ' in u]), 3)
                self.stop()

    def test_halted(self):
        """With what the worker said last; and the way back."""
        for kind in KINDS:
            with self.subTest(kind):
                self.begin(kind)
                self.web('bad', kind)
                p = self.ctl('reload', 'web', check=False)
                self.assertEqual(p.returncode, 1)
                self.assertRegex(p.stderr, r'has halted: web\.\d fails .*3 of 3 workers serve')
                self.assertRegex(p.stderr, r'(?s)The last lines of web\.\d \(.*there is no database')
                self.assertIn('reload --abort web', p.stderr)
                self.assertEqual(self.versions(), ['1'] * 3)
                self.ctl('reload', '--abort', 'web')
                self.assertEqual(self.versions(), ['1'] * 3)
                self.stop()

    def test_deadline(self):
        """A worker that never gets ready: what it said last; and the next arbiter waits no longer than the one before."""
        for kind in KINDS:
            with self.subTest(kind):
                self.begin(kind)
                self.unready(kind, '1h')
                told, cursor = [], self.box.cursor()
                thread = threading.Thread(target=lambda: told.append(self.ctl('reload', 'web', check=False)))
                thread.start()
                self.box.wait_for(lambda: self.roll()['roll_waiting'] == 'web.4', 'one that is waited for')
                self.entry('ARBITER_NAME=web.4', cursor=cursor, predicate=lambda e: 'waits for a database' in e['MESSAGE'])
                self.entry('ARBITER_NAME=web.4', cursor=cursor, predicate=lambda e: 'web.4 is not ready' in e['MESSAGE'])
                self.unready(kind, '1ms')
                self.ctl('daemon-reload')
                thread.join()
                self.assertEqual(told[0].returncode, 1)
                self.assertRegex(told[0].stderr, r'has halted: web\.4 has not been ready for .*probe says: .*3 of 3 workers serve')
                self.assertRegex(told[0].stderr, r'(?s)The last lines of web\.4 \(.*waits for a database')
                self.crash()
                self.until('halted')
                self.assertEqual((self.roll()['roll_failing'], self.roll()['roll_reason']), ('web.4', 'not-ready'))
                self.assertRegex(self.ctl('why', 'web').stdout, r'has waited too long for web\.4')
                self.ctl('reload', '--abort', 'web')
                self.assertEqual(self.versions(), ['1'] * 3)
                self.unready(kind, '1h')
                self.ctl('--no-block', 'reload', 'web')
                self.box.wait_for(lambda: self.roll()['roll_waiting'] == 'web.4', 'one that is waited for')
                until = self.roll()['roll_deadline_usec']
                self.assertGreater(until, 0)
                self.crash()
                self.box.wait_for(lambda: self.roll()['roll_waiting'] == 'web.4', 'one that is waited for')
                self.assertEqual((self.roll()['roll_state'], self.roll()['roll_deadline_usec']), ('going', until))
                self.ctl('reload', '--abort', 'web')
                self.assertEqual(self.versions(), ['1'] * 3)
                self.stop()

    def test_killed_sockets(self):
        """A socket that two workers have when the arbiter dies: what waits there is served in the end."""
        listen = 'ListenStream=127.0.0.1:4711\nReusePort=yes\n'
        self.write(SERVER, '#!/usr/bin/python3\nimport socket\ns = socket.socket(fileno=3)\nwhile True:\n'
                   '    c, _ = s.accept()\n    c.sendall(b"served")\n    c.close()\n', 0o755)
        self.write('/usr/local/libexec/roll-clients', '#!/usr/bin/python3\nimport socket\n'
                   'all = [socket.create_connection(("127.0.0.1", 4711), 60) for _ in range(24)]\n'
                   'open("/run/roll-clients", "w").close()\nprint({c.recv(9) for c in all})\n', 0o755)
        self.web('1', more=listen)
        self.start()
        self.ctl('wait', 'web', 'running', '--timeout=20s')
        said = []
        thread = threading.Thread(target=lambda: said.append(self.run_in('/usr/local/libexec/roll-clients', check=False).stdout))
        thread.start()
        self.box.wait_for(lambda: self.run_in('test', '-e', '/run/roll-clients', check=False).returncode == 0, 'clients that wait')
        self.unready('process', '1h', listen)
        self.ctl('--no-block', 'reload', 'web')
        self.box.wait_for(lambda: self.roll()['roll_waiting'] == 'web.4', 'one that is waited for')
        self.crash()
        self.box.wait_for(lambda: self.roll()['roll_waiting'] == 'web.4', 'one that is waited for')
        self.monitor('web', 'Exec=%s\n%s' % (SERVER, listen), 'Workers=3\nMaxSurge=1\nMaxUnavailable=0\n')
        self.ctl('reload', 'web')
        thread.join()
        self.assertEqual(said, ["{b'served'}\n"])
        self.stop()

    def test_killed(self):
        """The arbiter, in the midst of it: the next one goes on."""
        for kind in KINDS:
            with self.subTest(kind):
                self.begin(kind)
                self.web('2', kind)
                self.ctl('--no-block', 'reload', 'web')
                self.box.wait_for(lambda: self.roll()['roll_replaced'] > 0, 'the first that is replaced')
                self.crash()
                self.until('done')
                self.box.wait_for(lambda: self.versions() == ['2'] * 3, 'three of the new version')
                self.assertEqual(len(self.actors()), 3)
                self.stop()

    def test_killed_halted(self):
        """It has halted when the arbiter dies: the next one knows the definition before, by its text."""
        for kind in KINDS:
            with self.subTest(kind):
                self.begin(kind)
                self.web('bad', kind)
                self.assertEqual(self.ctl('reload', 'web', check=False).returncode, 1)
                self.crash()
                self.assertEqual(self.versions(), ['1'] * 3)
                self.until('halted')
                cursor = self.box.cursor()
                old = [a for a in self.actors().values() if a['state'] == 'running' and a['pid'] > 0]
                self.box.kill(sorted(old, key=lambda a: a['uptime_usec'])[-1]['pid'], 9)
                self.entry('_SYSTEMD_UNIT=' + self.UNIT, cursor=cursor,
                           predicate=lambda e: re.search(r'web\.\d is running', e['MESSAGE']))
                self.box.wait_for(lambda: self.versions() == ['1'] * 3, 'the old one again')
                self.ctl('reload', '--abort', 'web')
                self.assertEqual(self.versions(), ['1'] * 3)
                self.assertEqual(self.roll()['roll_state'], 'aborted')
                # And once more: what was given up is not tried only because this arbiter is new.
                self.crash()
                self.assertEqual(self.roll()['roll_state'], 'aborted')
                self.assertEqual(self.versions(), ['1'] * 3)
                self.web('2', kind)
                self.ctl('reload', 'web')
                self.assertEqual(self.versions(), ['2'] * 3)
                self.stop()

    def test_put_back_meanwhile(self):
        """The arbiter dies in the midst of it, and before the next one reads the file, that is as it was."""
        self.begin('process')
        self.web('bad')
        self.assertEqual(self.ctl('reload', 'web', check=False).returncode, 1)
        self.web('1')
        self.crash()
        self.until('aborted')
        self.assertEqual(self.versions(), ['1'] * 3)

    def test_by_a_user(self):
        """Without a right to it nothing is done."""
        self.begin('process')
        for verb in ('reload', 'restart'), ('reload', '--abort'):
            p = self.ctl(*verb, 'web', '--no-ask-password', user='bob', check=False)
            self.assertNotEqual(p.returncode, 0)
        self.assertEqual(self.versions(), ['1'] * 3)
        self.assertEqual(self.roll()['roll_state'], 'none')


if __name__ == '__main__':
    case.main()
