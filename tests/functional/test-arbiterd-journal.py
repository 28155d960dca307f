#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""arbiterd with a journal: the fields of its entries, the lines of its workers through arbiter-logger, and what happens when
the journal stands still or the logger dies. A journal socket of our own, real workers; waits for entries, never for time.

test-arbiterd-journal.py ARBITERD ARBITERCTL ARBITER_LOGGER CATALOG
"""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

import journal_entry

ARBITERD, ARBITERCTL, LOGGER, CATALOG = map(os.path.abspath, sys.argv[1:5])
USER = 'User=root\n' if os.geteuid() == 0 else ''
PATIENCE = 30  # only a failing test waits that long


def decode(data):
    return {name: value.decode(errors='backslashreplace') for name, value in journal_entry.decode(data).items()}


def catalog():
    """What the text of each id asks for."""
    with open(CATALOG, encoding='utf-8') as f:
        parts = re.split(r'^-- (\S+)\n', f.read(), flags=re.M)
    return {number: set(re.findall('@([A-Z0-9_]+)@', text)) for number, text in zip(parts[1::2], parts[2::2])}


class Case(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix='arbiterd-journal-')
        self.addCleanup(temporary.cleanup)
        self.top = temporary.name
        os.chmod(self.top, 0o755)
        self.etc, self.run, self.path = self.top + '/etc', self.top + '/run', self.top + '/journal'
        os.mkdir(self.etc)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.bind(self.path)
        self.mark, self.seen, self.daemon = uuid.uuid4().hex, [], None
        self.addCleanup(self.leave)

    def write(self, name, text):
        with open(os.path.join(self.etc, name), 'w', encoding='utf-8') as f:
            f.write(text)

    def monitor(self, name, actor, monitor=''):
        self.write(name + '.monitor', '[Monitor]\n%s[Actor]\n%s%s' % (monitor, USER, actor))

    def start(self, *arguments, target='journal'):
        self.daemon = subprocess.Popen(
            [ARBITERD, '--runtime-dir=' + self.run, '--config-dir=' + self.etc, '--logger-program=' + LOGGER, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, 'MARK': self.mark, 'ARBITER_LOG_TARGET': target, 'ARBITER_JOURNAL_SOCKET': self.path})

    def leave(self):
        if self.daemon:
            self.daemon.send_signal(signal.SIGTERM)
            self.drain_until_end()
            self.daemon.stdout.close()
            self.daemon.stderr.close()
        self.assertEqual(self.processes(), [])

    def drain_until_end(self):
        deadline = time.monotonic() + PATIENCE
        while self.daemon.poll() is None:
            self.assertLess(time.monotonic(), deadline)
            if select.select([self.socket], [], [], 0.01)[0]:
                self.seen.append(decode(self.socket.recv(1 << 20)))

    def processes(self):
        found = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open('/proc/%s/environ' % pid, 'rb') as f:
                    if self.mark.encode() in f.read() and int(pid) != os.getpid():
                        found.append(int(pid))
            except OSError:
                pass
        return found

    def logger(self):
        for pid in self.processes():
            with open('/proc/%d/comm' % pid, encoding='ascii') as f:
                if f.read() == 'arbiter-logger\n':
                    return pid
        return None

    def entry(self, deadline=None):
        now = time.monotonic()
        deadline = deadline or now + PATIENCE
        if now > deadline or not select.select([self.socket], [], [], deadline - now)[0]:
            raise AssertionError('what was awaited has not come; so far:\n' + '\n'.join(map(str, self.seen[-1000:])))
        self.seen.append(decode(self.socket.recv(1 << 20)))
        return self.seen[-1]

    def expect(self, **wanted):
        deadline = time.monotonic() + PATIENCE
        while True:
            e = self.entry(deadline)
            if all(re.fullmatch(v, e.get(k, '')) for k, v in wanted.items()):
                return e

    def event(self, event, **wanted):
        return self.expect(ARBITER_EVENT=event, **wanted)

    def ctl(self, *arguments):
        return subprocess.run([ARBITERCTL, '--runtime-dir=' + self.run, *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False)


class Entries(Case):
    def test_lives(self):
        self.monitor('web', 'Exec=/bin/sh -c "echo hello; exit 3"\n', 'RestartIntensity=2\nBackoffMinSec=1ms\nBackoffMaxSec=1ms\n')
        self.start('--log-level=debug')
        started = self.event('started')
        died = self.event('died')
        replaced = self.event('replaced')
        backoff = self.event('backoff')
        slot = self.event('gave-up', ARBITER_NAME='web.1')
        monitor = self.event('gave-up')
        self.assertEqual((started['ARBITER_NAME'], started['ARBITER_MONITOR'], started['ARBITER_GENERATION']), ('web.1', 'web', '1'))
        self.assertEqual((started['PRIORITY'], started['SYSLOG_IDENTIFIER']), ('6', 'arbiterd'))
        self.assertNotIn('ARBITER_REASON', started)
        self.assertEqual({died[k] for k in ('ARBITER_AID', 'ARBITER_PID')}, {started[k] for k in ('ARBITER_AID', 'ARBITER_PID')})
        self.assertEqual((died['ARBITER_REASON'], died['ARBITER_STATUS'], died['PRIORITY']), ('exit-code', '3', '4'))
        self.assertEqual(died['MESSAGE'], 'web.1 has ended: exit-code 3')
        self.assertEqual((backoff['ARBITER_NAME'], backoff['ARBITER_FAILURES'], backoff['PRIORITY']), ('web.1', '2', '7'))
        self.assertEqual((replaced['ARBITER_GENERATION'], replaced['ARBITER_REASON']), ('2', 'exit-code'))
        self.assertEqual((slot['ARBITER_RESTARTS'], slot['ARBITER_TIME'], slot['PRIORITY']), ('2', '10 s', '3'))
        self.assertNotIn('ARBITER_NAME', monitor)
        self.assertEqual(monitor['ARBITER_MONITOR'], 'web')
        self.assertNotEqual(monitor['MESSAGE_ID'], slot['MESSAGE_ID'])

    def test_operators_and_configuration(self):
        self.monitor('web', 'Exec=/bin/sleep 1000\n')
        self.start()
        self.event('started')
        self.assertEqual(self.ctl('scale', 'web', '2').returncode, 0)
        scaled = self.event('scaled')
        self.assertEqual((scaled['ARBITER_WORKERS_BEFORE'], scaled['ARBITER_WORKERS']), ('1', '2'))
        self.write('bad.actor', '[Actor]\nNice=x\n')
        self.daemon.send_signal(signal.SIGHUP)
        refused, reloaded = self.event('configuration-refused'), self.event('reloaded')
        self.assertEqual((refused['ARBITER_FILE'], refused['ARBITER_LINE'], refused['PRIORITY']),
                         (self.etc + '/bad.actor', '2', '3'))
        self.assertRegex(refused['ARBITER_TEXT'], '^Nice=x is not')
        self.assertEqual(reloaded['ARBITER_FAILED_FILES'], '1')
        self.assertEqual(self.ctl('stop', 'web').returncode, 0)
        self.assertEqual(self.event('stopped')['ARBITER_REASON'], 'shutdown')

    def test_silence_and_failing_starts(self):
        self.monitor('quiet', 'Exec=/bin/sleep 1000\nWatchdogSec=100ms\n', 'RestartIntensity=0\n')
        self.monitor('none', 'Exec=/nonexistent/program\n', 'RestartIntensity=0\n')
        self.start()
        failed, silent = self.event('start-failed'), None
        self.assertIn('/nonexistent/program', failed['ARBITER_TEXT'])
        silent = self.event('watchdog')
        self.assertEqual((silent['ARBITER_REASON'], silent['ARBITER_TIME'], silent['ARBITER_TIME_USEC']), ('watchdog', '0.1 s', '100000'))

    def test_hostile_texts(self):
        """Nothing that a file or a worker says becomes a field, or a second line."""
        self.write('x.actor', '[Actor]\n' + USER + 'Exec=/bin/true\nNice=1\\nPRIORITY=0\n')
        with open(self.top + '/text', 'wb') as f:
            f.write(b'a\xff\nPRIORITY=0\n<1>MESSAGE=x\n')
        self.monitor('web', 'Exec=/bin/sh -c "cat %s/text; exec sleep 1000"\n' % self.top)
        self.start()
        texts = [self.expect(SYSLOG_IDENTIFIER='web.1') for _ in range(3)]
        self.assertEqual([(e['PRIORITY'], e['MESSAGE']) for e in texts], [('6', 'a\\xff'), ('6', 'PRIORITY=0'), ('1', 'MESSAGE=x')])
        for e in self.seen:
            if 'ARBITER_FILE' in e:
                self.assertEqual(e['PRIORITY'], '3')

    def leave(self):
        super().leave()
        wanted = catalog()
        for e in self.seen:  # what the text for it needs is there
            if 'MESSAGE_ID' in e:
                self.assertLessEqual(wanted[e['MESSAGE_ID']], set(e))


class Output(Case):
    def test_lines(self):
        self.monitor('web', 'Exec=/bin/sh -c "echo out; echo \'<3>err\' >&2; exec sleep 1000"\nSyslogIdentifier=w-%i\n', 'Workers=2\n')
        self.write('plain.actor', '[Actor]\n' + USER + 'Exec=/bin/sh -c "echo \'<3>x\'; exec sleep 1000"\nSyslogLevelPrefix=no\n'
                   'StandardError=null\n')
        self.start()
        for identifier, text, priority in (('w-1', 'out', '6'), ('w-2', 'err', '3'), ('plain', '<3>x', '6')):
            while True:
                found = [e for e in self.seen if e.get('SYSLOG_IDENTIFIER') == identifier and e['MESSAGE'] == text]
                if found:
                    break
                self.entry()
            e = found[0]
            self.assertEqual(e['PRIORITY'], priority)
            name = 'web.' + identifier[-1] if identifier != 'plain' else 'plain'
            while not [s for s in self.seen if s.get('ARBITER_EVENT') == 'started' and s['ARBITER_NAME'] == name]:
                self.entry()
            started = [s for s in self.seen if s.get('ARBITER_EVENT') == 'started' and s['ARBITER_NAME'] == name][0]
            for field in 'ARBITER_AID', 'ARBITER_NAME', 'ARBITER_GENERATION', 'ARBITER_PID':
                self.assertEqual(e[field], started[field])
            self.assertEqual(e.get('ARBITER_MONITOR'), started.get('ARBITER_MONITOR'))

    def test_inherit(self):
        self.monitor('web', 'Exec=/bin/sh -c "echo out; echo err >&2; exec sleep 1000"\nStandardOutput=inherit\nStandardError=inherit\n')
        self.start()
        self.assertEqual(self.daemon.stdout.readline(), b'out\n')
        self.assertEqual(self.daemon.stderr.readline(), b'err\n')

    def test_console(self):
        """Not asked for: all as it was. Asked for by one: that one's."""
        self.monitor('a', 'Exec=/bin/sh -c "echo out; exec sleep 1000"\n')
        self.monitor('b', 'Exec=/bin/sh -c "echo out; exec sleep 1000"\nStandardOutput=journal\n')
        self.start(target='console')
        self.assertEqual(self.daemon.stdout.readline(), b'out\n')
        self.assertEqual(self.entry()['ARBITER_NAME'], 'b.1')

    def test_no_journal(self):
        self.socket.close()
        os.unlink(self.path)
        self.monitor('a', 'Exec=/bin/sh -c "echo out; exec sleep 1000"\nStandardOutput=journal\n')
        self.start()
        self.assertEqual(self.daemon.stdout.readline(), b'out\n')
        self.assertIsNone(self.logger())
        self.daemon.send_signal(signal.SIGTERM)
        self.assertEqual(self.daemon.wait(PATIENCE), 0)
        errors = self.daemon.stderr.read().decode()
        self.assertIn('Cannot log to the journal at ' + self.path, errors)
        self.assertIn('There is no journal (', errors)

    def leave(self):
        if self.socket.fileno() < 0:
            self.daemon.stdout.close()
            self.daemon.stderr.close()
            self.assertEqual(self.processes(), [])
        else:
            super().leave()

    def test_dead_logger(self):
        """Its workers wait; nothing is lost but what it had in hand."""
        self.monitor('web', 'Exec=/bin/sh -c "i=0; while read x; do i=$((i+1)); echo line $i; done < %s; exec sleep 1000"\n'
                     % (self.top + '/fifo'))
        os.mkfifo(self.top + '/fifo')
        self.start()
        with open(self.top + '/fifo', 'w', encoding='ascii') as fifo:
            fifo.write('x\n')
            fifo.flush()
            self.assertEqual(self.expect(SYSLOG_IDENTIFIER='web.1')['MESSAGE'], 'line 1')
            first = self.logger()
            os.kill(first, signal.SIGKILL)
            fifo.write('x\n')
            fifo.flush()
            self.expect(MESSAGE='arbiter-logger has ended.*')
            self.assertEqual(self.expect(SYSLOG_IDENTIFIER='web.1')['MESSAGE'], 'line 2')
            self.assertNotEqual(self.logger(), first)
            os.kill(self.logger(), signal.SIGKILL)  # and so soon again
            fifo.write('x\n' * 10000)
            fifo.flush()
            for i in range(3, 10003):
                if i < 5003:
                    self.assertEqual(self.expect(SYSLOG_IDENTIFIER='web.1')['MESSAGE'], 'line %d' % i)
        deaths = [e for e in self.seen if e.get('ARBITER_EVENT') == 'died']
        self.assertEqual(deaths, [])

    def test_many_deaths(self):
        """Descriptors of the arbiter do not add up."""
        self.monitor('web', 'Exec=/bin/true\n', 'RestartIntensity=1000\nBackoffMinSec=1ms\nBackoffMaxSec=1ms\n')
        self.start()
        self.event('started')
        before = len(os.listdir('/proc/%d/fd' % self.daemon.pid))
        for _ in range(100):
            self.event('replaced')
        self.assertLess(len(os.listdir('/proc/%d/fd' % self.daemon.pid)), before + 10)
        self.assertLess(len(os.listdir('/proc/%d/fd' % self.logger())), 30)


