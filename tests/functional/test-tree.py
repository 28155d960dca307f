#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Monitors of different children from files, with real processes: order, strategies, escalation up to the exit status of
arbiterd, what a reload touches, and what is refused. No systemd and no bus.

test-tree.py, with the arguments of test-arbiterd.py
"""

import importlib.util
import os
import re
import select
import signal
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location('arbiterd', os.path.join(os.path.dirname(os.path.abspath(__file__)), 'test-arbiterd.py'))
base = importlib.util.module_from_spec(spec)
spec.loader.exec_module(base)

# Says in a FIFO, which all share, when it starts and when it is told to stop; runs when it has said READY=1.
CHILD = """
import os, signal, socket, sys
name, journal = sys.argv[1:3]
def say(what):
    with open(journal, 'a') as f:
        f.write(what + name + ' ')
def stop(*_):
    say('-')
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))
if os.path.exists(journal + '.' + name):
    sys.exit(3)
say('+')
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b'READY=1', '\\0' + os.environ['NOTIFY_SOCKET'][1:])
while True:
    signal.pause()
"""

# Nothing but SIGKILL ends it.
DEAF = """
import os, signal, socket
signal.signal(signal.SIGTERM, signal.SIG_IGN)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b'READY=1', '\\0' + os.environ['NOTIFY_SOCKET'][1:])
while True:
    signal.pause()
