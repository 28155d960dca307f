#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""arbiterctl on a terminal: top and its keys, the pager, colours, widths, the line of progress. The terminal is a pty whose
other end is read here; what is awaited is text, never time. The arbiter is fake-arbiterd.

test-arbiterctl-terminal.py ARBITERCTL FAKE_ARBITERD
"""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

ARBITERCTL, FAKE = map(os.path.abspath, sys.argv[1:3])
ENVIRONMENT = {'PATH': '/usr/bin:/bin', 'LC_ALL': 'C.UTF-8', 'HOME': '/nonexistent', 'TERM': 'xterm'}
ENVIRONMENT.update({k: v for k, v in os.environ.items() if k.endswith('SAN_OPTIONS') or k == 'LD_LIBRARY_PATH'})
PATIENCE = 30  # only a failing test waits that long
ENTER, LEAVE = '\x1b[?1049h', '\x1b[?1049l'


class Terminal:
    def __init__(self, command, rows=24, columns=80, env=None):
        self.reader, self.terminal = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.terminal)
        self.text = ''
        self.decoder = codecs.getincrementaldecoder('utf-8')('replace')  # a character may come in two parts
        self.process = subprocess.Popen(command, stdin=self.terminal, stdout=self.terminal, stderr=self.terminal,
                                        env={**ENVIRONMENT, **(env or {})}, start_new_session=True)

    def resize(self, rows, columns):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def read(self, timeout):
        if not select.select([self.reader], [], [], timeout)[0]:
            return False
        self.text += self.decoder.decode(os.read(self.reader, 65536))
        return True

    def expect(self, pattern):
        """Waits for it, and gives what came up to its end; later calls look behind it."""
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.text):
            if not self.read(max(0, deadline - time.monotonic())):
                raise AssertionError('%r did not come, but:\n%s' % (pattern, self.text))
        match = re.search(pattern, self.text)
        seen, self.text = self.text[:match.end()], self.text[match.end():]
        return seen

    def key(self, text):
        os.write(self.reader, text.encode())

    def end(self):
        """The rest of the text, and the exit status."""
        status = self.process.wait(timeout=PATIENCE)
        while self.read(0):
            pass
        return self.text, status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.reader)
        os.close(self.terminal)


class Case(unittest.TestCase):
    actors = 4

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix='arbiterctl-')
        self.addCleanup(temporary.cleanup)
        self.directory = temporary.name
        self.fake = subprocess.Popen([FAKE, self.directory, str(self.actors)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     text=True)
        self.addCleanup(self.stop)
        self.assertEqual(self.fake.stdout.readline(), 'ready\n')

    def stop(self):
        if not self.fake.stdin.closed:
            self.fake.stdin.close()
        self.assertEqual(self.fake.wait(timeout=PATIENCE), 0)
        self.fake.stdout.close()

    def run_on(self, *arguments, **kwargs):
        t = Terminal([ARBITERCTL, '--runtime-dir=' + self.directory, *arguments], **kwargs)
        self.addCleanup(t.close)
        return t


class Top(Case):
    def test_keys(self):
        t = self.run_on('top', '--delay=1h')
        self.assertIn(ENTER, t.expect(r'4 of 4 actors running, every 1h'))
        self.assertEqual(termios.tcgetattr(t.terminal)[3] & termios.ECHO, 0)
        t.expect(r'CPU%\*(?s:.*)web\.4')
        t.key('m')
        t.expect(r'MEMORY\*(?s:.*)web\.4')
        t.key('b')
        t.expect(r'MAILBOX\*(?s:.*)web\.4')
        t.key('r')
        t.expect(r'RESTARTS\*(?s:.*)web\.4')
        t.key('h')
        t.expect(r'Any key returns')
        t.key('n')  # returns, and sorts nothing
        t.expect(r'RESTARTS\*(?s:.*)web\.4')
        t.key('+')
        t.expect(r'every 1h(?s:.*)web\.4')
        t.key('q')
        text, status = t.end()
        self.assertEqual((status, text[-len(LEAVE):]), (0, LEAVE))
        self.assertEqual(termios.tcgetattr(t.terminal), t.before)

    def test_new_size(self):
        t = self.run_on('top', '--delay=1h', rows=40)
        t.expect(r'web\.4.*UPTIME|web\.4')
        t.resize(8, 30)
        os.kill(t.process.pid, signal.SIGWINCH)
        screen = t.expect(r'\d+ more actors')
        lines = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', screen.split('\x1b[H')[-1]).split('\r\n')
        self.assertLessEqual(len(lines), 8)
        self.assertLessEqual(max(len(line.strip('\r')) for line in lines), 30)
        os.kill(t.process.pid, signal.SIGTERM)
        self.assertEqual(t.end()[1], 0)
        self.assertEqual(termios.tcgetattr(t.terminal), t.before)

    def test_stopped_and_continued(self):
        t = self.run_on('top', '--delay=1h')
        t.expect(r'web\.4')
        os.kill(t.process.pid, signal.SIGTSTP)
        t.expect(re.escape(LEAVE))
        self.assertTrue(os.WIFSTOPPED(os.waitpid(t.process.pid, os.WUNTRACED)[1]))
        self.assertEqual(termios.tcgetattr(t.terminal), t.before)
        os.kill(t.process.pid, signal.SIGCONT)
        t.expect(re.escape(ENTER) + r'(?s:.*)web\.4')
        os.kill(t.process.pid, signal.SIGINT)
        self.assertEqual(t.end()[1], 0)

    def test_an_arbiter_that_leaves(self):
        t = self.run_on('top', '--delay=1h')
        t.expect(r'web\.4')
        self.stop()
        t.key(' ')
        text, status = t.end()
        self.assertEqual(status, 3)
        self.assertRegex(text, re.escape(LEAVE) + r'arbiterctl: The arbiter closed the connection')
        self.assertEqual(termios.tcgetattr(t.terminal), t.before)

    def test_without_a_terminal(self):
        p = subprocess.run([ARBITERCTL, '--runtime-dir=' + self.directory, 'top', '-b', '-n', '2', '-d', '100ms'],
                           stdout=subprocess.PIPE, text=True, env=ENVIRONMENT, timeout=PATIENCE)
        self.assertEqual((p.returncode, p.stdout.count('web.4'), p.stdout.count('\x1b')), (0, 2, 0))
        t = self.run_on('top', env={'TERM': 'dumb'})
        text, status = t.end()
        self.assertEqual((status, text.count('web.4'), text.count('\x1b')), (0, 1, 0))


class Paper(Case):
    actors = 100

    def test_pager(self):
        t = self.run_on('list-actors', env={'ARBITER_PAGER': 'sed s/^/PAGED:/'})
        text, status = t.end()
        self.assertEqual((status, text.count('PAGED:web.')), (0, 100))
        for off in [['--no-pager'], []]:
            t = self.run_on('list-actors', *off, env={'PAGER': 'sed s/^/PAGED:/' if off else 'cat'})
            text, status = t.end()
            self.assertEqual((status, text.count('PAGED'), text.count('web.')), (0, 0, 100))

    def test_pager_that_is_left(self):
        t = self.run_on('list-actors', env={'ARBITER_PAGER': 'head -n 1'})
        text, status = t.end()
        self.assertEqual((status, text.count('\n')), (0, 1), text)

    def test_less(self):
        t = self.run_on('status', '--full', rows=20)
        t.expect(r'lines 1-\d+')
        t.key('q')
        self.assertEqual(t.end()[1], 0)

    def test_width(self):
        for columns in [50, 80, 200]:
            t = self.run_on('status', '--no-pager', columns=columns, env={'NO_COLOR': '1'})
            text, status = t.end()
            tree = [line for line in text.split('\r\n') if '─web.' in line]
            self.assertEqual((status, len(tree)), (0, 100))
            if columns >= 80:
                self.assertLessEqual(max(map(len, tree)), columns)
            self.assertEqual('last life: signal KILL' in text, columns == 200)

    def test_colours(self):
        self.assertIn('\x1b[32m●', self.run_on('status', '--no-pager').end()[0])
        self.assertNotIn('\x1b[', self.run_on('status', '--no-pager', env={'NO_COLOR': '1'}).end()[0])
        self.assertNotIn('\x1b[', self.run_on('status', '--no-pager', env={'SYSTEMD_COLORS': '0'}).end()[0])
        p = subprocess.run([ARBITERCTL, '--runtime-dir=' + self.directory, 'status'], stdout=subprocess.PIPE, text=True,
                           env={**ENVIRONMENT, 'SYSTEMD_COLORS': '1'}, timeout=PATIENCE)
        self.assertIn('\x1b[32m●', p.stdout)


class Progress(Case):
    def test_progress(self):
        t = self.run_on('stop', 'web.3', '--timeout=2500ms')  # which never answers
        t.expect(r'\r\x1b\[KWaiting for web\.3… 1s')
        text, status = t.end()
        self.assertEqual(status, 1)
        self.assertRegex(text, r'\r\x1b\[Karbiterctl: web\.3: No answer in time')
        t = self.run_on('wait', 'web.9', 'running', '--timeout=1500ms')
        t.expect(r"Waiting until 'web\.9' is running \(there is none yet\)… 1s")
        self.assertEqual(t.end()[1], 124)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=1)