class Trouble(Case):
    def test_journal_stands_still(self):
        """It is never read: the arbiter answers, restarts and stops all the same."""
        self.monitor('web', 'Exec=/bin/sh -c "while :; do echo 0123456789012345678901234567890123456789; done"\n', 'Workers=2\n')
        self.monitor('dying', 'Exec=/bin/false\n', 'RestartIntensity=1000\nBackoffMinSec=1ms\nBackoffMaxSec=1ms\n')
        self.start('--log-level=debug')
        restarts = 0
        while restarts < 500:  # each of them says more than the socket holds
            self.assertIsNone(self.daemon.poll())
            out = self.ctl('--json=short', 'list-actors').stdout
            restarts = max([restarts] + [int(n) for n in re.findall(r'"name":"dying.1".*?"restarts":(\d+)', out)])
        self.assertEqual(self.ctl('restart', 'web').returncode, 0)
        self.daemon.send_signal(signal.SIGTERM)
        self.daemon.wait(PATIENCE)
        self.assertEqual(self.daemon.returncode, 0)
        while self.processes():  # the logger still has some lines
            if select.select([self.socket], [], [], 0.01)[0]:
                self.socket.recv(1 << 20)

    def test_crash_loops(self):
        """Twenty of them, as in the figures: backoff keeps them from flooding the journal."""
        self.monitor('web', 'Exec=/bin/false\n', 'Workers=20\nRestartIntensity=3\nBackoffMaxSec=300ms\n')
        self.start()
        for i in range(20):
            self.event('gave-up', ARBITER_NAME=r'web\.\d+')
        self.assertLess(len(self.seen), 20 * 12)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1] + sys.argv[5:], verbosity=2)
