#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The examples, run as a reader of the manual would: each program does what it says, and the configuration examples run under
arbiterd.

test-examples.py EXAMPLES_BUILT EXAMPLES_SOURCE ARBITERD ARBITER_HOST ARBITERCTL
"""

import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

BUILT, SOURCE, ARBITERD, HOST, CTL = sys.argv[1:6]
LIMIT = 60
ENVIRONMENT = {'PATH': '/usr/bin:/bin', 'LC_ALL': 'C.UTF-8', 'PYTHONDONTWRITEBYTECODE': '1'}
ENVIRONMENT.update({k: v for k, v in os.environ.items() if k.endswith('SAN_OPTIONS') or k == 'ARBITER_CHECK_RUN'})


def command(*arguments, env=None):
    return subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
                          env={**ENVIRONMENT, **(env or {})}, timeout=LIMIT)


def until(condition):
    """For what no event tells: what others have open. Gives up in time."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        os.sched_yield()
    raise AssertionError('it did not happen in %d s' % LIMIT)


def openers(path):
    """The processes that have the file open."""
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if any(os.readlink('/proc/%s/fd/%s' % (pid, fd)) == path for fd in os.listdir('/proc/%s/fd' % pid)):
                yield int(pid)
        except OSError:
            continue


def opened_by(path):
    """One of them, or None."""
    return next(openers(path), None)


class Case(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix='examples-')
        self.addCleanup(temporary.cleanup)
        self.directory = os.path.realpath(temporary.name)

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def write(self, name, data):
        with open(self.path(name), 'wb') as f:
            f.write(data)
        return self.path(name)

    def holes(self, name, size=1 << 36):
        """A file that takes no room, and a while to read."""
        with open(self.path(name), 'wb') as f:
            f.truncate(size)
        return self.path(name)


class Programs(Case):
    def ok(self, name, *arguments):
        p = command(os.path.join(BUILT, name), *arguments)
        self.assertEqual((p.returncode, p.stderr), (0, ''), p.stdout)
        return p.stdout

    def test_ping(self):
        self.assertEqual(self.ok('ping'), 'bob is running\nbob answers: pong\n')

    def test_echo(self):
        self.assertEqual(self.ok('echo'), 'text: good morning\npoint: 3 -4 a point\nsum: 10\n')

    def test_run(self):
        self.assertEqual(self.ok('run'), '40 + 2 = 42\n'
                         '9223372036854775807 + 1: System.Error.ERANGE (application-error)\n'
                         'abacus ran it, in another process\n')

    def test_periodic(self):
        self.assertEqual(self.ok('periodic'), 'the timer ticked often, the periodic task ran often\nclock is gone: normal\n')

    def test_spawn(self):
        self.assertEqual(self.ok('spawn'), 'one helper is running\nall helpers are running\n'
                         'the boss has hired apprentice\napprentice is paid 12\n')

    def test_watch(self):
        # The outcome of a request and the notice of a watch come together: their order is nobody's promise.
        self.assertEqual(sorted(self.ok('watch').splitlines()), sorted([
            'solo: callee-died, executed: maybe', 'DOWN: solo: signal',
            'right: callee-died, executed: maybe', 'DOWN: right: signal', 'DOWN: left: signal']))

    def test_groups(self):
        lines = self.ok('groups').splitlines()
        self.assertEqual(sorted(lines[:-4]), ['%s has forgotten' % name for name in ('blue', 'green', 'red')])
        self.assertEqual(lines[-4:], ['reports: reply', 'printer: noproc', 'printer: noproc', 'printer: breaker-open'])

    def test_routing(self):
        lines = self.ok('routing').splitlines()
        self.assertEqual(lines, ['who has time: reply', 'who knows alice: reply', 'who is there: reply reply reply reply',
                                 '1: callee-died', *['%d: reply' % i for i in range(2, 7)]])

    def test_philosophers(self):
        for meals in '1', '40':
            lines = self.ok('philosophers', meals).splitlines()
            self.assertEqual(lines[0].split(), ['philosopher', 'meals'])
            self.assertEqual([line.split() for line in lines[1:]], [['table.%d' % i, meals] for i in range(1, 6)])

    def test_philosophers_usage(self):
        for bad in 'none', '-1', '0', '':
            p = command(os.path.join(BUILT, 'philosophers'), bad)
            self.assertEqual((p.returncode, p.stdout, p.stderr), (2, '', 'usage: philosophers [MEALS]\n'))


