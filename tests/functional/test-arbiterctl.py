#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""arbiterctl against the D-Bus face of an arbiter whose four actors exist in a table only (fake-arbiterd): what each verb
prints, as text and as JSON, where it goes, and the exit status.

test-arbiterctl.py ARBITERCTL FAKE_ARBITERD
"""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

ARBITERCTL, FAKE = sys.argv[1:3]
ENVIRONMENT = {'PATH': '/usr/bin:/bin', 'LC_ALL': 'C.UTF-8', 'HOME': '/nonexistent'}
ENVIRONMENT.update({k: v for k, v in os.environ.items() if k.endswith('SAN_OPTIONS')})


def ctl(*arguments, env=None):
    p = subprocess.run([ARBITERCTL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       stdin=subprocess.DEVNULL, env={**ENVIRONMENT, **(env or {})}, timeout=60)
    return p.returncode, p.stdout, p.stderr


class Case(unittest.TestCase):
    actors = 4

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix='arbiterctl-')
        self.addCleanup(temporary.cleanup)
        self.directory = os.path.join(temporary.name, 'run')
        os.mkdir(self.directory, 0o700)
        self.environment = {'ARBITER_RUNTIME_DIR': self.directory}

    def start(self):
        self.fake = subprocess.Popen([FAKE, self.directory, str(self.actors)], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        self.assertEqual(self.fake.stdout.readline(), 'ready\n')

    def stop(self):
        if not self.fake.stdin.closed:
            self.fake.stdin.close()
        self.assertEqual(self.fake.wait(timeout=60), 0)
        self.fake.stdout.close()

    def ok(self, *arguments, env=None):
        status, out, err = ctl(*arguments, env={**self.environment, **(env or {})})
        self.assertEqual((status, err), (0, ''), arguments)
        return out

    def json(self, *arguments):
        return json.loads(self.ok(*arguments, '--json=short'))

    def fails(self, status, pattern, *arguments):
        got, out, err = ctl(*arguments, env=self.environment)
        self.assertEqual(got, status, (arguments, out, err))
        self.assertTrue(err.startswith('arbiterctl: '), err)
        self.assertRegex(err, pattern)
        return out


class WithArbiter(Case):
    def setUp(self):
        super().setUp()
        self.start()


class Look(WithArbiter):
    def test_list_actors(self):
        lines = self.ok('list-actors').splitlines()
        self.assertEqual(lines[0].split(), ['NAME', 'AID', 'MONITOR', 'CONCURRENCY', 'STATE', 'PID', 'UPTIME'])
        self.assertEqual(lines[1].split()[:6], ['web.1', 'a0000000', 'web', 'process', 'running', '1000'])
        self.assertEqual(lines[-1], '4 actors listed.')
        self.assertEqual(len(self.ok('list-actors', '--no-legend').splitlines()), 4)
        self.assertEqual(len(self.ok('list-actors', '--no-legend', 'web.[12]', '7*').splitlines()), 3)
        self.assertEqual(self.ok('list-actors', '--no-legend', 'nothing'), '')

    def test_list_actors_json(self):
        rows = self.json('list-actors')
        self.assertEqual([r['name'] for r in rows], ['web.1', 'web.2', 'web.3', 'web.4'])
        self.assertEqual(list(rows[0])[:9], ['aid', 'name', 'monitor', 'concurrency', 'state', 'pid', 'uptime_usec',
                                             'restarts', 'path'])
        self.assertEqual(rows[1]['path'], '/io/arbiter/Arbiter1/actor/_370000001')
        self.assertIsNone(rows[0]['memory_bytes'])
        self.assertGreater(rows[0]['uptime_usec'], 0)
        self.assertEqual(json.loads(self.ok('list-actors', '--json=pretty'))[0]['aid'], rows[0]['aid'])
        self.assertEqual(self.json('list-actors', 'nothing'), [])

    def test_list_monitors(self):
        self.assertEqual(self.ok('list-monitors', '--no-legend').split(), ['web', 'running', '4', '3', '1', '12'])
        self.assertEqual(self.json('list-monitors'),
                         [{'name': 'web', 'state': 'running', 'workers': 4, 'running': 3, 'failed': 1, 'restarts': 12,
                           'path': '/io/arbiter/Arbiter1/monitor/web'}])

    def test_status(self):
        out = self.ok('status')
        self.assertIn('├─web.1', self.ok())
        self.assertRegex(out, r'(?m)^● arbiter - version \S+, in %s$' % re.escape(self.directory))
        self.assertRegex(out, r'(?m)^    Main PID: %d$' % self.fake.pid)
        self.assertRegex(out, r'(?m)^      Actors: 4 of 4 running, in 1 monitor; 1 given up')
        self.assertRegex(out, r'(?m)^● web +running .* 3 of 4 running, 1 failed; '
                              r'replacing has halted, web\.4 fails \(exit-code 7\): 1 new, 3 old$')
        self.assertRegex(out, r'(?m)^● ├─web\.1 +running +1000 .* serving')
        self.assertRegex(out, r'web\.2 .*last life: signal KILL')
        self.assertNotIn('\x1b', out)
        ascii_out = self.ok('status', env={'LC_ALL': 'C'})
        self.assertTrue(ascii_out.isascii())
        self.assertRegex(ascii_out, r'(?m)^\* `-web\.4')
        screen = self.ok('status', 'web.2')
        self.assertRegex(screen, r'(?m)^● web\.2')
        self.assertRegex(screen, r'(?m)^    Restarts: \d+; the life before ended by: signal KILL$')
        self.assertRegex(self.ok('status', 'web'), r'(?m)^     Workers: 3 of 4 running, 1 failed; replacing has halted, web\.4 fails')
        kinds = [o['kind'] for o in self.json('status')]
        self.assertEqual(kinds, ['arbiter', 'monitor'] + 4 * ['actor'])
        self.assertEqual([o['name'] for o in self.json('status', 'web.3')], ['web.3'])
        self.assertEqual(len(self.json('status', 'web')), 5)
        self.fails(4, r"No actor 'wbe': did you mean 'web'\? See 'arbiterctl list-actors'\.", 'status', 'wbe')

    def test_colours(self):
        def run(**env):
            command = '%s --runtime-dir=%s status' % (ARBITERCTL, self.directory)
            return subprocess.run(['script', '-qec', command, '/dev/null'], stdout=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL, text=True, env={**ENVIRONMENT, 'TERM': 'xterm', **env}).stdout
        if subprocess.run(['sh', '-c', 'command -v script'], stdout=subprocess.DEVNULL).returncode != 0:
            self.skipTest('no script(1)')
        self.assertIn('\x1b[32m●', run())
        self.assertNotIn('\x1b[32m', run(NO_COLOR='1'))
        self.assertNotIn('\x1b[32m', run(TERM='dumb'))

    def test_show(self):
        lines = dict(line.split('=', 1) for line in self.ok('show', 'web.1').splitlines())
        self.assertEqual((lines['AID'], lines['PID'], lines['MemoryBytes']), ('a0000000', '1000', '[not set]'))
        self.assertEqual(self.ok('show', '-p', 'PID,name', 'web.1'), 'Name=web.1\nPID=1000\n')
        self.assertEqual(self.ok('show', '-p', 'Name', 'web.*').split(), ['Name=web.%d' % i for i in (1, 2, 3, 4)])
        self.assertIn('Definitions=clock web\n', self.ok('show'))
        o = self.json('show', 'web.1')[0]
        for key in ['aid', 'name', 'monitor', 'concurrency', 'state', 'pid', 'uptime_usec', 'restarts', 'path']:
            self.assertIn(key, o)
        self.fails(1, r"No property 'Stat': did you mean 'State'\?", 'show', '-p', 'Stat', 'web.1')

    def test_info(self):
        self.assertEqual(self.ok('info', 'web.1'), 'actor:\n    name: web.1\n    uptime: 0.5\nextra:\n')
        self.assertIn('web.2\n    actor:\n        name: web.2\n', self.ok('info', 'web'))
        self.assertEqual(self.json('info', 'web.[12]'),
                         [{'actor': {'name': 'web.%d' % i, 'uptime': 0.5}, 'extra': {}} for i in (1, 2)])
        self.fails(4, "No actor 'nope'", 'info', 'nope')

    def test_introspect(self):
        self.assertIn(['square', 'x', 'n', 'x', 'result'], [x.split() for x in self.ok('introspect', 'web.1').splitlines()])
        rows = {r['name']: r for r in self.json('introspect', 'web')}
        self.assertEqual(rows['pair'], {'actor': 'web.1', 'name': 'pair', 'arguments': 'yq', 'argument_names': ['a', 'b'],
                                        'result': 'yq', 'result_names': ['a', 'b']})


class Talk(WithArbiter):
    def test_ping(self):
        out = self.ok('ping', 'web.1', '-c', '2', '-i', '1ms')
        self.assertRegex(out, r'(?m)^pong from web\.1 \(a0000000\): seq=2 time=\d+ µs$')
        self.assertRegex(out, r'2 sent, 2 received, 0% loss\nround trip min/avg/max = \d+/\d+/\d+ µs\n$')
        rows = self.json('ping', 'web', '-c', '1')
        self.assertEqual([(r['name'], r['sent'], r['received']) for r in rows], [('web.%d' % i, 1, 1) for i in (1, 2, 3, 4)])
        self.fails(4, "No actor 'nope'", 'ping', 'nope')

    def test_ping_interrupted(self):
        p = subprocess.Popen([ARBITERCTL, 'ping', 'web.1', '-c', '0', '-i', '1ms'], stdout=subprocess.PIPE, text=True,
                             env={**ENVIRONMENT, **self.environment})
        self.assertIn('seq=1 ', p.stdout.readline())
        p.send_signal(signal.SIGINT)
        self.assertIn('round trip min/avg/max', p.stdout.read())
        self.assertEqual(p.wait(timeout=60), 0)
        p.stdout.close()

    def test_send(self):
        self.assertEqual(self.ok('send', 'web.1', 'echo', 's', 'hal"lo'), 's "hal\\"lo"\n')
        self.assertEqual(self.ok('send', 'web.1', 'echo', 'v', 'as', '2', 'a', 'b'), 'as 2 "a" "b"\n')
        self.assertEqual(self.ok('send', 'web.1', 'square', 'x', '-7'), 'x -7\n')
        self.assertEqual(self.ok('send', 'web.1', 'square', 'y', '7', '--json=short'), '{"type":"x","data":7}\n')
        self.assertEqual(self.json('send', 'web.1', 'pair', 'yq', '1', '2'), {'type': '(yq)', 'data': [1, 2]})
        self.assertEqual([r['data'] for r in self.json('send', 'web.*', 'square', 'x', '3')], 4 * [3])
        self.assertEqual(self.ok('send', 'web.1', 'note', 's', '--', '--quiet'), 's "--quiet"\n')

    def test_send_failures(self):
        self.fails(2, r"'x' does not fit signature 'u': expected u: a whole number", 'send', 'web.1', 'square', 'u', 'x')
        self.fails(2, r"Too few arguments for signature 'x'", 'send', 'web.1', 'square', 'x')
        self.fails(2, r"Too many arguments for signature 'x': '2'", 'send', 'web.1', 'square', 'x', '1', '2')
        self.fails(2, r"'7' does not fit signature '7'", 'send', 'web.1', 'square', '7')
        self.fails(1, r'has no command "nope"', 'send', 'web.1', 'nope')
        self.fails(1, r'Argument 1 of "square" must be', 'send', 'web.1', 'square', 's', 'x')
        self.fails(1, r'web\.1 died of signal KILL', 'send', 'web.1', 'byte', 'y', '1')
        self.fails(4, r"There is no actor 'web\.9' now: .* 'arbiterctl why web\.9'", 'send', 'web.9', 'ping')
        self.assertEqual(self.fails(4, r"No actor matches 'x\*'", 'send', 'x*', 'ping', '--json=short'), '[]\n')


class Change(WithArbiter):
    def test_stop(self):
        self.assertEqual(self.ok('stop', 'web.1', 'web.2'), 'web.1: running → stopped\nweb.2: running → stopped\n')
        self.assertEqual(self.ok('stop', 'w*', '--no-block'), 'web: running → stopping\n')
        self.assertEqual(self.ok('stop', 'web.1', '-q'), '')
        out = self.fails(4, "No actor 'zzz'", 'stop', 'zzz', 'web.2')
        self.assertEqual(out, 'web.2: running → stopped\n')

    def test_no_answer(self):
        self.fails(1, r'web\.3: No answer in time\..*--timeout=SEC waits longer', 'stop', 'web.3', '--timeout=2s')
        self.assertEqual(self.ok('stop', 'web.3', '--no-block'), 'web.3: running → stopping\n')

    def test_disconnect(self):
        self.fails(3, r'web\.4: The arbiter closed the connection', 'stop', 'web.4')

    def test_kill(self):
        self.assertEqual(self.ok('kill', 'web.2'), 'web.2: sent SIGTERM to pid 1001\n')
        self.assertEqual(self.ok('kill', '-s', '9', 'a0000002'), 'web.3: sent SIGKILL to pid 1002\n')
        self.assertEqual([r['pid'] for r in self.json('kill', '--signal=HUP', 'web')], [1000, 1001, 1002, 1003])
        self.fails(2, "'FOO' is no signal", 'kill', '-s', 'FOO', 'web.1')

    def test_restart(self):
        self.assertEqual(self.ok('restart', 'web.1'), 'web.1: a0000000 (pid 1000) → z0000000 (pid 6000)\n')
        rows = self.json('restart', 'web')
        self.assertEqual(rows[0], {'name': 'web.1', 'before': {'aid': 'z0000000', 'pid': 6000},
                                   'after': {'aid': 'b0000000', 'pid': 11000}})
        self.assertEqual(len(rows), 4)
        self.assertEqual(self.ok('restart', '--no-block', 'web.1'), 'web.1: restart asked for\n')
        self.fails(4, '"arbiterctl status" shows those that there are', 'restart', 'nope')

    def test_arbiter_itself(self):
        for verb in 'stop', 'restart', 'kill', 'status':
            self.fails(4, "'arbiter' is the arbiter itself, and no actor", verb, 'arbiter')

    def test_scale(self):
        self.assertEqual(self.ok('scale', 'web', '6'), 'web: 4 → 6 workers\n')
        self.assertEqual(self.ok('scale', 'web', '-1'), 'web: 6 → 5 workers\n')
        self.assertEqual(self.json('scale', 'web', '+2'), [{'name': 'web', 'before': 5, 'after': 7}])
        self.assertEqual(self.ok('scale', 'web', '2', env={'LC_ALL': 'C'}), 'web: 7 -> 2 workers\n')
        self.fails(2, "'many' is no number of workers", 'scale', 'web', 'many')
        self.fails(2, "A monitor has 10000 workers at most, and '20000' would be 20000", 'scale', 'web', '20000')
        self.fails(2, "at most, and '.9999' would be 10001", 'scale', 'web', '+9999')
        self.fails(4, "'web.1' is an actor, not a monitor", 'scale', 'web.1', '3')
        self.fails(4, "No monitor 'wbe': did you mean 'web'", 'scale', 'wbe', '3')

    def test_spawn(self):
        self.assertEqual(self.ok('spawn', 'clock'), 'clock 9spawned -\n')
        self.assertEqual(self.ok('spawn', 'clock', 'c2', 'a=b', 'c=d=e'), 'c2 9spawned -\n')
        self.assertEqual(json.loads(self.ok('--json=short', 'spawn', 'job', '--', 'sleep', '--help')),
                         [{'name': 'job', 'aid': '9spawned', 'pid': 0, 'path': '/io/arbiter/Arbiter1/actor/_39spawned'}])
        self.fails(1, 'no definition "foo"', 'spawn', 'foo')
        self.fails(2, "'a.b' cannot be the name", 'spawn', 'a.b', '--', 'true')
        self.fails(2, "no program after '--'", 'spawn', 'job', '--')
        self.fails(2, "'x' is no KEY=VALUE", 'spawn', 'clock', 'c2', 'x')
        self.fails(1, "No program 'no-such-program'", 'spawn', 'job', '--', 'no-such-program')

    def test_reload(self):
        self.assertEqual(self.ok('reload'), 'Configuration reloaded, no pool changed its size.\n')
        self.assertEqual(self.json('reload'), [])

        self.fails(2, "takes no names.*'arbiterctl reload web'", 'daemon-reload', 'web')
        self.fails(2, "daemon-reload' would do.*'arbiterctl reload web' replaces", 'reload', '--dry-run', 'web')
        self.fails(2, "reload --abort MONITOR", 'reload', '--abort')
        self.fails(4, "'web.1' is an actor, not a monitor", 'reload', 'web.1')
        self.assertEqual(len(self.json('reload', 'web')), 4)
        self.assertEqual(self.ok('reload', '--no-block', 'web'), 'web: reload asked for\n')
        self.assertEqual(self.ok('reload', '--abort', 'web'), 'web: turned back, all workers are of the definition before\n')
        self.assertEqual(self.ok('restart', '--abort', '--no-block', 'web'), 'web: turning back asked for\n')
        self.assertEqual(self.json('reload', '--abort', 'web'), [{'name': 'web'}])
        self.assertEqual(self.ok('daemon-reload', '--no-block'), 'Reload asked for.\n')

    def test_reexec(self):
        """That it is done is a matter of the arbiter as a service (tests/integration/test-adoption.py)."""
        self.fails(1, 'cannot read the state', 'daemon-reexec')
        self.fails(2, 'daemon-reexec', 'daemon-reexec', 'web')
        self.assertEqual(self.ok('daemon-reexec', '--no-block'), 'Execution of the new program asked for.\n')

    def test_wait(self):
        self.assertEqual(self.ok('wait', 'web.1', 'running'), 'web.1: running\n')
        self.assertEqual([r['name'] for r in self.json('wait', 'web.*', 'running')], ['web.%d' % i for i in (1, 2, 3, 4)])
        self.assertEqual(self.ok('wait', 'web.9', 'gone'), 'web.9: gone\n')
        self.fails(124, r"'web' is not running after 20\.0ms: web is not running with all workers", 'wait', 'web', 'running',
                   '--timeout=20ms')
        self.fails(124, 'there is none of that name', 'wait', 'web.9', 'running', '--timeout=20ms')
        self.fails(2, r"'runing' is no state: did you mean 'running'\?", 'wait', 'web', 'runing')

    def test_wait_for_a_life(self):
        self.ok('restart', 'web.1')
        aid = self.json('show', 'web.1')[0]['aid']
        p = subprocess.Popen([ARBITERCTL, 'wait', aid, 'gone'], stdout=subprocess.PIPE, text=True,
                             env={**ENVIRONMENT, **self.environment})
        self.ok('restart', 'web.1')
        self.assertEqual((p.communicate(timeout=60)[0], p.returncode), (aid + ': gone\n', 0))

    def test_wait_for_an_arbiter_that_leaves(self):
        p = subprocess.Popen([ARBITERCTL, 'wait', 'web.9', 'running'], stderr=subprocess.PIPE, text=True,
                             env={**ENVIRONMENT, **self.environment})
        self.ok('ping', 'web.1', '-c', '1')
        self.fails(3, 'closed the connection', 'stop', 'web.4')
        err = p.communicate(timeout=60)[1]
        self.assertEqual(p.returncode, 3, err)
        self.assertRegex(err, 'arbiter is gone|No arbiter runs|closed the connection')

    def test_events(self):
        p = subprocess.Popen([ARBITERCTL, 'events', 'web.1', '--json=short'], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, env={**ENVIRONMENT, **self.environment})
        # Nothing says that it is listening: restart until it has heard one.
        while not select.select([p.stdout], [], [], 0)[0]:
            self.ok('restart', 'web')
        event = json.loads(p.stdout.readline())
        self.assertEqual((event['event'], event['name'], event['reason'], event['status']),
                         ('ActorGone', 'web.1', 'signal', signal.SIGTERM))
        self.stop()
        out, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, 3)
        self.assertIn('The arbiter is gone.', err)
        self.assertLessEqual({json.loads(x)['name'] for x in out.splitlines()}, {'web.1'})


class WithoutArbiter(Case):
    def test_not_running(self):
        self.fails(3, r'No arbiter runs in .*arbiterd --runtime-dir=', 'status')
        self.fails(3, r'No arbiter runs in /nonexistent', '--runtime-dir=/nonexistent', 'list-actors')
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(os.path.join(self.directory, 'private'))
        self.fails(3, 'left its socket behind', 'ping', 'web')

    def test_silent_arbiter(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(os.path.join(self.directory, 'private'))
            s.listen(1)
            self.fails(1, 'does not answer', 'list-actors', '--timeout=50ms')

    def test_long_path(self):
        self.directory = os.path.join(self.directory, 100 * 'x')
        os.mkdir(self.directory)
        self.environment = {'ARBITER_RUNTIME_DIR': self.directory}
        self.fails(3, 'No arbiter runs in', 'status')

    def test_cat(self):
        self.write('web.monitor', '[Monitor]\nWorkers=2')
        os.mkdir(os.path.join(self.directory, 'web.monitor.d'))
        self.write('web.monitor.d/10-more.conf', '[Monitor]\nWorkers=3\n')
        self.write('clock.actor', '[Actor]\n')
        at = self.directory
        both = '# %s/web.monitor\n[Monitor]\nWorkers=2\n\n# %s/web.monitor.d/10-more.conf\n[Monitor]\nWorkers=3\n' % (at, at)
        for name in ['web', 'web.1', 'web.monitor', 'w*']:
            self.assertEqual(self.ok('cat', name, '--config-dir', at), both)
        self.assertEqual([r['name'] for r in self.json('cat', '*', '--config-dir', at)],
                         ['web.monitor', 'web.monitor', 'clock.actor'])
        self.fails(4, r"No configuration of 'clok': did you mean clock\.actor\?", 'cat', 'clok', '--config-dir', at)
        self.environment = {'ARBITER_RUNTIME_DIR': at}
        self.fails(4, r'cat needs that, too', 'cat', 'nonesuch')
        os.symlink('/dev/null', at + '/off.monitor')
        self.fails(1, r'off\.monitor is masked', 'cat', 'off', '--config-dir', at)

    def test_log(self):
        path = os.path.join(self.directory, 'journalctl')
        self.write('journalctl', '#!/bin/sh\nfor a; do printf "%s\\n" "$a"; done\n')
        os.chmod(path, 0o755)
        env = {'PATH': self.directory + ':/usr/bin:/bin', 'ARBITER_RUNTIME_DIR': ''}
        run = lambda *a: ctl(*a, env=env)[1].split('\n')[:-1]
        self.assertEqual(run('--system', 'log'), ['ARBITER_INSTANCE=system'])
        self.assertEqual(run('--runtime-dir=/run/arbiter-shop', 'log', '-f', 'web', '-n', '3', '-p', 'err', '--since=-5min'),
                         ['--follow', '--lines=3', '--since=-5min', '--priority=err', 'ARBITER_INSTANCE=shop',
                          'ARBITER_MONITOR=web', '+', 'ARBITER_INSTANCE=shop', 'ARBITER_NAME=web'])
        self.assertEqual(run('--user', '--instance=shop', 'log', '--json=short', '--no-pager'),
                         ['--no-pager', '--output=json', 'ARBITER_INSTANCE=shop', '_UID=%d' % os.getuid()])
        self.fails(2, r"ssh there arbiterctl log", '-H', 'there', 'log')

    def test_connections(self):
        self.fails(2, '--runtime-dir=/x names an arbiter already', '--runtime-dir=/x', '--system', 'status')
        self.fails(2, r'Which one: --host=a or --machine=b\?', '-H', 'a', '-M', 'b', 'status')
        self.fails(2, r"'ssh a arbiterctl --user \.\.\.'", '-H', 'a', '--user', 'status')
        self.fails(2, 'expected the NAME of arbiter@NAME.service', '--instance=a/b', 'status')
        env = {'ARBITER_RUNTIME_DIR': '', 'DBUS_SYSTEM_BUS_ADDRESS': 'unix:path=/nonexistent'}
        status, out, err = ctl('--system', 'status', env=env)
        self.assertEqual((status, out), (1, ''))
        self.assertIn('Cannot connect to the system bus: No such file or directory. Is D-Bus running?', err)
        status, out, err = ctl('--user', 'status', env=env)
        self.assertEqual((status, out), (1, ''))
        self.assertIn('There is no user bus', err)

    def test_usage(self):
        self.fails(2, r'did you mean --json\?', '--jsno')
        self.fails(2, r'--json needs a value', '--json')
        self.fails(2, r'expected pretty, short or off', '--json=nice')
        self.fails(2, r'--routing=rr: expected round-robin, least-outstanding, consistent-hash or broadcast\.',
                   '--routing=rr', 'send', 'web', 'ping')
        self.fails(2, r'did you mean consistent-hash\? Expected round-robin', '--routing=consistend-hash', 'send', 'web', 'ping')
        self.fails(2, r'--to=pol: did you mean pool\? Expected monitor or pool\.', '--to=pol', 'send', 'web', 'ping')
        self.fails(2, r'takes no value', '--quiet=3')
        self.fails(2, r'Unknown option -z', '-z')
        self.fails(2, r'Did you mean "status"\?', 'statsu')
        self.fails(2, r'Too few arguments\. Usage: arbiterctl send NAME', 'send', 'web.1')
        self.fails(2, r'no span of time', '--timeout=soon', 'status')
        status, out, err = ctl('list-actors', env={'XDG_RUNTIME_DIR': ''} if os.geteuid() else self.environment)
        self.assertIn(status, (2, 3))
        self.assertTrue(re.match(r'arbiterctl \d+\.\d+\.\d+\n$', self.ok('--version')))

    def test_full_disk(self):
        with open('/dev/full', 'w', encoding='utf-8') as full:
            p = subprocess.run([ARBITERCTL, '--help'], stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        self.assertEqual(p.returncode, 1)
        self.assertRegex(p.stderr, 'Cannot write (all of )?the answer')

    def write(self, name, text):
        with open(os.path.join(self.directory, name), 'w', encoding='utf-8') as f:
            f.write(text)

    def test_verify(self):
        self.write('good.monitor', '[Monitor]\nWorkers=2\n[Actor]\nExec=/bin/sleep 1000\nUser=root\n')
        self.assertEqual(self.ok('verify', '--config-dir', self.directory), '1 file, 0 errors, 0 warnings\n')
        self.write('other.monitor', '[Monitor]\n[Actor]\nExec=/bin/sleep 1000\n')
        status, out, err = ctl('verify', '--config-dir', self.directory)
        if os.geteuid() == 0:  # as an arbiterd of root's would say
            self.assertEqual(status, 1)
            self.assertRegex(err, r'other\.monitor.*User=')
        # good.monitor has User=root
        status, out, err = ctl('--user', 'verify', '--config-dir', self.directory)
        self.assertEqual((status, 'runs actors as that user only' in err), (0, False) if os.geteuid() == 0 else (1, True))
        self.write('stranger.actor', '[Actor]\nExec=/bin/sleep 1000\nUser=nobody\n')
        status, out, err = ctl('--user', 'verify', '--config-dir', self.directory)
        self.assertEqual(status, 1)
        self.assertIn("stranger.actor:3: error: A user's arbiter runs actors as that user only", err)
        os.unlink(os.path.join(self.directory, 'stranger.actor'))
        os.unlink(os.path.join(self.directory, 'other.monitor'))
        self.write('bad.monitor', '[Monitor]\nWorkers=many\n[Actor]\nExec=/bin/true\nUser=root\nColour=red\n')
        status, out, err = ctl('verify', '--config-dir=' + self.directory)
        self.assertEqual((status, out), (1, '2 files, 1 error, 1 warning\n'))
        self.assertIn('bad.monitor:2: error: ', err)
        self.assertIn('bad.monitor:6: warning: ', err)
        status, out, err = ctl('verify', os.path.join(self.directory, 'bad.monitor'), '--json=short')
        self.assertEqual((status, err), (1, ''))
        self.assertEqual([(r['line'], r['level']) for r in json.loads(out)], [(2, 'error'), (6, 'warning')])
        self.fails(2, 'is no configuration file', 'verify', '/etc/passwd')


class Many(WithArbiter):
    actors = 1000

    def test_all_are_listed(self):
        self.assertEqual(len(self.ok('list-actors', '--no-legend').splitlines()), 1000)
        rows = self.json('list-actors')
        self.assertEqual([r['name'] for r in rows], ['web.%d' % i for i in range(1, 1001)])


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=1)
