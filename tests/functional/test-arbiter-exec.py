#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""arbiter-exec: what it makes of a message in its standard input, and what it says when there is none.

test-arbiter-exec.py ARBITER_EXEC
"""

import array
import json
import os
import socket
import subprocess
import sys
import unittest

PROGRAM = os.path.abspath(sys.argv[1])
SAY = ('import json, os, sys; print(json.dumps([sys.argv[1:], {k: v for k, v in os.environ.items() if k.startswith(("LISTEN", "ARBITER"))},'
       ' os.getpid(), {n: os.readlink("/proc/self/fd/%d" % n) for n in range(100) if os.path.lexists("/proc/self/fd/%d" % n)}]))')


class Exec(unittest.TestCase):
    def run_it(self, *arguments, data=None, fds=()):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            if data is not None:
                ours.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))])
            ours.close()
            return subprocess.run([PROGRAM, *arguments], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  check=False, timeout=60)

    def test_sockets_and_mailbox(self):
        pipes = [*os.pipe(), *os.pipe()]
        for fd in pipes:
            self.addCleanup(os.close, fd)
        links = [os.readlink('/proc/self/fd/%d' % fd) for fd in pipes]
        for mailbox in b'-', b'm':
            n = 4 if mailbox == b'-' else 3
            p = self.run_it(sys.executable, 'python', '-c', SAY, 'a b', '', data=b'1' + mailbox + b':'.join([b'x'] * n), fds=pipes)
            self.assertEqual((p.returncode, p.stderr), (0, ''))
            arguments, environment, pid, seen = json.loads(p.stdout)
            environment = {k: v for k, v in environment.items() if os.environ.get(k) != v}  # less what tools/check has set
            self.assertEqual(arguments, ['a b', ''])
            expected = {'LISTEN_FDS': str(n), 'LISTEN_PID': str(pid), 'LISTEN_FDNAMES': ':'.join('x' * n)}
            if mailbox == b'm':
                expected['ARBITER_MAILBOX'] = '6'
            self.assertEqual(environment, expected)
            self.assertEqual([seen[str(3 + i)] for i in range(4)], links)
            self.assertEqual(seen['0'], '/dev/null')
            self.assertEqual(set(seen), set('0123456'))

    def test_nothing_to_take(self):
        for data, fds, why in (None, (), 'none were left in standard input'), (b'1-x', (), 'Bad message'), (b'9-x', (2,), 'Bad message'):
            p = self.run_it('/bin/true', 'true', data=data, fds=fds)
            self.assertEqual((p.returncode, p.stdout), (202, ''))
            self.assertEqual(p.stderr, 'arbiter-exec: cannot take the listening sockets for /bin/true: %s\n' % why)

    def test_not_executed(self):
        p = self.run_it('/nonexistent/program', 'program', data=b'1-x', fds=(2,))
        self.assertEqual((p.returncode, p.stderr),
                         (203, 'arbiter-exec: cannot execute /nonexistent/program: No such file or directory\n'))

    def test_usage(self):
        for arguments in (), ('/bin/true',), ('true', 'true'):
            p = self.run_it(*arguments)
            self.assertEqual((p.returncode, p.stdout), (2, ''))
            self.assertIn('see arbiter-exec --help', p.stderr)
        self.assertIn('Exit status', self.run_it('--help').stdout)
        self.assertRegex(self.run_it('--version').stdout, r'^arbiter-exec \d')


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