class WordCount(Case):
    program = os.path.join(BUILT, 'wordcount')

    def check(self, *paths):
        ours = command(self.program, *paths)
        self.assertEqual((ours.returncode, ours.stderr), (0, ''))
        theirs = command('wc', '-w', *paths)
        self.assertEqual([line.split(None, 1) for line in ours.stdout.splitlines()],
                         [line.split(None, 1) for line in theirs.stdout.splitlines()])

    def test_real_files(self):
        licences = '/usr/share/common-licenses'
        headers = [os.path.join('/usr/include', n) for n in sorted(os.listdir('/usr/include')) if n.endswith('.h')]
        paths = [os.path.join(licences, n) for n in sorted(os.listdir(licences))] if os.path.isdir(licences) else []
        self.check(*paths, *headers)

    def test_one_file(self):
        self.check(self.write('one', b'just three words\n'))
        self.check(self.write('none', b''))

    def test_odd_characters(self):
        """Spaces of all kinds, what cannot be printed, bytes that are no characters: by chance, with a seed that is told."""
        pieces = [b' ', b'\n', b'\t', b'\v', b'\0', b'\x7f', b'a', b'word', '\u00e4'.encode(), '\u00a0'.encode(),
                  '\u2003'.encode(), '\u2007'.encode(), '\u202f'.encode(), '\u2060'.encode(), '\u3000'.encode(),
                  '\u200b'.encode(), '\U0001f600'.encode(), '\U0010ffff'.encode(), b'\xff', b'\xc3', b'\xe2\x80', b'\xf0\x9f',
                  b'\xc0\x80', b'\xed\xa0\x80', b'\x85', b'\x1b']
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        paths = [self.write('odd%d' % i, b''.join(chance.choices(pieces, k=chance.randrange(1, 3000)))) for i in range(100)]
        with self.subTest(seed=seed):
            self.check(*paths)

    def test_characters_that_the_buffer_cuts(self):
        size = 128 * 1024
        paths = []
        for character in '\u00e4', '\u3000', '\U0001f600':
            for shift in range(1, 4):
                text = b'x' * (size - shift) + character.encode() + b'y ' + b'z' * size + b' ' + character.encode()[:-1]
                paths.append(self.write('cut%d' % len(paths), text))
        self.check(*paths)

    def test_big_file(self):
        line = 'the quick brown fox jumps over the lazy d\u00f6g\n'.encode()
        self.check(self.write('big', line * 300000))

    def test_files_that_cannot_be_counted(self):
        good = self.write('good', b'two words')
        p = command(self.program, good, self.path('missing'), self.directory)
        self.assertEqual(p.returncode, 1)
        self.assertEqual(p.stdout.splitlines()[0], '2 ' + good)
        self.assertIn('%s: application-error: No such file or directory (executed: yes)' % self.path('missing'), p.stderr)
        self.assertIn('%s: application-error: Is a directory (executed: yes)' % self.directory, p.stderr)

    def test_a_worker_is_killed_at_work(self):
        """What it had begun is lost, and said to be; all else is counted, by the others and its replacement."""
        big = self.holes('holes')
        small = [self.write('small%d' % i, b'a b c\n' * i) for i in range(100)]
        p = subprocess.Popen([self.program, big, *small], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        os.kill(until(lambda: opened_by(big)), signal.SIGKILL)
        out, err = p.communicate(timeout=LIMIT)
        self.assertEqual(p.returncode, 1)
        self.assertIn('%s: callee-died: the actor died: signal 9 (executed: maybe)' % big, err)
        counted = dict(reversed(line.split(None, 1)) for line in out.splitlines())
        for i, path in enumerate(small):
            if path not in err:
                self.assertEqual(counted[path], str(3 * i))
        self.assertNotIn('executed: no', err)

    def test_usage(self):
        p = command(self.program)
        self.assertEqual((p.returncode, p.stderr), (2, 'usage: wordcount FILE...\n'))


class Daemon(Case):
    """The configuration examples, all at once."""

    def setUp(self):
        super().setUp()
        with socket.socket() as s, socket.socket() as t:
            s.bind(('127.0.0.1', 0))
            t.bind(('127.0.0.1', 0))
            self.port, self.greeter = s.getsockname()[1], t.getsockname()[1]
        self.tag = '%d-%d' % (os.getpid(), self.port)
        os.mkdir(self.path('config'))
        for name in os.listdir(SOURCE):
            if name.endswith(('.monitor', '.actor')):
                self.copy(name)
        self.environment = {'ARBITER_RUNTIME_DIR': self.path('run')}

    def copy(self, name):
        with open(os.path.join(SOURCE, name)) as f:
            text = f.read()
        text = text.replace('\nModule=', '\nModule=%s/' % BUILT).replace('/usr/local/share/arbiter/examples/', SOURCE + '/')
        text = text.replace('@arbiter-example-%n', '@arbiter-example-%n-' + self.tag)
        text = text.replace('127.0.0.1:7878', '127.0.0.1:%d' % self.port).replace('127.0.0.1:7879', '127.0.0.1:%d' % self.greeter)
        self.write(os.path.join('config', name), text.encode())
        if os.geteuid() == 0:
            os.mkdir(self.path('config', name + '.d'))
            self.write(os.path.join('config', name + '.d', 'user.conf'), b'[Actor]\nUser=root\n')

    def launch(self):
        self.daemon = subprocess.Popen(
            [ARBITERD, '--runtime-dir=' + self.path('run'), '--config-dir=' + self.path('config'), '--host-program=' + HOST],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT)
        self.addCleanup(self.stop)
        self.log = b''

    def start(self):
        self.launch()
        self.read_log(b'clock is running (', *(b'%s.%d is running (' % (n, i) for n, last in
                                               ((b'words', 4), (b'squares', 1), (b'load', 2), (b'hello', 3), (b'greeter', 2),
                                                (b'health', 2))
                                               for i in range(1, last + 1)))

    def read_log(self, *wanted):
        deadline = time.monotonic() + LIMIT
        while not all(w in self.log for w in wanted):
            self.assertTrue(select.select([self.daemon.stdout], [], [], max(0, deadline - time.monotonic()))[0], self.log.decode())
            data = os.read(self.daemon.stdout.fileno(), 65536)
            self.assertTrue(data, 'arbiterd has ended:\n' + self.log.decode())
            self.log += data

    def stop(self):
        if self.daemon.returncode is None:
            self.daemon.terminate()
            rest, _ = self.daemon.communicate(timeout=LIMIT)
            self.assertEqual(self.daemon.returncode, 0, (self.log + rest).decode())

    def ctl(self, *arguments):
        p = command(CTL, *arguments, env=self.environment)
        self.assertEqual((p.returncode, p.stderr), (0, ''), arguments)
        return p.stdout

    def begin(self, *arguments):
        return subprocess.Popen([CTL, '--timeout=%d' % LIMIT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**ENVIRONMENT, **self.environment})

    def actor(self, name):
        return json.loads(self.ctl('list-actors', name, '--json=short'))[0]

    def test_check(self):
        p = command(ARBITERD, '--check', '--config-dir=' + self.path('config'), env=self.environment)
        self.assertEqual(p.returncode, 0, p.stderr)

    def test_modules(self):
        self.start()
        self.assertEqual(self.ctl('send', 'squares.1', 'square', 'x', '-12'), 'x 144\n')
        path = self.write('text', b'five words are in here')
        for i in range(1, 5):
            self.assertEqual(self.ctl('send', 'words.%d' % i, 'count', 's', path), '(tt) 5 22\n')
        before = int(self.ctl('send', 'clock', 'ticks').split()[1])
        until(lambda: int(self.ctl('send', 'clock', 'ticks').split()[1]) > before)
        self.assertRegex(self.ctl('info', 'clock'), r'periodic_tasks: [0-9]')

    def test_plain_programs(self):
        self.start()
        self.assertEqual({a['state'] for a in json.loads(self.ctl('list-actors', 'load*', '--json=short'))}, {'running'})
        pids = {a['pid'] for a in json.loads(self.ctl('list-actors', 'hello*', '--json=short'))}
        self.assertEqual(len(pids), 3)
        # One that is at work does not accept: so three connections at a time are served by more than one.
        served = set()
        while len(served) < 2:
            connections = [socket.create_connection(('127.0.0.1', self.port), timeout=LIMIT) for _ in range(3)]
            for c in connections:
                with c, c.makefile() as f:
                    served.add(int(f.readline().split()[-1]))
        self.assertLessEqual(served, pids)

    def test_greeter(self):
        self.start()
        said = set()
        while len(said) < 2:  # the kernel deals them out
            with socket.create_connection(('127.0.0.1', self.greeter), timeout=LIMIT) as c, c.makefile() as f:
                said.add(f.readline())
        self.assertEqual(said, {'hello from greeter.1\n', 'hello from greeter.2\n'})

    def test_health(self):
        """It is asked, says what it is told to say, and is taken at its word."""
        def say(path):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(LIMIT)
                s.connect('\0arbiter-example-health.1-%s' % self.tag)
                s.sendall(b'GET %s HTTP/1.0\r\n\r\n' % path)
                self.assertTrue(s.recv(100).startswith(b'HTTP/'))

        self.start()
        self.read_log(b'health.1 is ready', b'health.2 is ready')
        say(b'/busy')
        self.read_log(b'health.1 is not ready: its readiness probe says: status 503')
        self.assertIn('health.1 runs, but is not ready', self.ctl('why'))
        self.assertIn('readiness: bad (status 503)', self.ctl('status', 'health.1'))
        say(b'/ill')
        self.read_log(b'health.1 is stopped, for it is unhealthy', b'health.1 has ended: unhealthy')
        self.assertIn('unhealthy', self.ctl('deaths', 'health'))

    def test_alive_while_it_counts(self):
        with open(self.path('config', 'words.monitor'), 'a') as f:
            f.write('[Monitor]\nDrainSec=0\n')  # else a restart would wait until it has counted
        self.start()
        big = self.holes('holes')
        sender = self.begin('send', 'words.3', 'count', 's', big)
        before = self.actor('words.3')
        self.assertEqual(until(lambda: opened_by(big)), before['pid'])
        self.assertIn('pong', self.ctl('ping', '--count=1', 'words.3'))
        self.assertEqual(self.ctl('send', 'words.3', 'count', 's', self.write('text', b'one')), '(tt) 1 3\n')
        self.assertIsNone(sender.poll())
        self.ctl('restart', 'words.3')
        out, err = sender.communicate(timeout=LIMIT)
        self.assertEqual((sender.returncode, out), (1, ''), err)
        after = self.actor('words.3')
        self.assertEqual(after['state'], 'running')
        self.assertNotEqual(after['aid'], before['aid'])

    def test_replaced_at_work(self):
        """All are replaced: what they count is counted to its end, and what comes meanwhile is, too."""
        self.start()
        big = self.holes('holes', 1 << 29)
        senders = [self.begin('send', 'words.%d' % i, 'count', 's', big) for i in range(1, 5)]
        until(lambda: len(list(openers(big))) == 4)
        before = {self.actor('words.%d' % i)['aid'] for i in range(1, 5)}
        roll = self.begin('restart', 'words')
        text = self.write('text', b'one')
        while roll.poll() is None:
            self.assertEqual(self.ctl('send', 'words', 'count', 's', text), '(tt) 1 3\n')
        self.assertEqual((roll.returncode, roll.communicate()[1]), (0, ''))
        for p in senders:
            self.assertEqual((p.communicate(timeout=LIMIT), p.returncode), (('(tt) 0 %d\n' % (1 << 29), ''), 0))
        self.assertEqual({self.actor('words.%d' % i)['aid'] for i in range(1, 5)} & before, set())

    def test_killed_at_work(self):
        self.start()
        big = self.holes('holes')
        sender = self.begin('send', 'words.2', 'count', 's', big)
        os.kill(until(lambda: opened_by(big)), signal.SIGKILL)
        out, err = sender.communicate(timeout=LIMIT)
        self.assertEqual((sender.returncode, out), (1, ''))
        self.assertIn('signal 9. It had begun: outcome callee-died, executed maybe', err)
        self.assertEqual(until(lambda: self.actor('words.2')['state'] == 'running'), True)

    def test_stop_while_it_counts(self):
        self.start()
        big = self.holes('holes')
        sender = self.begin('send', 'words.1', 'count', 's', big)
        pid = until(lambda: opened_by(big))
        self.stop()
        self.assertNotEqual(sender.wait(timeout=LIMIT), 0)
        sender.communicate()
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)
        self.assertNotIn(b'stop-timeout', self.log)

    def test_shop(self):
        """The tree: who stands behind the one that dies is replaced with it, and nobody else."""
        shop = os.path.join(SOURCE, 'shop')
        user = '\nUser=root\n' if os.geteuid() == 0 else '\n'
        os.rename(self.path('config'), self.path('others'))
        os.mkdir(self.path('config'))
        for name in os.listdir(shop):
            with open(os.path.join(shop, name)) as f:
                self.write(os.path.join('config', name), f.read().replace('\nUser=nobody\n', user).encode())
        names = 'db', 'cache', 'web.1', 'web.2'
        self.launch()
        self.read_log(*(n.encode() + b' is running (' for n in names))
        before = {n: self.actor(n)['aid'] for n in names}
        self.ctl('wait', 'shop', 'ready', '--timeout=%d' % LIMIT)
        self.log = b''
        self.ctl('kill', '-s', 'KILL', 'cache')
        self.read_log(*(n.encode() + b' is running (' for n in names[1:]))
        self.assertEqual([self.actor(n)['aid'] == before[n] for n in names], [True, False, False, False])


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
