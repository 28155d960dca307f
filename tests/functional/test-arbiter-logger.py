#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""arbiter-logger against a journal socket of our own: what it sends for what a worker writes. Waits for events only.

test-arbiter-logger.py ARBITER_LOGGER
"""

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

from journal_entry import decode

LOGGER = os.path.abspath(sys.argv[1])
ROOT = os.geteuid() == 0
PATIENCE = 30  # only a failing test waits that long
LINE_MAX = 48 * 1024
LEVEL_PREFIX = 1
FIELDS = b'SYSLOG_IDENTIFIER=web.1\nARBITER_NAME=web.1\n'
SCM_CREDENTIALS = 2


class Journal:
    def __init__(self, path):
        self.path = path
        self.open()

    def open(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    def close(self):
        self.socket.close()
        os.unlink(self.path)

    def entry(self):
        if not select.select([self.socket], [], [], PATIENCE)[0]:
            raise AssertionError('no entry came')
        data, control, _, _ = self.socket.recvmsg(1 << 20, 256)
        fields = decode(data)
        for level, kind, value in control:
            if (level, kind) == (socket.SOL_SOCKET, SCM_CREDENTIALS):
                fields['_PID'], fields['_UID'], _ = struct.unpack('3i', value)
        return fields

    def messages(self, n):
        return [self.entry()['MESSAGE'] for _ in range(n)]

    def is_empty(self):
        return not select.select([self.socket], [], [], 0)[0]


class Case(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix='arbiter-logger-')
        self.addCleanup(temporary.cleanup)
        os.chmod(temporary.name, 0o755)
        self.journal = Journal(temporary.name + '/journal')
        self.addCleanup(lambda: self.journal.socket.close())
        self.start()

    def start(self, **options):
        self.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.logger = subprocess.Popen([LOGGER], stdin=theirs, env={**os.environ, 'ARBITER_JOURNAL_SOCKET': self.journal.path},
                                       **options)
        theirs.close()
        self.addCleanup(self.leave, self.logger, self.link)

    def leave(self, logger, link):
        link.close()
        if logger.poll() is None:
            logger.kill()
        logger.wait()

    def stream(self, fields=FIELDS, flags=LEVEL_PREFIX, interval=0, burst=0, priority=6):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        socket.send_fds(self.link, [struct.pack('=IIQII', 1, flags, interval, burst, priority) + fields], [theirs.fileno()])
        theirs.close()
        self.addCleanup(ours.close)
        return ours

    def ends(self, status=0):
        self.assertEqual(self.logger.wait(PATIENCE), status)
        self.assertTrue(self.journal.is_empty())


class Lines(Case):
    def test_fields(self):
        s = self.stream()
        s.sendall(b'hello\n')
        e = self.journal.entry()
        if ROOT:
            self.assertEqual((e.pop('_PID'), e.pop('_UID')), (os.getpid(), 0))
        else:
            self.assertEqual(e.pop('_PID'), self.logger.pid)
            e.pop('_UID')
        self.assertEqual(e, {'MESSAGE': b'hello', 'PRIORITY': b'6', 'SYSLOG_IDENTIFIER': b'web.1', 'ARBITER_NAME': b'web.1',
                             'ARBITER_PID': str(os.getpid()).encode()})

    def test_descriptors(self):
        """Nobody wants them: refused where the kernel can, else closed."""
        s = self.stream()
        s.sendall(b'one\n')
        self.journal.entry()
        reading, writing = os.pipe()
        try:
            socket.send_fds(s, [b'two\n'], [writing])
            self.journal.entry()
        except PermissionError:
            self.assertTrue(self.can_refuse())
        else:
            self.assertFalse(self.can_refuse())
        os.close(writing)
        with open(reading, 'rb') as f:
            self.assertEqual(f.read(), b'')

    def can_refuse(self):
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.setsockopt(socket.SOL_SOCKET, 83, 0)
            except OSError:
                return False
        return True

    def test_priorities(self):
        s = self.stream(priority=5)
        s.sendall(b'<3>bad\n<8>eight\n<3>\nplain\n<0>\xff\n <3>x\n<3')
        s.close()
        got = [self.journal.entry() for _ in range(6)]
        self.assertEqual([(e['PRIORITY'], e['MESSAGE']) for e in got],
                         [(b'3', b'bad'), (b'5', b'<8>eight'), (b'5', b'plain'), (b'0', b'\xff'), (b'5', b' <3>x'), (b'5', b'<3')])
        s = self.stream(flags=0)
        s.sendall(b'<3>as it is\n')
        e = self.journal.entry()
        self.assertEqual((e['PRIORITY'], e['MESSAGE']), (b'6', b'<3>as it is'))

    def test_line_breaks(self):
        s = self.stream()
        s.sendall(b'one\n\n\ntwo\0three\r\nlast')
        s.close()
        got = [self.journal.entry() for _ in range(4)]
        self.assertEqual([(e['MESSAGE'], e.get('ARBITER_LINE_BREAK')) for e in got],
                         [(b'one', None), (b'two', b'nul'), (b'three\r', None), (b'last', b'eof')])

    def test_pieces_of_a_line(self):
        s = self.stream()
        for c in b'bit by bit':
            s.sendall(bytes([c]))
        self.assertTrue(self.journal.is_empty())
        s.sendall(b'\n')
        self.assertEqual(self.journal.messages(1), [b'bit by bit'])

    def test_long_lines(self):
        text = b'<4>' + b'x' * (LINE_MAX - 4) + '\u20ac'.encode() + b'<2>' * 20000
        s = self.stream()
        writer = subprocess.Popen([sys.executable, '-c', 'import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())'],
                                  stdin=subprocess.PIPE, stdout=s)
        s.close()
        writer.communicate(text + b'\nnext\n')
        got, size = [], 0
        while size < len(text) - 3:
            got.append(self.journal.entry())
            size += len(got[-1]['MESSAGE'])
        self.assertEqual(b''.join(e['MESSAGE'] for e in got), text[3:])
        self.assertEqual([e.get('ARBITER_LINE_BREAK') for e in got], [b'line-max'] * (len(got) - 1) + [None])
        self.assertEqual({e['PRIORITY'] for e in got}, {b'4'})
        self.assertEqual(len(got[0]['MESSAGE']), LINE_MAX - 4)  # not in the midst of a character
        self.assertEqual(self.journal.messages(1), [b'next'])

    def test_another_process(self):
        s = self.stream()
        s.sendall(b'one of ours, ')
        self.logger.send_signal(signal.SIGSTOP)
        child = subprocess.Popen(['/bin/echo', 'one of theirs'], stdout=s)
        child.wait()
        self.logger.send_signal(signal.SIGCONT)
        s.sendall(b'ours\n')
        got = [self.journal.entry() for _ in range(3)]
        self.assertEqual([(e['MESSAGE'], e.get('ARBITER_LINE_BREAK')) for e in got],
                         [(b'one of ours, ', b'pid-change'), (b'one of theirs', None), (b'ours', None)])
        self.assertEqual([int(e['ARBITER_PID']) for e in got], [os.getpid(), child.pid, os.getpid()])
        if ROOT:  # the one who has been reaped cannot be said to have sent it
            self.assertEqual([e['_PID'] for e in got], [os.getpid(), self.logger.pid, os.getpid()])

    @unittest.skipUnless(ROOT, 'needs root')
    def test_unprivileged(self):
        self.start(user=65534, group=65534)
        s = self.stream()
        s.sendall(b'hello\nagain\n')
        for text in b'hello', b'again':
            e = self.journal.entry()
            self.assertEqual((e['MESSAGE'], e['_PID'], e['_UID']), (text, self.logger.pid, 65534))
            self.assertEqual(int(e['ARBITER_PID']), os.getpid())


class Floods(Case):
    def flood(self):
        s = self.stream()
        child = subprocess.Popen(['/usr/bin/yes', 'flood'], stdout=s)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        s.close()
        return child

    def test_fairness(self):
        floods = [self.flood() for _ in range(3)]
        for _ in range(1000):
            self.assertEqual(self.journal.entry()['MESSAGE'], b'flood')
        quiet = self.stream()
        for i in range(20):
            quiet.sendall(b'quiet %d\n' % i)
            n = 0
            while self.journal.entry()['MESSAGE'] != b'quiet %d' % i:
                n += 1
            # what is in the socket already, and one turn of each flood
            self.assertLess(n, 512 + len(floods) * 128 * 2)

    def test_backpressure(self):
        """The journal takes nothing: the worker waits, and nothing grows."""
        s = self.stream()
        s.setblocking(False)
        line, n = b'x' * 99 + b'\n', 0
        while select.select([], [s], [], 1)[1]:
            try:
                n += s.send(line * 100)
            except BlockingIOError:
                pass
        self.assertLess(n, 2 << 20)
        with open('/proc/%d/status' % self.logger.pid, encoding='ascii') as f:
            rss = [int(x.split()[1]) for x in f if x.startswith('VmRSS')][0]
        self.assertLess(rss, 64 << 10)
        s.close()
        received = 0
        while received < n:  # all of it is there, in order
            received += len(self.journal.entry()['MESSAGE']) + 1
        self.assertEqual(received, n + (n % 100 != 0))

    def test_rate_limit(self):
        s = self.stream(interval=3600 * 1000000, burst=5)
        s.sendall(b''.join(b'%d\n' % i for i in range(12)))
        s.close()
        self.assertEqual(self.journal.messages(5), [b'%d' % i for i in range(5)])
        e = self.journal.entry()
        self.assertEqual((e['PRIORITY'], e['ARBITER_NAME']), (b'4', b'web.1'))
        self.assertRegex(e['MESSAGE'], rb'^7 lines were dropped: more than 5 in 3\.6e\+03 s')
        self.assertTrue(self.journal.is_empty())

    def test_many_streams(self):
        streams = [self.stream(b'ARBITER_NAME=web.%d\n' % i) for i in range(300)]
        for s in streams:
            s.sendall(b'<5>I am\nhere')
            s.close()
        got = {}
        for _ in range(600):
            e = self.journal.entry()
            got.setdefault(e['ARBITER_NAME'], []).append(e['MESSAGE'])
        self.assertEqual(got, {b'web.%d' % i: [b'I am', b'here'] for i in range(300)})


class Ends(Case):
    def test_journal_restart(self):
        s = self.stream()
        s.sendall(b'before\n')
        self.assertEqual(self.journal.messages(1), [b'before'])
        self.journal.close()
        for i in range(50):
            s.sendall(b'between %d\n' % i)
        self.journal.open()
        s.sendall(b'after\n')
        self.assertEqual(self.journal.messages(51), [b'between %d' % i for i in range(50)] + [b'after'])

    def test_without_arbiter(self):
        """It is there for the workers as long as they are."""
        s = self.stream()
        self.link.close()
        s.sendall(b'still here\n')
        self.assertEqual(self.journal.messages(1), [b'still here'])
        s.sendall(b'last words')
        s.close()
        self.assertEqual(self.journal.messages(1), [b'last words'])
        self.ends()

    def test_nothing_to_do(self):
        self.link.close()
        self.ends()

    def test_sigterm(self):
        """Of its unit: the last words come first. The terminal's signals are for others."""
        s = self.stream()
        s.sendall(b'here\n')
        self.assertEqual(self.journal.messages(1), [b'here'])
        for number in signal.SIGINT, signal.SIGHUP, signal.SIGTERM:
            self.logger.send_signal(number)
        s.sendall(b'goodbye\n')
        s.close()
        self.assertEqual(self.journal.messages(1), [b'goodbye'])
        self.ends()

    def test_nonsense_from_the_link(self):
        r, w = os.pipe()
        head = struct.pack('=IIQII', 1, 0, 0, 0, 6)
        for data in b'x', head + b'no field', head[:8], struct.pack('=IIQII', 2, 0, 0, 0, 6), b'y' * 20000:
            socket.send_fds(self.link, [data], [r, r])
        self.link.send(head)
        os.close(r)
        s = self.stream()
        s.sendall(b'alive\n')
        self.assertEqual(self.journal.messages(1), [b'alive'])
        with self.assertRaises(BrokenPipeError):  # none of them has been kept
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            os.write(w, b'x')
        os.close(w)

    def test_not_by_hand(self):
        for arguments, options in (['--help'], {}), ([], {'stdin': subprocess.DEVNULL}):
            p = subprocess.run([LOGGER, *arguments], stderr=subprocess.PIPE, check=False, **options)
            self.assertEqual(p.returncode, 2)
            self.assertIn(b'started by arbiterd', p.stderr)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1] + sys.argv[2:], verbosity=2)
