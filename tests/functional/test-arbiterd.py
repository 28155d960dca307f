#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""arbiterd with real workers, no systemd and no bus. Waits for lines of its log, which is unbuffered, never for time. When
a test ends, no process that it has started may be left.

test-arbiterd.py ARBITERD ARBITERCTL ARBITER_HOST SQUARES_SO WRONG_ABI_SO
"""

import fcntl
import json
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

ARBITERD, ARBITERCTL, HOST, SQUARES, WRONG_ABI = map(os.path.abspath, sys.argv[1:6])
ROOT = os.geteuid() == 0
USER = 'User=root\n' if ROOT else ''
ENVIRONMENT = {'PATH': '/usr/bin:/bin', 'LC_ALL': 'C.UTF-8', 'HOME': '/nonexistent'}
ENVIRONMENT.update({k: v for k, v in os.environ.items() if k.endswith('SAN_OPTIONS')})
PATIENCE = 30  # only a failing test waits that long
RUNNING = r'%s is running \(pid (\d+)\)'


class Log:
    """Lines of a pipe, each looked at once."""

    def __init__(self, fd):
        self.fd, self.rest, self.seen = fd, b'', []

    def line(self, deadline=None):
        deadline = deadline or time.monotonic() + PATIENCE
        while b'\n' not in self.rest or time.monotonic() > deadline:
            if time.monotonic() > deadline or not select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError('what was awaited has not come; so far:\n' + '\n'.join(self.seen[-1000:]))
            data = os.read(self.fd, 65536)
            if not data:
                raise AssertionError('it has ended:\n' + '\n'.join(self.seen))
            self.rest += data
        line, _, self.rest = self.rest.partition(b'\n')
        self.seen.append(line.decode())
        return self.seen[-1]

    def expect(self, pattern):
        deadline = time.monotonic() + PATIENCE  # of all lines: what never stops talking may never say it
        while True:
            match = re.search(pattern, self.line(deadline))
            if match:
                return match

    def expect_all(self, *patterns):
        """In any order."""
        found, deadline = {}, time.monotonic() + PATIENCE
        while len(found) < len(patterns):
            line = self.line(deadline)
            for p in patterns:
                match = re.search(p, line)
                if match and p not in found:
                    found[p] = match
                    break
        return [found[p] for p in patterns]


class Case(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix='arbiterd-')
        self.addCleanup(temporary.cleanup)
        self.top = temporary.name
        os.chmod(self.top, 0o755)
        self.directory, self.etc = os.path.join(self.top, 'run'), os.path.join(self.top, 'etc')
        os.mkdir(self.etc)
        self.mark = uuid.uuid4().hex
        self.environment = {**ENVIRONMENT, 'MARK': self.mark}
        self.daemon = None
        self.addCleanup(self.leave)

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.etc, name)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def monitor(self, name, actor, monitor='', user=USER):
        self.write(name + '.monitor', '[Monitor]\n%s[Actor]\n%s%s' % (monitor, user, actor))

    def actor(self, name, text, user=USER):
        self.write(name + '.actor', '[Actor]\n%s%s' % (user, text))

    def script(self, name, text):
        return '%s %s' % (sys.executable, self.write(name, text))

    def command(self, *arguments):
        return [ARBITERD, '--runtime-dir=' + self.directory, '--config-dir=' + self.etc, '--host-program=' + HOST, *arguments]

    def start(self, *arguments, env=None):
        self.daemon = subprocess.Popen(self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       stdin=subprocess.DEVNULL, env={**self.environment, **(env or {})})
        self.log, self.out = Log(self.daemon.stderr.fileno()), Log(self.daemon.stdout.fileno())
        self.log.expect(r' in %s\.$' % re.escape(self.directory))

    def fails(self, status, pattern, *arguments, env=None):
        p = subprocess.run(self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=PATIENCE,
                           stdin=subprocess.DEVNULL, env={**self.environment, **(env or {})})
        self.assertEqual((p.returncode, p.stdout), (status, ''), p.stderr)
        self.assertRegex(p.stderr, pattern)

    def pids(self):
        """All processes that have our mark in their environment."""
        found = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open('/proc/%s/environ' % pid, 'rb') as f:
                    if ('MARK=' + self.mark).encode() in f.read():
                        found.append(int(pid))
            except OSError:
                pass
        return found

    def stop(self, status=0, number=signal.SIGTERM):
        self.daemon.send_signal(number)
        _, err = self.daemon.communicate(timeout=PATIENCE)
        self.assertEqual(self.daemon.returncode, status, err)
        self.daemon = None
        self.assertEqual(self.pids(), [])
        return self.log.rest.decode() + err.decode()

    def leave(self):
        if self.daemon:
            if self.daemon.poll() is None:
                self.daemon.terminate()
                try:
                    self.daemon.communicate(timeout=PATIENCE)
                except subprocess.TimeoutExpired:
                    self.daemon.kill()
            self.daemon.stdout.close()
            self.daemon.stderr.close()
            self.daemon.wait()
        left = self.pids()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        self.assertEqual(left, [])

    def ctl(self, *arguments, status=0):
        p = subprocess.run([ARBITERCTL, '--runtime-dir=' + self.directory, *arguments], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, env=ENVIRONMENT, timeout=PATIENCE)
        self.assertEqual(p.returncode, status, (arguments, p.stdout, p.stderr))
        return p.stdout if status == 0 else p.stderr

    def actors(self):
        return {a['name']: a for a in json.loads(self.ctl('list-actors', '--json=short'))}

    def monitors(self):
        return {m['name']: m for m in json.loads(self.ctl('list-monitors', '--json=short'))}

    def running(self, *names):
        """Waits until they are, returns their pids."""
        return [int(m.group(1)) for m in self.log.expect_all(*[RUNNING % re.escape(n) for n in names])]

    def reload(self, pattern=r'is reloaded\.'):
        self.daemon.send_signal(signal.SIGHUP)
        self.log.expect(pattern)


def is_alive(pid):
    return os.path.exists('/proc/%d' % pid)


class Life(Case):
    def test_programs(self):
        self.monitor('nap', 'Exec=/bin/sleep 1000\n', 'Workers=3\n')
        self.start()
        actors = self.actors()
        self.assertEqual(sorted(actors), ['nap.1', 'nap.2', 'nap.3'])
        victim = actors['nap.2']
        os.kill(victim['pid'], signal.SIGKILL)
        self.log.expect(r'nap\.2 has ended: signal 9')
        new, = self.running('nap.2')
        self.assertNotEqual(new, victim['pid'])
        after = self.actors()
        self.assertEqual(after['nap.2']['pid'], new)
        self.assertNotEqual(after['nap.2']['aid'], victim['aid'])
        self.assertEqual(after['nap.1'], {**actors['nap.1'], 'uptime_usec': after['nap.1']['uptime_usec']})
        self.assertEqual(self.monitors()['nap']['restarts'], 1)
        self.assertEqual(len(self.pids()), 4)
        self.assertIn('Bye', self.stop())

    def test_modules(self):
        self.monitor('squares', 'Module=%s\nParams=who=%%N n=%%i\n' % SQUARES, 'Workers=2\n')
        self.start()
        first, second = self.running('squares.1', 'squares.2')
        self.assertEqual(self.ctl('send', 'squares.1', 'square', 'x', '12'), 'x 144\n')
        self.assertEqual(self.ctl('send', 'squares.2', 'parameter', 's', 'who'), 's "squares"\n')
        self.assertEqual(self.ctl('send', 'squares.2', 'parameter', 's', 'n'), 's "2"\n')
        with open('/proc/%d/comm' % second, encoding='ascii') as f:
            self.assertEqual(f.read(), 'squares.2\n')
        os.kill(first, signal.SIGKILL)
        self.log.expect(r'squares\.1 has ended: signal 9')
        self.running('squares.1')
        self.assertEqual(self.ctl('send', 'squares.1', 'square', 'x', '-3'), 'x 9\n')
        self.stop(number=signal.SIGINT)

    def test_send_to_a_pool(self):
        worker = 'Module=%s\nParams=n=%%i\nMailOnRestart=keep\n' % SQUARES
        self.monitor('squares', worker, 'Workers=3\nRouting=round-robin\n')
        self.start()
        self.running('squares.1', 'squares.2', 'squares.3')
        number, place = ('squares', 'parameter', 's', 'n'), ('squares', 'config', 'ssv', 'get', 'concurrency', 's', '')
        # a worker's command: each in turn; the monitor's own and everybody's go to the monitor
        answers = [self.ctl('send', *number) for _ in range(6)]
        self.assertEqual(sorted(answers), sorted(2 * ['s "%d"\n' % i for i in (1, 2, 3)]))
        self.assertEqual(self.ctl('send', *place), 's "inline"\n')
        self.assertEqual(self.ctl('send', '--to=pool', *place), 's "process"\n')
        self.assertIn('no command', self.ctl('send', '--to=monitor', 'squares', 'square', 'x', '3', status=1))
        # the same key, the same worker; all of them
        alice = [self.ctl('send', '--routing=consistent-hash', '--key=alice', *number) for _ in range(6)]
        self.assertEqual(len(set(alice)), 1)
        everybody = self.ctl('send', '--routing=broadcast', *number)
        self.assertEqual(everybody.split()[:2], ['a{sv}', '3'])
        for i in (1, 2, 3):
            self.assertIn('"squares.%d" s "%d"' % (i, i), everybody)
        # another policy by a reload, which touches no worker
        pids = self.pids()
        self.monitor('squares', worker, 'Workers=3\nRouting=broadcast\n')
        self.assertIn('broadcast', self.ctl('daemon-reload', '--dry-run'))
        self.ctl('daemon-reload')
        self.assertTrue(self.ctl('send', 'squares', 'square', 'x', '3').startswith('a{sv} 3'))
        self.assertEqual(self.pids(), pids)
        # nobody is there
        self.ctl('scale', 'squares', '0')
        for hold in [], ['--hold']:
            self.assertIn("no worker of 'squares'", self.ctl('send', *hold, 'squares', 'square', 'x', '3', status=4))
        self.stop()

    def test_hold(self):
        """Nobody is there who could say what is sent, but the one before has."""
        self.monitor('squares', 'Module=%s\n' % SQUARES, 'Workers=1\nBackoffMinSec=500ms\nBackoffJitter=0%\n')
        self.actor('lone', 'Module=%s\n' % SQUARES)
        self.monitor('empty', 'Module=%s\n' % SQUARES, 'Workers=0\n')
        self.start()
        for target, worker in ('squares', 'squares.1'), ('squares.1', 'squares.1'):
            for _ in range(2):
                self.running(worker)
                self.ctl('kill', '-s', 'KILL', worker)
                self.log.expect(r'squares\.1 has ended: killed')
            self.assertEqual(self.ctl('send', '--hold', target, 'square', 'x', '3'), 'x 9\n')
        self.assertIn('no command', self.ctl('send', '--hold', 'lone', 'cube', 'x', '3', status=1))
        # A pool that never had a worker is none that lacks a command.
        self.assertIn('No worker of "empty" is running', self.ctl('send', '--hold', 'empty', 'square', 'x', '3', status=4))
        # What a worker does not have, is known without one, too.
        self.ctl('scale', 'squares', '0')
        self.assertIn('no command', self.ctl('send', 'squares', 'cube', 'x', '3', status=1))
        # Restarts are those of all workers, also of one that is no more.
        self.assertGreaterEqual(self.monitors()['squares']['restarts'], 4)
        self.stop()

    def test_thread_module(self):
        self.monitor('squares', 'Module=%s\nConcurrency=thread\nParams=n=%%i\n' % SQUARES, 'Workers=3\n')
        self.start()
        self.log.expect_all(*[r'squares\.%d is running' % i for i in (1, 2, 3)])
        self.assertEqual(self.ctl('send', 'squares.1', 'square', 'x', '5'), 'x 25\n')
        self.assertEqual(self.ctl('send', 'squares.3', 'parameter', 's', 'n'), 's "3"\n')
        self.assertEqual([self.actors()['squares.%d' % i]['concurrency'] for i in (1, 2, 3)], 3 * ['thread'])
        self.assertEqual(len(self.pids()), 2)  # the daemon, and one host for all of them
        self.stop()

    def test_program_with_mailbox(self):
        self.actor('lone', 'Type=mailbox\nExec=%s %s\n' % (HOST, SQUARES))
        self.start()
        self.running('lone')
        self.assertEqual(self.ctl('send', 'lone', 'square', 'x', '5'), 'x 25\n')
        self.stop()

    def test_definition(self):
        self.actor('lone', 'Module=%s\nParams=a=1 b=2\n' % SQUARES)
        self.start()
        self.running('lone')
        self.ctl('spawn', 'lone', 'other', 'b=3')
        self.assertEqual(self.ctl('send', 'other', 'parameter', 's', 'a'), 's "1"\n')
        self.assertEqual(self.ctl('send', 'other', 'parameter', 's', 'b'), 's "3"\n')
        self.assertEqual(self.ctl('send', 'lone', 'parameter', 's', 'b'), 's "2"\n')
        self.stop()

    def test_what_a_worker_gets(self):
        say = self.script('say.py', 'import json, os, resource, signal, sys\n'
                          'print(json.dumps([sys.argv[1:], os.environ["WHO"], os.environ.get("FROM"), os.getcwd(), os.umask(0), '
                          'resource.getrlimit(resource.RLIMIT_NOFILE), os.nice(0), open("/proc/self/cmdline").read().split(chr(0))[0], '
                          'sorted(k for k in os.environ if k.startswith(("NOTIFY", "LISTEN", "ARBITER")))]), flush=True)\n'
                          'signal.pause()\n')
        extra = self.write('environment', 'FROM=file\n')
        self.monitor('say', 'Exec=%s %%n "a b"\nEnvironment=WHO=%%N-%%i\nEnvironmentFile=%s\nUMask=0027\nLimitNOFILE=100:200\n'
                     'Nice=3\nProcessName=%%n\nWorkingDirectory=-/nonexistent\n' % (say, extra), 'Workers=2\n')
        self.start()
        said = sorted(json.loads(self.out.line()) for _ in range(2))
        for i in (1, 2):
            self.assertEqual(said[i - 1], [['say.%d' % i, 'a b'], 'say-%d' % i, 'file', '/', 0o027, [100, 200], 3,
                                           'say.%d' % i, []])
        self.stop()

    def test_stubborn_worker(self):
        self.monitor('stubborn', 'Exec=/bin/sh -c "trap \'\' TERM; echo ready; while :; do sleep 1000; done"\n'
                     'TimeoutStopSec=200ms\n')
        self.start()
        self.assertEqual(self.out.line(), 'ready')
        self.assertRegex(self.stop(), r'stubborn\.1 has ended: stop-timeout')

    def test_kill_signal(self):
        self.actor('lone', 'Exec=/bin/sh -c "trap \'echo bye; exit 0\' USR1; echo ready; while :; do sleep 0.01; done"\n'
                   'KillSignal=SIGUSR1\n')
        self.start()
        self.assertEqual(self.out.line(), 'ready')
        self.daemon.terminate()
        self.assertEqual(self.out.line(), 'bye')
        self.log.expect('lone has ended: shutdown')
        self.assertEqual(self.daemon.wait(timeout=PATIENCE), 0)

    @unittest.skipUnless(ROOT, 'needs root')
    def test_user(self):
        self.actor('lone', 'Exec=/bin/sh -c "echo $(grep -E ^[UG]id: /proc/self/status) $(id -G) $USER; exec sleep 1000"\n',
                   user='User=nobody\n')
        self.start()
        said = self.out.line()
        with open('/etc/passwd', encoding='utf-8') as f:
            uid, gid = [x.split(':')[2:4] for x in f if x.startswith('nobody:')][0]
        self.assertEqual(said.split(), ['Uid:'] + 4 * [uid] + ['Gid:'] + 4 * [gid] + [gid, 'nobody'])
        self.stop()

    @unittest.skipUnless(ROOT, 'needs root')
    def test_root_must_be_asked_for(self):
        self.actor('lone', 'Exec=/bin/sleep 1000\n', user='')
        self.actor('other', 'Exec=/bin/sleep 1000\n')
        self.start()
        self.assertIn('lone.actor: This arbiter is root', '\n'.join(self.log.seen))
        self.assertEqual(list(self.actors()), ['other'])
        self.stop()


def cgroup_mount():
    """A writable cgroup2 mount, or None."""
    with open('/proc/self/mounts', encoding='utf-8') as f:
        for line in f:
            _, where, kind, *_ = line.split()
            if kind == 'cgroup2' and os.access(where, os.W_OK) and os.geteuid() == 0:
                return where
    return None


@unittest.skipUnless(cgroup_mount(), 'no cgroup2 hierarchy to delegate')
class Leaves(Case):
    def setUp(self):
        self.subtree = os.path.join(cgroup_mount(), 'arbiterd-' + uuid.uuid4().hex)
        os.mkdir(self.subtree)
        self.addCleanup(os.rmdir, self.subtree)  # fails if a leaf is left
        super().setUp()

    def leaves(self):
        return sorted(e.name for e in os.scandir(self.subtree) if e.is_dir())

    def test_descendants(self):
        # One that has left session and process group, and would outlive its parent by far.
        self.monitor('tree', "Exec=/bin/sh -c 'setsid sleep 1000 & exec sleep 1000'\n", 'Workers=2\n')
        self.start('--cgroup=' + self.subtree)
        by_name = self.actors()
        self.assertEqual(self.leaves(), sorted('%s.%s' % (n, a['aid']) for n, a in by_name.items()))
        old = '%s.%s' % ('tree.1', by_name['tree.1']['aid'])
        with open(os.path.join(self.subtree, old, 'cgroup.procs'), encoding='utf-8') as f:
            self.assertIn(str(by_name['tree.1']['pid']), f.read().split())
        self.ctl('kill', '-s', 'KILL', 'tree.1')
        self.log.expect(r'tree\.1 is running')
        self.assertIn('tree.2.' + by_name['tree.2']['aid'], self.leaves())
        self.stop()  # nothing with our mark is left, in whatever session
        self.assertEqual(self.leaves(), [])


class Reload(Case):
    def test_by_difference(self):
        for name in ('same', 'more', 'other', 'gone'):
            self.monitor(name, 'Exec=/bin/sleep 1000\n', 'Workers=2\n')
        for name in ('clock', 'changed', 'ends'):
            self.actor(name, 'Exec=/bin/sleep 1000\n')
        self.start()
        before = {n: a['pid'] for n, a in self.actors().items()}
        self.assertEqual(len(before), 11)
        self.monitor('more', 'Exec=/bin/sleep 1000\n', 'Workers=3\n')
        self.monitor('other', 'Exec=/bin/sleep 2000\n', 'Workers=2\n')
        os.unlink(os.path.join(self.etc, 'gone.monitor'))
        os.unlink(os.path.join(self.etc, 'ends.actor'))
        self.monitor('new', 'Exec=/bin/sleep 1000\n')
        self.actor('fresh', 'Exec=/bin/sleep 1000\n')
        self.actor('changed', 'Exec=/bin/sleep 3000\n')
        self.daemon.send_signal(signal.SIGHUP)
        self.log.expect_all('is reloaded', 'gone has ended', 'ends has ended', *[RUNNING % n for n in (
            r'more\.3', r'other\.1', r'other\.2', r'new\.1', 'fresh', 'changed')])
        after = {n: a['pid'] for n, a in self.actors().items()}
        for name in ('same.1', 'same.2', 'more.1', 'more.2', 'clock'):
            self.assertEqual(after[name], before[name], name)
        for name in ('other.1', 'other.2', 'changed'):
            self.assertNotEqual(after[name], before[name], name)
        self.assertEqual(sorted(set(after) - set(before)), ['fresh', 'more.3', 'new.1'])
        self.assertEqual(sorted(set(before) - set(after)), ['ends', 'gone.1', 'gone.2'])
        with open('/proc/%d/cmdline' % after['changed'], encoding='ascii') as f:
            self.assertIn('3000', f.read())
        # Nothing has changed since.
        self.reload()
        self.assertEqual({n: a['pid'] for n, a in self.actors().items()}, after)
        self.stop()

    def test_fewer(self):
        self.monitor('nap', 'Exec=/bin/sleep 1000\n', 'Workers=3\n')
        self.start()
        before = self.actors()
        self.monitor('nap', 'Exec=/bin/sleep 1000\n', 'Workers=1\n')
        self.daemon.send_signal(signal.SIGHUP)
        self.log.expect_all(r'nap\.1 has ended', r'nap\.2 has ended')  # the oldest first
        self.assertEqual({n: a['pid'] for n, a in self.actors().items()}, {'nap.3': before['nap.3']['pid']})
        self.stop()

    def test_policy(self):
        self.monitor('nap', 'Exec=/bin/sleep 1000\n')
        self.start()
        before = self.actors()['nap.1']['pid']
        self.monitor('nap', 'Exec=/bin/sleep 1000\n', 'RestartIntensity=7\n')
        self.daemon.send_signal(signal.SIGHUP)
        self.log.expect('is reloaded')
        self.assertEqual(self.actors()['nap.1']['pid'], before)
        self.stop()

    def test_pool_becomes_lone(self):
        self.monitor('nap', 'Exec=/bin/sleep 1000\n')
        self.start()
        os.unlink(os.path.join(self.etc, 'nap.monitor'))
        self.actor('nap', 'Exec=/bin/sleep 1000\n')
        self.daemon.send_signal(signal.SIGHUP)
        self.running('nap')
        self.assertEqual(list(self.actors()), ['nap'])
        self.assertEqual(self.monitors(), {})
        self.stop()

    def test_broken(self):
        self.monitor('good', 'Exec=/bin/sleep 1000\n')
        self.monitor('bad', 'Exec=/bin/sleep 1000\n')
        self.start()
        before = {n: a['pid'] for n, a in self.actors().items()}
        self.monitor('bad', 'Exec=/bin/sleep 1000\n', 'Workers=many\n')
        self.monitor('good', 'Exec=/bin/sleep 1000\n', 'Workers=2\n')
        self.daemon.send_signal(signal.SIGHUP)
        self.log.expect(r'bad\.monitor:2: Workers=many is not ')
        self.log.expect('bad goes on as it was')
        self.running('good.2')
        self.assertEqual({n: self.actors()[n]['pid'] for n in before}, before)
        # arbiterctl hears of it, too.
        self.assertRegex(self.ctl('reload', status=1), r'bad\.monitor:2: Workers=many is not ')
        # Mended, and as it was: it has not been forgotten meanwhile.
        self.monitor('bad', 'Exec=/bin/sleep 1000\n')
        self.reload()
        self.assertEqual(self.actors()['bad.1']['pid'], before['bad.1'])
        self.write('arbiterd.conf', '[Arbiter]\nDefaultTimeoutSec=never ever\n')
        os.unlink(os.path.join(self.etc, 'good.monitor'))
        self.reload(r'arbiterd\.conf has errors: nothing is changed')
        self.assertEqual(len(self.actors()), 3)
        self.stop()

    def test_what_cannot_be_done(self):
        self.monitor('nap', 'Exec=/bin/sleep 1000\n')
        self.start()
        before = self.actors()['nap.1']['pid']
        self.monitor('nap', 'Exec=/bin/sleep 1000\nListenStream=/dev/null/socket\n')
        self.assertIn('nap.monitor: cannot listen on /dev/null/socket: Not a directory', self.ctl('reload', status=1))
        self.assertEqual(self.actors()['nap.1']['pid'], before)
        self.stop()

    def test_started_again(self):
        """What an operator has stopped is started by restart, and by nothing else."""
        self.monitor('nap', 'Exec=/bin/sleep 1000\n', 'Workers=2\n')
        self.start()
        self.ctl('wait', 'nap', 'running')
        self.ctl('stop', 'nap')
        self.ctl('reload')
        self.assertEqual(self.monitors(), {})
        self.assertIn('There is no actor or monitor "nip"', self.ctl('restart', 'nip', status=4))
        self.assertRegex(self.ctl('restart', 'nap'), r'^nap\.1: - .*\nnap\.2: - .*\n$')
        self.ctl('stop', 'nap.2')
        self.assertRegex(self.ctl('restart', 'nap'), r'(?m)^nap\.2: - ')
        self.assertEqual(set(self.actors()), {'nap.1', 'nap.2'})
        self.ctl('stop', 'nap.*')
        self.ctl('restart', 'nap')
        self.assertEqual(set(self.actors()), {'nap.1', 'nap.2'})
        self.ctl('scale', 'nap', '0')
        self.assertEqual(self.ctl('restart', 'nap'),
                         "nap: restarted, but no worker is there now: 'arbiterctl why nap' knows\n")
        self.stop()

    def test_could_not_be_started(self):
        path = os.path.join(self.write('file', ''), 'nap')
        self.monitor('nap', 'Exec=/bin/sleep 1000\nListenStream=%s\n' % path)
        self.start()
        self.assertIn('Not loaded: nap.monitor', self.ctl('status'))
        for verb in ['reload'], ['restart', 'nap']:
            self.assertIn('Not a directory', self.ctl(*verb, status=1))
        os.unlink(os.path.dirname(path))
        self.ctl('reload')
        self.ctl('wait', 'nap', 'running')
        self.assertNotIn('Not loaded', self.ctl('status'))
        self.stop()

    def test_errors_of_a_reload(self):
        self.start()
        self.monitor('one', 'Exec=/bin/sleep 1000\n', 'Workers=x\n')
        self.monitor('two', '')
        lines = self.ctl('reload', status=1).splitlines()
        self.assertEqual([bool(re.search(r'/(one|two)\.monitor', line)) for line in lines], [True, True, False], lines)
        self.stop()

    def test_dry_run(self):
        """What a reload would do, and nothing of it is done; then it is."""
        def plan(status=0):
            p = subprocess.run([ARBITERCTL, '--runtime-dir=' + self.directory, '--json=short', 'daemon-reload', '--dry-run'],
                               stdout=subprocess.PIPE, text=True, timeout=30, check=False)
            self.assertEqual(p.returncode, status)
            return [[s['name'], s['verb']] for s in json.loads(p.stdout)]

        nap = 'Exec=/bin/sleep 1000\n'
        for name in 'scaled', 'rolled', 'strict', 'gone', 'broken', 'told':
            self.monitor(name, nap, 'Workers=2\n')
        self.start()
        self.assertEqual(plan(), [])
        self.assertIn('would change nothing', self.ctl('daemon-reload', '--dry-run'))
        before = {name: a['aid'] for name, a in self.actors().items()}
        self.monitor('scaled', nap, 'Workers=3\n')
        self.monitor('rolled', nap + 'TimeoutStopSec=4s\n', 'Workers=1\n')
        self.monitor('strict', nap, 'Workers=2\nRestartIntensity=0\n')
        self.monitor('told', nap, 'Workers=2\nDescription=Told\n')
        self.monitor('new', nap)
        self.actor('lone', nap)
        self.monitor('broken', nap + 'Restart=sometimes\n')
        os.unlink(os.path.join(self.etc, 'gone.monitor'))
        steps = plan(status=1)
        refused = [s for s in steps if s[1] == 'refuse']
        self.assertEqual(len(refused), 1)
        self.assertRegex(refused[0][0], r'/broken\.monitor:\d+$')
        self.assertEqual([s for s in steps if s[1] != 'refuse'],
                         [['broken', 'keep'], ['gone', 'stop'], ['new', 'start'], ['rolled', 'replace'], ['rolled', 'scale'],
                          ['scaled', 'scale'], ['strict', 'adjust'], ['told', 'describe'], ['lone', 'start']])
        self.assertEqual({name: a['aid'] for name, a in self.actors().items()}, before)
        self.ctl('reload', status=1)
        self.assertEqual(sorted(plan(status=1)), sorted([[refused[0][0], 'refuse'], ['broken', 'keep']]))
        self.stop()

    def test_by_arbiterctl(self):
        self.start()
        self.actor('lone', 'Exec=/bin/sleep 1000\n')
        self.ctl('reload')
        self.assertEqual(list(self.actors()), ['lone'])
        self.stop()


class Broken(Case):
    def test_file_beside_good_ones(self):
        self.monitor('bad', 'Exec=/bin/sleep 1000\nRestart=sometimes\n', 'Workers=2\n')
        self.monitor('good', 'Exec=/bin/sleep 1000\n')
        self.start()
        self.assertRegex('\n'.join(self.log.seen), r'bad\.monitor:%d: Restart=sometimes is not ' % (6 if ROOT else 5))
        self.assertEqual(list(self.actors()), ['good.1'])
        self.fails(2, '1 file of the configuration cannot be used', '--check')
        self.stop()

    def module(self, path, pattern):
        self.monitor('bad', 'Module=%s\n' % path, 'BackoffMinSec=1h\nBackoffMaxSec=1h\n')
        self.actor('good', 'Module=%s\n' % SQUARES)
        self.start()
        for _ in range(2):  # once more at once, then it is left alone for an hour
            self.log.expect(r'bad\.1 has ended: exit-code 101')
        self.assertEqual(len(re.findall(pattern, '\n'.join(self.log.seen))), 2)  # it spoke before it ended
        self.assertEqual(self.monitors()['bad']['running'], 0)
        self.assertEqual(self.ctl('send', 'good', 'square', 'x', '2'), 'x 4\n')
        self.stop()

    def test_module_missing(self):
        self.module('/nonexistent/module.so', 'arbiter-host: cannot read module /nonexistent/module.so: No such file')

    def test_no_module(self):
        self.module(self.write('text.so', 'This is no module.\n'), r'arbiter-host: .*text\.so is no loadable module')

    def test_module_of_another_abi(self):
        self.module(WRONG_ABI, 'arbiter-host: .* was built for another version of libarbiter')

    def test_no_host(self):
        self.actor('lone', 'Module=%s\n' % SQUARES)
        self.start('--host-program=/nonexistent/host')
        self.assertIn("exec '/nonexistent/host' failed: No such file or directory", '\n'.join(self.log.seen))
        self.stop()

    def program(self, line, pattern):
        self.monitor('bad', 'Exec=%s\n' % line, 'BackoffMinSec=1h\nBackoffMaxSec=1h\n')
        self.actor('good', 'Exec=/bin/sleep 1000\n')
        self.start()
        self.assertRegex('\n'.join(self.log.seen), pattern)
        self.log.expect(pattern)  # the second time; then it is left alone for an hour
        self.assertEqual(self.monitors()['bad']['running'], 0)
        self.assertEqual(list(self.actors()), ['good'])
        self.assertRegex(self.ctl('status'), 'bad .* 0 of 1 running, 1 waiting, next attempt in 1h')
        self.stop()

    def test_program_missing(self):
        self.program('/nonexistent/program', 'bad.1: /nonexistent/program cannot be run: No such file or directory')

    def test_program_missing_in_path(self):
        self.program('no-such-program', 'bad.1: no-such-program cannot be run')

    def test_not_executable(self):
        self.program(self.write('plain', '#!/bin/sh\n'), 'bad.1: .*/plain is not an executable file')

    def test_no_interpreter(self):
        self.program(self.write('odd', '#!/nonexistent/shell\n', 0o755), 'bad.1: exec .*odd.* failed: No such file')

    def test_program_comes_later(self):
        path = os.path.join(self.etc, 'late')
        self.monitor('late', 'Exec=%s\n' % path, 'BackoffMinSec=20ms\nBackoffFactor=1\n')
        self.start()
        self.write('late', '#!/bin/sh\nexec sleep 1000\n', 0o755)
        self.running('late.1')
        self.stop()

    def test_exits_at_once(self):
        self.monitor('brief', 'Exec=/bin/sh -c "exit 7"\n', 'BackoffMinSec=20ms\nBackoffFactor=1\nBackoffJitter=0\n')
        self.actor('good', 'Exec=/bin/sleep 1000\n')
        self.start()
        for _ in range(5):
            self.log.expect(r'brief\.1 has ended: exit-code 7')
        self.assertGreaterEqual(self.monitors()['brief']['restarts'], 4)
        self.assertIn('good', self.actors())
        self.stop()

    def test_temporary(self):
        self.actor('once', 'Exec=/bin/sh -c "exit 7"\nRestart=temporary\n')
        self.start()
        self.log.expect(r'once has ended: exit-code 7')
        self.assertEqual(self.actors(), {})
        self.stop()


class Notify(Case):
    PROGRAM = ('import os, signal, socket, sys\n'
               's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n'
               's.connect(os.environ["NOTIFY_SOCKET"].replace("@", chr(0), 1))\n'
               'print(os.environ.get("WATCHDOG_USEC"), flush=True)\n')

    def test_ready(self):
        fifo = os.path.join(self.top, 'fifo')
        os.mkfifo(fifo)
        os.chmod(fifo, 0o666)
        line = self.script('program.py', self.PROGRAM + 'open("%s").read()\ns.send(b"READY=1\\nSTATUS=at work\\n")\n'
                           'signal.pause()\n' % fifo)
        self.actor('lone', 'Type=notify\nExec=%s\n' % line)
        self.start()
        self.assertEqual(self.out.line(), 'None')
        self.assertEqual(self.actors()['lone']['state'], 'starting')
        with open(fifo, 'w', encoding='ascii'):
            pass
        self.running('lone')
        self.assertEqual(self.actors()['lone']['state'], 'running')
        self.assertIn('at work', self.ctl('status'))
        self.stop()

    def test_never_ready(self):
        self.monitor('slow', 'Type=notify\nExec=/bin/sleep 1000\nTimeoutStartSec=100ms\n', 'BackoffMinSec=1h\nBackoffMaxSec=1h\n')
        self.start()
        for _ in range(2):
            self.log.expect(r'slow\.1: not running within its start timeout of 0\.1 s')
            self.log.expect(r'slow\.1 has ended: start-timeout')
        self.stop()

    def test_watchdog(self):
        line = self.script('program.py', self.PROGRAM + 's.send(b"READY=1")\nsignal.pause()\n')
        self.monitor('dog', 'Type=notify\nExec=%s\nWatchdogSec=200ms\n' % line)
        self.start()
        self.assertEqual(self.out.line(), '200000')
        first, = self.running('dog.1')
        self.log.expect(r'dog\.1 has ended: watchdog')
        self.assertNotEqual(self.running('dog.1'), [first])
        self.stop()

    def test_watchdog_fed(self):
        line = self.script('program.py', self.PROGRAM + 's.send(b"READY=1")\n'
                           'signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)\n'
                           'signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])\n'
                           'for i in range(100):\n'
                           '    signal.sigwait([signal.SIGALRM])\n'
                           '    s.send(b"WATCHDOG=1")\n'
                           'print("well fed", flush=True)\n'
                           'signal.pause()\n')
        self.actor('dog', 'Type=notify\nExec=%s\nWatchdogSec=1s\n' % line)
        self.start()
        pid, = self.running('dog')
        self.assertEqual((self.out.line(), self.out.line()), ('1000000', 'well fed'))
        self.assertEqual(self.actors()['dog']['pid'], pid)  # after twice that time
        self.stop()


class Daemon(Case):
    def test_usage(self):
        self.fails(2, 'See arbiterd --help', '--no-such-option')
        self.fails(2, "'loud' is no log level", '--log-level=loud')
        self.fails(2, "Unexpected argument 'x'", 'x')
        for option, pattern in (('--help', r'--config-dir=DIR'), ('-h', 'SIGHUP'), ('--version', r'^arbiterd \d+\.\d+\.\d+\n$')):
            p = subprocess.run([ARBITERD, option], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=PATIENCE,
                               env=ENVIRONMENT)
            self.assertEqual((p.returncode, p.stderr), (0, ''))
            self.assertRegex(p.stdout, pattern)
            self.assertLessEqual(max(map(len, p.stdout.split('\n'))), 80)

    def test_nothing_to_run(self):
        os.rmdir(self.etc)
        self.fails(2, 'There is no directory %s: nothing to run' % self.etc)
        self.assertFalse(os.path.exists(self.directory))

    def test_check(self):
        self.actor('lone', 'Exec=/bin/sleep 1000\n')
        self.fails(0, r'The configuration is good: 0 monitors, 1 lone actor', '--check')
        self.write('lone.monitor', 'nonsense\n')
        self.fails(2, r'lone\.monitor:1: ', '--check')
        self.assertFalse(os.path.exists(self.directory))

    def test_second_instance(self):
        self.start()
        pid = self.daemon.pid
        # Others pass through to the sockets that are open to them; what is private is private by itself.
        self.assertEqual(stat.S_IMODE(os.stat(self.directory).st_mode), 0o711)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.directory, "private")).st_mode), 0o600)
        self.fails(2, r'An arbiter runs in %s already \(PID %d\)' % (self.directory, pid))
        self.assertEqual(self.actors(), {})
        self.stop()
        self.start()
        self.stop()

    def test_bad_runtime_directory(self):
        self.write('file', '')
        self.directory = os.path.join(self.etc, 'file')
        self.fails(1, 'is no directory of ours')
        self.directory = '/nonexistent/run'
        self.fails(1, 'Cannot make the runtime directory /nonexistent/run: No such file')

    def test_after_a_crash(self):
        """What a killed one has left behind is in nobody's way."""
        self.monitor('squares', 'Module=%s\n' % SQUARES)
        self.start()
        worker, = self.running('squares.1')
        fd = os.pidfd_open(worker)
        self.addCleanup(os.close, fd)
        self.daemon.kill()
        self.daemon.communicate(timeout=PATIENCE)
        self.assertTrue(select.select([fd], [], [], PATIENCE)[0])  # it sees its control link end
        self.start()
        self.running('squares.1')
        self.stop()

    def test_descriptors_outlive_it(self):
        """A child that it has just forked, when it dies, has all of its descriptors until it has executed its program."""
        self.start()
        with subprocess.Popen([sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'descriptors.py'), str(self.daemon.pid)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            self.assertEqual(child.stdout.readline(), b'taken\n')
            self.daemon.kill()
            self.daemon.wait(PATIENCE)
            self.daemon.stdout.close()
            self.daemon.stderr.close()
            self.start()
            self.assertEqual(self.actors(), {})
            self.stop()

    def test_pid_file(self):
        path = os.path.join(self.top, 'pid')
        self.write('arbiterd.conf', '[Arbiter]\nPidFile=%s\nProcessName=our arbiter\n' % path)
        with open(path, 'w', encoding='ascii') as f:
            f.write('1\n')  # alive, but not ours: it holds no lock
        os.chmod(path, 0o600)
        self.start()
        with open(path, encoding='ascii') as f:
            self.assertEqual(f.read(), '%d\n' % self.daemon.pid)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o644)
        with open('/proc/%d/cmdline' % self.daemon.pid, encoding='ascii') as f:
            self.assertEqual(f.read().strip('\0'), 'our arbiter')
        with open('/proc/%d/comm' % self.daemon.pid, encoding='ascii') as f:
            self.assertEqual(f.read(), 'our arbiter\n')
        first, self.directory = self.directory, os.path.join(self.top, 'run2')
        self.fails(2, r"Already running on PID %d \(pid file '%s'\)" % (self.daemon.pid, path))
        self.directory = first
        self.stop()
        self.assertFalse(os.path.exists(path))

    def test_pid_file_of_others(self):
        path = os.path.join(self.top, 'pid')
        self.write('arbiterd.conf', '[Arbiter]\nPidFile=%s\n' % path)
        with open(path, 'w', encoding='ascii') as f:
            f.write('4242\n')
            f.flush()
            fcntl.lockf(f, fcntl.LOCK_EX)
            self.fails(2, r"Already running on PID %d \(pid file '%s'\)" % (os.getpid(), path))
        with open(path, encoding='ascii') as f:
            self.assertEqual(f.read(), '4242\n')
        self.start()
        os.unlink(path)
        with open(path, 'w', encoding='ascii') as f:
            f.write('4243\n')
        self.stop()
        self.assertTrue(os.path.exists(path))  # not ours any more
        os.unlink(path)
        self.write('arbiterd.conf', '[Arbiter]\nPidFile=/nonexistent/pid\n')
        self.fails(2, "Cannot write the pid file '/nonexistent/pid': No such file")

    def test_log_level(self):
        self.write('arbiterd.conf', '[Arbiter]\nLogLevel=debug\n')
        self.actor('lone', 'Exec=/bin/sleep 1000\n')
        daemon = subprocess.Popen(self.command('--log-level=warning'), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                                  env=self.environment)
        self.addCleanup(daemon.stderr.close)
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.kill)
        while not os.path.exists(os.path.join(self.directory, 'private')):
            os.sched_yield()
        self.ctl('list-actors')
        daemon.terminate()
        self.assertEqual(daemon.communicate(timeout=PATIENCE)[1], '')
        self.assertEqual(daemon.returncode, 0)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1] + sys.argv[6:], verbosity=1)