"""

NO_BACKOFF = 'BackoffMinSec=1ms\nBackoffMaxSec=1ms\nBackoffJitter=0\n'


class Tree(base.Case):
    def setUp(self):
        super().setUp()
        self.journal = os.path.join(self.top, 'journal')
        os.mkfifo(self.journal)
        os.chmod(self.journal, 0o666)
        os.chmod(self.top, 0o777)
        self.fifo = os.open(self.journal, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.addCleanup(os.close, self.fifo)
        self.heard = ''

    def child(self, name, text='', program_name=None):
        command = self.script('child.py', CHILD)
        self.actor(name, 'Exec=%s %s %s\nType=notify\n%s' % (command, program_name or name, self.journal, text))

    def tree(self, name, children, text='', strategy='one-for-one', backoff=NO_BACKOFF):
        self.write(name + '.monitor', '[Monitor]\nStrategy=%s\nChildren=%s\n%s%s' % (strategy, children, backoff, text))

    def said(self):
        """By the children, since it was last taken."""
        while select.select([self.fifo], [], [], 0)[0]:
            self.heard += os.read(self.fifo, 65536).decode()
        return self.heard

    def take(self):
        said, self.heard = self.said(), ''
        return said

    def wait_until_said(self, enough):
        deadline = time.monotonic() + base.PATIENCE
        while not enough(self.said()) and select.select([self.fifo], [], [], max(0, deadline - time.monotonic()))[0]:
            pass

    def expect(self, text):
        """What the children have said since it was last asked; waits until it is at least as much."""
        self.wait_until_said(lambda said: len(said) > len(text) or said == text + ' ')
        self.assertEqual(self.take(), text + ' ')

    def expect_any_order(self, *words):
        """Of those that do not wait for each other."""
        self.wait_until_said(lambda said: len(said.split()) >= len(words))
        self.assertEqual(sorted(self.take().split()), sorted(words))

    def pid(self, name):
        return self.actors()[name]['pid']

    def kill(self, name, number=signal.SIGKILL):
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def two_levels(self, inner='RestartIntensity=0\n', outer=''):
        for name in 'abcd':
            self.child(name)
        self.tree('inner', 'b.actor c.actor', inner)
        self.tree('tree', 'a.actor inner.monitor d.actor', outer, 'rest-for-one')


class Strategies(Tree):
    def test_order(self):
        for name in 'cab':
            self.child(name)
        self.tree('tree', 'c.actor a.actor b.actor')
        self.start()
        self.expect('+c +a +b')
        self.stop()
        self.expect('-b -a -c')
        self.child('z')
        self.start()
        self.expect_any_order('+z', '+c', '+a', '+b')  # who is nobody's child comes by itself
        self.assertEqual({n: a['monitor'] for n, a in self.actors().items()}, {'a': 'tree', 'b': 'tree', 'c': 'tree', 'z': ''})
        self.stop()
        self.expect('-b -a -c -z')

    def test_one_for_one(self):
        self.three('one-for-one', '+b')

    def test_one_for_all(self):
        self.three('one-for-all', '-c -a +a +b +c')

    def test_rest_for_one(self):
        self.three('rest-for-one', '-c +b +c')

    def three(self, strategy, expected):
        for name in 'abc':
            self.child(name)
        self.tree('tree', 'a.actor b.actor c.actor', strategy=strategy)
        self.start()
        self.expect('+a +b +c')
        self.running('c')
        self.kill('b')
        self.expect(expected)
        self.stop()

    def test_pool_as_a_child(self):
        self.child('a')
        self.child('d')
        command = self.script('child.py', CHILD)
        self.monitor('w', 'Exec=%s w %s\nType=notify\n' % (command, self.journal), 'Workers=2\n')
        self.tree('tree', 'a.actor w.monitor d.actor', strategy='one-for-all')
        self.start()
        self.expect('+a +w +w +d')
        self.running('d')
        self.assertIn('scale a pool among them', self.ctl('scale', 'tree', '3', status=1))
        self.ctl('scale', 'w', '3')
        self.expect('+w')
        self.kill('a')
        self.expect('-d -w -w -w +a +w +w +w +d')
        self.stop()

    def test_significant(self):
        self.child('a')
        self.child('job', 'Restart=transient\nSignificant=yes\n')
        self.tree('tree', 'a.actor job.actor', 'AutoShutdown=any\n')
        self.start()
        self.expect('+a +job')
        self.running('job')
        self.kill('job', signal.SIGUSR1)
        self.expect('-a')
        self.log.expect('monitor tree shuts down')
        self.assertEqual(self.actors(), {})
        self.ctl('restart', 'tree')
        self.expect('+a +job')
        self.stop()

    def test_shutdown(self):
        self.child('a', 'Shutdown=brutal\n')
        self.child('b')
        self.tree('tree', 'a.actor b.actor')
        self.start()
        self.expect('+a +b')
        self.stop()
        self.expect('-b')


class Escalation(Tree):
    def test_climbs(self):
        self.two_levels()
        self.start()
        self.expect('+a +b +c +d')
        self.running('d')
        before = self.pid('a')
        self.kill('b')
        self.log.expect('monitor inner gives up: b was restarted too often')
        self.expect('-c -d +b +c +d')
        self.running('d')
        self.assertEqual(self.pid('a'), before)
        self.stop()

    def test_root_gives_up(self):
        self.two_levels(outer='RestartIntensity=0\nFailureActionExitStatus=99\n')
        self.child('z')
        self.start()
        self.expect_any_order('+z', '+a', '+b', '+c', '+d')
        self.running('d')
        self.kill('c')
        self.log.expect('monitor inner gives up: c')
        self.log.expect('monitor tree gives up: inner')
        self.log.expect("monitor tree has failed, and it is nobody's child: everything is stopped, the exit status is 99")
        self.stop(status=99, number=0)
        self.expect('-b -d -a -z')

    def test_first_start_fails(self):
        self.two_levels()
        self.child('z')
        os.close(os.open(self.journal + '.c', os.O_CREAT | os.O_WRONLY))
        self.start()
        self.log.expect('monitor inner cannot start: c did not')
        self.expect_stranded('inner')
        self.expect_any_order('+z', '+a', '+b', '-b', '-a')
        self.assertEqual(list(self.actors()), ['z'])
        self.assertIn('tree', self.ctl('restart', 'tree', status=1))
        self.expect('+a +b -b -a')
        os.unlink(self.journal + '.c')
        self.ctl('restart', 'tree')
        self.expect('+a +b +c +d')
        self.assertEqual(self.monitors()['tree']['state'], 'running')
        self.stop()

    def expect_stranded(self, culprit):
        """It has failed, and only it."""
        self.log.expect('monitor tree cannot start: %s did not. Nothing else is stopped for that' % culprit)
        self.assertEqual(self.monitors()['tree']['state'], 'failed')
        self.assertRegex(self.ctl('why', 'tree'), r'tree has failed.*: %s did not start \(' % culprit)

    def test_reload_brings_one_that_cannot_start(self):
        """And one that mends it."""
        self.child('z')
        self.start()
        self.expect('+z')
        self.child('a')
        self.child('b')
        os.close(os.open(self.journal + '.b', os.O_CREAT | os.O_WRONLY))
        self.tree('tree', 'a.actor b.actor', 'RestartIntensity=0\nFailureAction=exit\n')
        self.reload()
        self.expect_stranded('b')
        self.expect('+a -a')
        self.reload()  # of what is as it was
        self.assertEqual(self.monitors()['tree']['state'], 'failed')
        self.tree('tree', 'a.actor b.actor', 'RestartIntensity=0\nFailureAction=exit\nDescription=Only said\n')
        self.assertNotIn('it has failed', self.ctl('daemon-reload', '--dry-run'))
        self.reload()
        self.assertEqual((self.monitors()['tree']['state'], self.said()), ('failed', ''))
        self.child('b', program_name='c')
        self.assertRegex(self.ctl('daemon-reload', '--dry-run'),
                         '(?m)^tree +start +it has failed, and something of it has changed$')
        self.reload()
        self.expect('+a +c')
        self.running('b')
        self.kill('b')  # that one did run
        self.log.expect("monitor tree has failed, and it is nobody's child")
        self.stop(status=70, number=0)
        self.expect_any_order('-a', '-z')

    def test_reload_mends_from_below(self):
        """What has changed is far below the monitor that has failed, and there are others than before."""
        self.two_levels()
        self.monitor('web', 'Exec=/bin/sleep 1000\n', 'Workers=1\n')
        self.tree('tree', 'a.actor inner.monitor web.monitor d.actor', '', 'rest-for-one')
        os.close(os.open(self.journal + '.c', os.O_CREAT | os.O_WRONLY))
        self.start()
        self.log.expect('monitor inner cannot start: c did not')
        self.expect_stranded('inner')
        self.expect('+a +b -b -a')
        self.child('c', program_name='n')
        self.child('x')
        self.monitor('web', 'Exec=/bin/sleep 1001\n', 'Workers=2\n')
        os.unlink(self.etc + '/d.actor')
        self.tree('tree', 'a.actor inner.monitor web.monitor x.actor', '', 'rest-for-one')
        self.reload()
        self.expect('+a +b +n +x')
        self.running('x')
        self.assertEqual(sorted(self.actors()), ['a', 'b', 'c', 'web.1', 'web.2', 'x'])
        with open('/proc/%d/cmdline' % self.pid('web.2'), encoding='utf-8') as f:
            self.assertEqual(f.read().split('\0')[1], '1001')
        self.assertEqual(self.ctl('daemon-reload', '--dry-run'), 'A reload would change nothing.\n')
        self.stop()

    def test_restart_after_a_child_was_added(self):
        """One that has failed, has been given a child, and is mended only after that."""
        self.child('a')
        os.close(os.open(self.journal + '.a', os.O_CREAT | os.O_WRONLY))
        self.tree('tree', 'a.actor')
        self.start()
        self.expect_stranded('a')
        self.child('b')
        self.tree('tree', 'b.actor a.actor')
        self.reload()
        self.expect('+b -b')
        self.expect_stranded('a')
        os.unlink(self.journal + '.a')
        self.ctl('restart', 'tree')
        self.expect('+b +a')
        self.stop()
        self.expect('-a -b')

    def test_failure_action(self):
        self.child('a')
        self.tree('tree', 'a.actor', 'RestartIntensity=0\nFailureAction=none\n')
        self.start()
        self.expect('+a')
        self.running('a')
        self.kill('a')
        self.log.expect('monitor tree gives up: a')
        self.assertRegex(self.ctl('why', 'tree'), 'tree has failed.*: its children ended too often, a at last, and 0 restarts')
        self.assertEqual(self.monitors()['tree']['state'], 'failed')
        self.ctl('restart', 'tree')
        self.expect('+a')
        self.stop()


class Operations(Tree):
    def test_children(self):
        self.two_levels()
        self.child('x')
        self.start()
        self.running('d')
        children = lambda name: {c['name']: c for c in base.json.loads(self.ctl('list-children', name, '--json=short'))}
        tree = children('tree')
        self.assertEqual([(n, c['kind'], c['state']) for n, c in tree.items()],
                         [('a', 'actor', 'running'), ('inner', 'monitor', 'running'), ('d', 'actor', 'running')])
        self.assertEqual(tree['a']['pid'], self.pid('a'))
        self.assertRegex(self.ctl('status'), r'(?s)tree .*a .*d .*inner .*b .*c ')
        top = self.ctl('top', '-n1')
        self.assertRegex(top, r'(?m)^MONITOR +STATE.*\n^tree +running +4 .*\n^  inner +running +2 .*\n\n^ACTOR')
        inner = self.ctl('top', '-n1', 'inner')
        self.assertRegex(inner, r'(?m)^MONITOR +STATE.*\n^inner +running +2 .*\n\n^ACTOR')
        self.assertEqual(sorted(re.findall(r'(?m)^[abcd]\b', inner)), ['b', 'c'])
        rows = {r['name']: r for r in base.json.loads(self.ctl('top', '-n1', 'tree', '--json=short'))}
        self.assertEqual({n: r['monitor'] for n, r in rows.items()},
                         {'tree': '', 'inner': 'tree', 'a': 'tree', 'b': 'inner', 'c': 'inner', 'd': 'tree'})
        self.assertEqual(rows['tree']['cpu_usec'] or 0, sum(rows[n]['cpu_usec'] or 0 for n in 'abcd'))
        self.assertRegex(self.ctl('add-child', 'inner', 'nonesuch', status=1), r'There is no definition nonesuch\. ')
        self.ctl('add-child', 'inner', 'x', 'y')
        self.assertEqual(list(children('inner')), ['b', 'c', 'y'])
        self.assertEqual(self.ctl('send', 'inner', 'count_children').split(), ['(uuuu)', '3', '3', '0', '3'])
        self.ctl('stop', 'inner')
        self.assertEqual(children('tree')['inner']['state'], 'terminated')
        self.ctl('restart', 'inner')
        self.assertEqual(list(children('inner')), ['b', 'c'])  # what was added at run time is forgotten, as in OTP
        self.ctl('remove-child', 'inner', 'b')
        self.assertEqual(list(children('inner')), ['c'])
        self.assertIn('is no child of', self.ctl('remove-child', 'inner', 'b', status=4))
        self.stop()

    def test_workers_of_a_pool(self):
        """They are its children, as which_children of a simple_one_for_one has them; also those that do not live."""
        self.monitor('web', 'Exec=/bin/sleep 1000\nRestart=transient\n', 'Workers=3\n')
        self.start()
        for name in ('web.1', 'web.2', 'web.3'):
            self.ctl('wait', name, 'running')
        children = lambda: base.json.loads(self.ctl('list-children', 'web', '--json=short'))
        self.assertEqual([(c['name'], c['kind'], c['restart'], c['state'], c['pid']) for c in children()],
                         [(n, 'actor', 'transient', 'running', self.pid(n)) for n in ('web.1', 'web.2', 'web.3')])
        self.assertEqual(self.ctl('send', 'web', 'count_children').split(), ['(uuuu)', '1', '3', '0', '3'])
        self.assertEqual(self.ctl('send', 'web', 'which_children').count('"transient"'), 3)
        self.ctl('stop', 'web.2')
        self.assertEqual([(c['state'], c['pid'] > 0, c['aid'] != '') for c in children()],
                         [('running', True, True), ('terminated', False, False), ('running', True, True)])
        self.assertRegex(self.ctl('list-children', 'web'), r'(?m)^web\.2 +actor +transient +no +terminated +- ')
        self.assertEqual(self.ctl('send', 'web', 'count_children').split(), ['(uuuu)', '1', '2', '0', '3'])
        self.assertIn('it is a pool', self.ctl('add-child', 'web', 'x', status=1))
        self.stop()

    def test_answers_while_a_child_hangs(self):
        """In its start, and in its stop: what there is can be asked all the same."""
        self.child('a')
        self.actor('h', 'Exec=/bin/sleep 1000\nType=notify\n')  # it never says READY=1
        self.child('w')
        self.tree('tree', 'a.actor h.actor w.actor')
        self.start()
        self.running('a')
        self.expect_states('running', 'starting', 'waiting')
        self.assertIn('w waits for its turn to start: h comes before it, and does not run yet.', self.ctl('why', 'w'))
        self.stop()
        os.unlink(self.etc + '/w.actor')
        self.actor('h', 'Exec=%s\nType=notify\nTimeoutStopSec=1h\n' % self.script('deaf.py', DEAF))
        self.tree('tree', 'a.actor h.actor', strategy='one-for-all')
        self.start()
        self.running('h')
        pid = self.pid('h')
        self.kill('a')
        self.log.expect('a has ended')
        self.expect_states('waiting', 'stopping')
        self.assertIn('a waits for its turn to start: first h has to be down.', self.ctl('why', 'a'))
        self.assertIn('h is stopping: it was sent its stop signal', self.ctl('why', 'h'))
        self.assertRegex(self.ctl('status'), 'h .*stopping')
        os.kill(pid, signal.SIGKILL)
        self.running('a', 'h')
        pid = self.pid('h')
        self.ctl('stop', '--no-block', 'tree')
        self.expect_states('running', 'stopping')
        os.kill(pid, signal.SIGKILL)
        self.stop()

    def expect_states(self, *states):
        children = base.json.loads(self.ctl('list-children', 'tree', '--json=short'))
        self.assertEqual([c['state'] for c in children], list(states))


class Reload(Tree):
    def test_restart_of_one_that_is_stopped(self):
        """Who asks too early is told to ask again; the arbiter does not stop."""
        self.monitor('slow', 'Exec=/bin/sh -c "trap \\"\\" TERM; echo here; while :; do sleep 1000; done"\n')
        self.start()
        self.assertEqual(self.out.line(), 'here')
        self.ctl('stop', '--no-block', 'slow')
        self.assertIn('"slow" is busy with an earlier request', self.ctl('restart', 'slow', status=1))
        self.ctl('kill', '--signal=KILL', 'slow.1')
        self.log.expect('slow has ended')
        self.ctl('restart', 'slow')
        self.assertEqual(list(self.actors()), ['slow.1'])
        self.stop()

    def test_another_kind(self):
        """An actor that becomes a monitor of its name, and a monitor that becomes an actor again, by one reload each."""
        slow = 'Exec=/bin/sh -c "trap \\"\\" TERM; echo here; while :; do sleep 1000; done"\nTimeoutStopSec=200ms\n'
        kinds = {'plain': 'Exec=/bin/sleep 1000\n', 'slow': slow, 'once': slow + 'Restart=temporary\n', 'gone': 'Exec=/bin/true\nRestart=temporary\n'}
        for name, text in kinds.items():
            self.actor(name, text)
        self.start()
        self.log.expect(r'gone has ended')
        for _ in range(2):
            self.out.line()
        self.ctl('stop', '--no-block', 'once')  # it is on its way already, and for good
        for name in kinds:
            os.unlink(os.path.join(self.etc, name + '.actor'))
            self.monitor(name, 'Exec=/bin/sleep 1000\n')
        self.ctl('daemon-reload')
        for name in kinds:
            self.ctl('wait', name, 'running')
        self.ctl('stop', 'gone')
        for name in kinds:
            os.unlink(os.path.join(self.etc, name + '.monitor'))
            self.actor(name, 'Exec=/bin/sleep 1000\n')
        self.ctl('daemon-reload')
        for name in kinds:
            self.ctl('wait', name, 'running')
        self.assertEqual(self.monitors(), {})
        self.stop()

    def test_difference(self):
        """Children come, go and change, and nobody else notices."""
        for name in 'abc':
            self.child(name)
        self.tree('tree', 'a.actor b.actor c.actor', strategy='one-for-all')
        self.start()
        self.expect('+a +b +c')
        self.running('c')
        pids = {n: a['pid'] for n, a in self.actors().items()}
        self.child('d')
        self.child('b', 'Description=Changed\n')
        self.tree('tree', 'a.actor d.actor b.actor', strategy='one-for-all')
        os.unlink(os.path.join(self.etc, 'c.actor'))
        plan = self.ctl('daemon-reload', '--dry-run')
        for pattern in (r'b +restart', r'c +stop', r'd +start .*a child of tree'):
            self.assertRegex(plan, pattern)
        self.reload()
        self.running('d', 'b')
        self.assertEqual(sorted(self.actors()), ['a', 'b', 'd'])
        self.assertEqual(self.pid('a'), pids['a'])
        self.assertNotEqual(self.pid('b'), pids['b'])
        self.assertEqual(sorted(self.take().split()), ['+b', '+d', '-b', '-c'])
        self.stop()
        self.expect('-b -d -a')

    def test_order_changes(self):
        for name in 'abc':
            self.child(name)
        self.tree('tree', 'a.actor b.actor c.actor')
        self.start()
        self.expect('+a +b +c')
        self.running('c')
        pids = {n: a['pid'] for n, a in self.actors().items()}
        self.tree('tree', 'b.actor a.actor c.actor')
        self.assertEqual(self.ctl('daemon-reload', '--dry-run', '--no-legend').split(),
                         ['a', 'move'] + 'it stands elsewhere among the children of tree, and goes on'.split())
        self.reload()
        self.assertEqual(self.children('tree'), ['b', 'a', 'c'])
        self.tree('tree', 'c.actor x.actor b.actor a.actor')
        self.child('x')
        self.reload()
        self.expect('+x')
        self.assertEqual(self.children('tree'), ['c', 'x', 'b', 'a'])
        self.assertEqual({n: self.pid(n) for n in 'abc'}, pids)
        self.ctl('restart', 'tree')
        self.expect('-a -b -x -c +c +x +b +a')
        self.stop()
        self.expect('-a -b -x -c')

    def children(self, monitor):
        return [c['name'] for c in base.json.loads(self.ctl('list-children', monitor, '--json=short'))]

    def test_order_changes_while_it_stops(self):
        """Then it cannot be moved, but it is put in there."""
        self.child('a')
        self.child('b')
        self.actor('h', 'Exec=%s\nType=notify\nTimeoutStopSec=1h\n' % self.script('deaf.py', DEAF))
        self.tree('tree', 'a.actor b.actor h.actor', strategy='one-for-all')
        self.start()
        self.running('h')
        pid = self.pid('h')
        self.kill('a')
        self.log.expect('a has ended')
        self.tree('tree', 'b.actor a.actor h.actor', strategy='one-for-all')
        self.reload()
        os.kill(pid, signal.SIGKILL)
        self.running('h')
        self.assertEqual(self.children('tree'), ['b', 'a', 'h'])
        self.expect('+a +b -b +b +a')
        pid = self.pid('h')
        self.ctl('stop', '--no-block', 'tree')
        os.kill(pid, signal.SIGKILL)
        self.expect('-a -b')
        self.stop()

    def test_moves(self):
        """Into a tree, to another, and out of all."""
        for name in 'ab':
            self.child(name)
        self.tree('tree', 'a.actor')
        self.start()
        self.expect_any_order('+b', '+a')
        self.tree('tree', 'a.actor b.actor')
        self.assertRegex(self.ctl('daemon-reload', '--dry-run'), 'b +restart +it becomes a child of tree')
        self.reload()
        self.expect('-b +b')
        self.log.expect(r'b is running')
        self.assertEqual(self.actors()['b']['monitor'], 'tree')
        self.tree('tree', 'b.actor')
        self.tree('other', 'a.actor')
        self.reload()
        self.expect('-a +a')
        self.log.expect(r'a is running')
        self.assertEqual({n: a['monitor'] for n, a in self.actors().items()}, {'a': 'other', 'b': 'tree'})
        os.unlink(os.path.join(self.etc, 'tree.monitor'))
        self.reload()
        self.expect('-b +b')
        self.log.expect(r'b is running')
        self.assertEqual(self.actors()['b']['monitor'], '')
        self.stop()

    def test_strategy_changes(self):
        for name in 'ab':
            self.child(name)
        self.tree('tree', 'a.actor b.actor')
        self.start()
        self.expect('+a +b')
        self.tree('tree', 'a.actor b.actor', strategy='one-for-all')
        self.reload()
        self.expect('-b -a +a +b')
        self.running('b')
        self.kill('b')
        self.expect('-a +a +b')
        self.stop()

    def test_files_with_errors(self):
        """What they have named does not run by itself instead; when they are mended, it starts."""
        self.child('a')
        self.child('b')
        self.tree('tree', 'a.actor b.actor', 'RestartIntensity=many\n')
        self.start()
        self.assertIn('is not started: it is the child of a monitor whose file has errors', '\n'.join(self.log.seen))
        self.assertEqual(self.actors(), {})
        self.tree('tree', 'a.actor b.actor')
        self.reload()
        self.expect('+a +b')
        self.running('b')
        pids = {n: a['pid'] for n, a in self.actors().items()}
        self.write('b.actor', '[Actor]\nExec=\n')
        self.reload(r'b\.actor')
        self.assertEqual({n: a['pid'] for n, a in self.actors().items()}, pids)
        self.stop()


class Refusals(Tree):
    def refused(self, pattern):
        p = subprocess.run([base.ARBITERD, '--config-dir=' + self.etc, '--check'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, env=base.ENVIRONMENT, timeout=base.PATIENCE)
        self.assertNotEqual(p.returncode, 0)
        self.assertRegex(p.stdout, pattern)

    def test_refusals(self):
        self.child('a')
        self.child('b')
        for children, text, strategy, pattern in (
                ('a.actor', 'Workers=2\n', 'one-for-one', r'tree\.monitor:\d+: Workers= is for pools'),
                ('a.actor', 'MaxMemory=1G\n', 'one-for-one', r'tree\.monitor:\d+: MaxMemory= is for pools.*file of a child'),
                ('a.actor', 'MaxSurge=2\n', 'one-for-one', r'tree\.monitor:\d+: MaxSurge= .* for pools.*file of a child'),
                ('a.actor', '[LivenessProbe]\nProbeTcp=80\n', 'one-for-one', r'tree\.monitor:\d+: Probes ask .*their files'),
                ('a.actor', '', 'pool', r'tree\.monitor:3: Children= needs a strategy; add Strategy='),
                ('', '', 'one-for-one', r'tree\.monitor:2: Strategy= is for monitors of different children.*add Children='),
                ('a.actor', '[Actor]\nExec=/bin/true\n', 'one-for-all', r'tree\.monitor:3: Children= are run by their own files'),
                ('a', '', 'one-for-all', r'tree\.monitor:3: .*is not the name of a file; write for example Children=db\.actor'),
                ('a.actor a.actor', '', 'one-for-all', r'tree\.monitor:3: Children= names a\.actor twice'),
                ('a.actor x.actor', '', 'one-for-all', r'tree\.monitor:3: Children= names x\.actor, and there is no such file'),
                ('a.actor tree.monitor', '', 'one-for-all', r'tree\.monitor:3: .*closes a circle'),
                ('a.actor', 'AutoShutdown=some\n', 'one-for-all', r'tree\.monitor:\d+: AutoShutdown=some'),
                ('a.actor', 'Significant=yes\n', 'one-for-all', r'tree\.monitor:\d+: Significant= is for children that may end'),
                ('a.actor', 'FailureActionExitStatus=256\n', 'one-for-all', r'tree\.monitor:\d+: .*FailureActionExitStatus=256')):
            with self.subTest(pattern):
                self.tree('tree', children, text, strategy, backoff='')
                self.refused(pattern)

    def test_shutdown(self):
        self.child('a', 'Shutdown=soft\n')
        self.tree('tree', 'a.actor')
        self.refused(r'a\.actor:\d+: Shutdown=soft .*write for example Shutdown=brutal, infinity, 10s')

    def test_two_parents(self):
        self.child('a')
        self.tree('one', 'a.actor')
        self.tree('two', 'a.actor')
        self.refused(r'two\.monitor:3: Children= names a\.actor, which is a child of one already; remove it from one of the two')

    def test_circle(self):
        self.child('a')
        self.tree('one', 'a.actor two.monitor')
        self.tree('two', 'three.monitor')
        self.tree('three', 'one.monitor')
        self.refused(r'\w+\.monitor:3: Children= names \w+\.monitor, .*closes a circle; remove it from one of the files')

    def test_pool_becomes_a_tree(self):
        """Its children come with it, and are not refused because it is still the pool that leaves."""
        self.monitor('web', 'Exec=/bin/sleep 1000\n')
        self.start()
        self.ctl('wait', 'web.1', 'running')
        self.child('x')
        self.tree('web', 'x.actor')
        self.ctl('daemon-reload')
        self.running('x')
        self.stop()

    def test_waits_for_nobody(self):
        """Who waits for a monitor whose file has errors runs by itself when that is mended and does not name him."""
        for name in 'xyz':
            self.child(name)
        self.tree('a', 'x.actor')
        self.tree('b', 'a.monitor y.actor z.actor', 'AutoShutdown=some\n')
        self.start()
        self.assertEqual(len([line for line in self.log.seen if 'it is the child of a monitor whose file has errors' in line]), 3)
        self.tree('b', 'z.actor')
        self.ctl('daemon-reload')
        self.running('x', 'y', 'z')
        self.stop()

    def test_plan_without_the_parent(self):
        """Children of a monitor whose file has errors stay where they are, and the plan says no other."""
        for name in 'xy':
            self.child(name)
        self.tree('a', 'x.actor')
        self.tree('b', 'a.monitor y.actor')
        self.start()
        self.running('x', 'y')
        self.tree('b', 'a.monitor y.actor', 'AutoShutdown=some\n')
        p = subprocess.run([base.ARBITERCTL, '--runtime-dir=' + self.directory, 'daemon-reload', '--dry-run', '--json=short'],
                           stdout=subprocess.PIPE, text=True, env=base.ENVIRONMENT, timeout=base.PATIENCE)
        self.assertEqual([r['verb'] for r in base.json.loads(p.stdout) if '/' not in r['name']], ['keep'], p.stdout)
        self.stop()

    def test_circle_of_old_and_new(self):
        """A file with errors is what it was: with that, others may close a circle that none of the reloads has seen whole."""
        self.child('x')
        self.child('y')
        self.tree('a', 'x.actor')
        self.tree('b', 'a.monitor y.actor')
        self.start()
        self.running('x', 'y')
        self.tree('b', 'a.monitor y.actor', 'AutoShutdown=some\n')
        self.tree('a', 'b.monitor x.actor')
        self.ctl('daemon-reload', status=1)
        self.tree('a', 'b.monitor x.actor', 'AutoShutdown=some\n')
        self.child('x', 'Nice=1\n')
        self.ctl('daemon-reload', status=1)
        self.tree('a', 'b.monitor x.actor')
        self.tree('b', 'y.actor')
        self.ctl('daemon-reload')
        self.ctl('wait', 'a', 'ready')
        self.assertEqual([c['name'] for c in base.json.loads(self.ctl('list-children', 'a', '--json=short'))], ['b', 'x'])
        self.stop()

    def test_too_deep(self):
        """As many as can be; and one more, whichever of them is read last."""
        self.child('a')
        for deepest in 32, 33:
            for i in range(1, deepest):
                self.tree('m%d' % i, 'm%d.monitor' % (i + 1))
            self.tree('m%d' % deepest, 'a.actor')
            if deepest == 33:
                self.refused(r'm\d+\.monitor:3: Children= names m\d+\.monitor, and with that more than 32 monitors')
            else:
                self.start()
                self.running('a')
                self.stop()

    def test_many_children(self):
        """What a start costs is not the cube of their number: that took minutes, without an answer."""
        names = ['c%d' % i for i in range(1500)]
        for name in names:
            self.actor(name, 'Exec=/bin/sleep 1000\nType=notify\n')  # the first never says so: the others wait
        self.tree('tree', ' '.join(n + '.actor' for n in names))
        self.start()
        self.assertEqual([c['name'] for c in base.json.loads(self.ctl('list-children', 'tree', '--json=short'))], names)
        self.stop()

    def test_nobody_is_significant(self):
        self.child('a')
        self.tree('tree', 'a.actor', 'AutoShutdown=any\n')
        p = subprocess.run([base.ARBITERD, '--config-dir=' + self.etc, '--check'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, env=base.ENVIRONMENT, timeout=base.PATIENCE)
        self.assertEqual(p.returncode, 0)
        self.assertRegex(p.stdout, r'tree\.monitor: AutoShutdown= does nothing .* add Significant=yes and Restart=transient')


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], *sys.argv[6:]], verbosity=2)
