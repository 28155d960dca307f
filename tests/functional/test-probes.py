#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Probes of arbiterd's actors: real workers, real servers (which are in this program, and do as they are told), good ones,
slow ones, dead ones and hostile ones. Waits for lines of the log, and for what servers are asked, never for time.

test-probes.py, with the arguments of test-arbiterd.py
"""

import importlib.util
import os
import queue
import re
import select
import socket
import sys
import threading
import unittest

sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location('arbiterd', os.path.join(os.path.dirname(os.path.abspath(__file__)), 'test-arbiterd.py'))
base = importlib.util.module_from_spec(spec)
spec.loader.exec_module(base)
PATIENCE = base.PATIENCE
SLEEP = 'Exec=/bin/sleep 1000\n'
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
# Asks often, decides soon.
FAST = 'IntervalSec=50ms\nTimeoutSec=10min\nFailureThreshold=2\n'


class Server:
    """Answers each connection by a function of the connection and the request; keeps what it was asked."""

    def __init__(self, answer, family=socket.AF_INET, address=('127.0.0.1', 0)):
        self.answer, self.asked, self.held = answer, queue.Queue(), []
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(address)
        self.socket.listen(64)
        self.address = self.socket.getsockname()
        threading.Thread(target=self.run, daemon=True).start()

    @property
    def port(self):
        return self.address[1]

    def run(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        try:
            request = b''
            while b'\r\n\r\n' not in request:
                data = c.recv(65536)
                request += data
                if not data:
                    break
            self.asked.put(request)
            answer = self.answer
            if callable(answer):
                answer(self, c)
            elif answer is not None:
                c.sendall(answer)
                c.close()
            else:
                self.held.append(c)  # never a word
        except OSError:
            c.close()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for c in self.held:
            c.close()


class Probes(base.Case):
    def serve(self, answer, **how):
        server = Server(answer, **how)
        self.addCleanup(server.close)
        return server

    def pool(self, name, probes, actor=SLEEP, monitor=''):
        self.monitor(name, actor + probes, monitor)

    def told(self, *patterns):
        """Each, now or before."""
        for pattern in patterns:
            if not any(re.search(pattern, line) for line in self.log.seen):
                self.log.expect(pattern)

    def ended(self, pid):
        """Waits until it is, whoever has killed it."""
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        with os.fdopen(fd):
            self.assertTrue(select.select([fd], [], [], PATIENCE)[0], 'it lives on')

    def pids_of(self, *names):
        self.told(*[base.RUNNING % re.escape(n) for n in names])
        actors = self.actors()
        return [actors[n]['pid'] for n in names]

    # start

    def test_start(self):
        """It runs only when it has passed."""
        server = self.serve(b'HTTP/1.1 503 Not yet\r\n\r\n')
        self.pool('web', '[StartProbe]\nProbeHttp=127.0.0.1:%d/health?n=%%i\nIntervalSec=50ms\nTimeoutSec=10min\n'
                  'FailureThreshold=100000\n' % server.port)
        self.start()
        request = server.asked.get(timeout=PATIENCE)
        self.assertEqual(request.split(b'\r\n')[0], b'GET /health?n=1 HTTP/1.1')
        self.assertIn(b'\r\nHost: 127.0.0.1:%d\r\n' % server.port, request)
        self.assertEqual(self.actors()['web.1']['state'], 'starting')
        server.asked.get(timeout=PATIENCE)  # the first has had its answer
        self.assertRegex(self.ctl('why'), r'web\.1 is starting: its start probe was begun .* and has not passed yet; it said last: '
                         'status 503; its start is given up in')
        self.assertIn('\nProbeStatus=start: unknown (status 503)\n', self.ctl('show', 'web.1'))
        server.answer = OK
        self.told(r'web\.1 is running')
        self.stop()

    def test_start_fails(self):
        """The start has failed, with the probe's last words."""
        line = self.script('probe.py', 'import sys\nprint("the disk", flush=True)\nprint("is full")\nsys.exit(3)\n')
        self.pool('web', '[StartProbe]\nProbeExec=%s\n%s' % (line, FAST), monitor='BackoffMinSec=1h\nBackoffMaxSec=1h\n')
        self.start()
        self.told(r'web\.1: its start probe failed 2 times, last: exited with status 3: the disk is full',
                  r'web\.1 has ended: unhealthy')
        self.log.expect(r'web\.1 has ended: unhealthy')
        self.assertRegex(self.ctl('why', 'web.1'), r'its probe found it unhealthy twice')
        self.stop()

    def test_start_timeout(self):
        """Its start timeout counts on."""
        server = self.serve(None)
        self.pool('web', '[StartProbe]\nProbeHttp=%d\nTimeoutSec=1h\n' % server.port, SLEEP + 'TimeoutStartSec=300ms\n',
                  'BackoffMinSec=1h\nBackoffMaxSec=1h\n')
        self.start()
        self.told(r'web\.1: not running within its start timeout')
        self.log.expect(r'web\.1 has ended: start-timeout')
        self.stop()

    # liveness

    def unhealthy(self, probe, text, actor=SLEEP):
        """Replaced, for that reason; text: what the probe says."""
        self.pool('web', '[LivenessProbe]\n%s' % probe, actor, 'RestartIntensity=1000\nBackoffMinSec=1ms\nBackoffMaxSec=1ms\n')
        self.start()
        self.told(r'web\.1 is stopped, for it is unhealthy: its liveness probe says: ' + text, r'web\.1 has ended: unhealthy')
        self.log.expect(r'web\.1 is running')
        self.assertIn('unhealthy', self.ctl('deaths', 'web'))
        self.stop()

    def test_refused(self):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            self.unhealthy('ProbeTcp=127.0.0.1:%d\n%s' % (s.getsockname()[1], FAST), 'cannot connect: Connection refused')

    def test_localhost(self):
        """By IPv6, too, if nobody is there by IPv4."""
        server = self.serve(OK, family=socket.AF_INET6, address=('::1', 0))
        self.pool('web', '[ReadinessProbe]\nProbeHttp=http://localhost:%d/\n%s' % (server.port, FAST))
        self.start()
        self.told(r'web\.1 is ready: its readiness probe says: status 200')
        self.stop()

    def test_status(self):
        self.unhealthy('ProbeHttp=%d\n%s' % (self.serve(b'HTTP/1.1 500 Oh\r\n\r\n').port, FAST), 'status 500')

    def test_garbage(self):
        self.unhealthy('ProbeHttp=%d\n%s' % (self.serve(b'\x1b[2J\x00' * 1000).port, FAST),
                       r'what answers does not speak HTTP/1')

    def test_hang_up(self):
        self.unhealthy('ProbeHttp=%d\n%s' % (self.serve(b'').port, FAST), 'it has hung up without an answer')

    def test_endless_headers(self):
        def answer(server, c):
            c.sendall(b'HTTP/1.1 100 Continue\r\n')
            while True:
                c.sendall(b'X: ' + b'x' * 60000 + b'\r\n')

        self.unhealthy('ProbeHttp=%d\n%s' % (self.serve(answer).port, FAST), 'no status in the first 8192 bytes of its answer')

    def test_silent_server(self):
        self.unhealthy('ProbeHttp=%d\nIntervalSec=50ms\nTimeoutSec=100ms\nFailureThreshold=2\n' % self.serve(None).port,
                       'no answer within 0\.1 s')

    def test_dripping_server(self):
        """A byte now and then does not make it longer."""
        stop = threading.Event()
        self.addCleanup(stop.set)

        def answer(server, c):
            for byte in OK * 1000:
                c.sendall(bytes([byte]))
                if stop.wait(0.03):
                    return

        self.unhealthy('ProbeHttp=%d\nIntervalSec=50ms\nTimeoutSec=100ms\nFailureThreshold=2\n' % self.serve(answer).port,
                       'no answer within')

    def test_megabytes(self):
        """The status counts, whatever follows it; and the arbiter goes on."""
        def answer(server, c):
            c.sendall(b'HTTP/1.1 200 OK\r\n\r\n')
            while True:
                c.sendall(b'x' * 1000000)

        server = self.serve(answer)
        self.pool('web', '[LivenessProbe]\nProbeHttp=%d\n%s' % (server.port, FAST))
        self.start()
        first, = self.pids_of('web.1')
        for _ in range(10):
            server.asked.get(timeout=PATIENCE)
        self.assertEqual(self.actors()['web.1']['pid'], first)
        self.stop()

    def test_unix(self):
        path = os.path.join(self.top, '1.sock')
        server = self.serve(OK, family=socket.AF_UNIX, address=path)
        os.chmod(path, 0o777)
        self.pool('web', '[ReadinessProbe]\nProbeHttp=unix:%s/%%i.sock:/health\nProbeHttpHost=%%N.example\n%s' % (self.top, FAST))
        self.start()
        self.told(r'web\.1 is ready: its readiness probe says: status 200')
        request = server.asked.get(timeout=PATIENCE)
        self.assertTrue(request.startswith(b'GET /health HTTP/1.1\r\nHost: web.example\r\n'), request)
        self.stop()

    # programs

    def test_program_hangs(self):
        line = self.script('probe.py', 'import signal\nprint("so far", flush=True)\nsignal.pause()\n')
        self.unhealthy('ProbeExec=%s\nIntervalSec=50ms\nTimeoutSec=500ms\nFailureThreshold=2\n' % line,
                       'not done within 0\.5 s: so far')

    def test_program_output_is_private(self):
        """Everybody may ask why: there is the fact. What it has printed is told by the private socket."""
        line = self.script('probe.py', 'import sys\nprint("a secret", flush=True)\nsys.exit(3)\n')
        self.pool('web', '[ReadinessProbe]\nProbeExec=%s\n%s' % (line, FAST))
        self.start()
        self.told(r'web\.1 is not ready: its readiness probe says: exited with status 3: a secret')
        self.assertIn('exited with status 3: a secret', self.ctl('show', 'web.1'))
        why = self.ctl('why', 'web.1')
        self.assertIn('its readiness probe says: exited with status 3.', why)
        self.assertNotIn('secret', why)

    def test_program_killed(self):
        line = self.script('probe.py', 'import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n')
        self.unhealthy('ProbeExec=%s\n%s' % (line, FAST), 'killed by SIGSEGV')

    def test_program_missing(self):
        self.unhealthy('ProbeExec=/nowhere/probe\n%s' % FAST, r"exec '?/nowhere/probe'? failed: No such file")

    def test_program_prints(self):
        """Much, and nothing that a terminal would obey; the end of it is told."""
        line = self.script('probe.py', 'import sys\nfor i in range(2000):\n    print("x" * 1000)\nprint("\\x1b[2Jthe end")\n'
                           'sys.exit(1)\n')
        self.unhealthy('ProbeExec=%s\n%s' % (line, FAST), r'exited with status 1: x+ \\x1b\[2Jthe end')

    def test_program_forks(self):
        """What it leaves behind ends with it, though it holds the pipe; and it is good."""
        fifo = os.path.join(self.top, 'fifo')
        os.mkfifo(fifo)
        os.chmod(fifo, 0o666)
        line = self.script('probe.py', 'import os, signal\nif os.fork() == 0:\n    f = open("%s", "w")\n    f.write("x")\n'
                           '    f.flush()\n    signal.pause()\nopen("%s.done", "w")\n' % (fifo, fifo))
        self.pool('web', '[ReadinessProbe]\nProbeExec=%s\nIntervalSec=1h\nTimeoutSec=1h\n' % line)
        self.start()
        # EOF comes when the forked one is dead; it may be before it has come so far as to open
        end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, end)
        self.told(r'web\.1 is ready: its readiness probe says: exited with status 0')
        for pid in set(self.pids()) - {self.daemon.pid, self.actors()['web.1']['pid']}:
            self.ended(pid)
        self.stop()

    def test_program_runs_as_its_actor(self):
        line = '/bin/sh ' + self.write('probe.sh', 'echo $WHO $MAINPID $PWD $(umask) $(id -u) $(ulimit -n)\n')
        user = 'nobody' if base.ROOT else ''
        text = SLEEP + 'Environment=WHO=%n\nWorkingDirectory=/usr\nUMask=0027\nLimitNOFILE=123\n[ReadinessProbe]\nProbeExec=' + line
        self.monitor('web', text + '\n', user='User=%s\n' % user if user else '')
        self.start()
        pid, = self.pids_of('web.1')
        import pwd
        uid = pwd.getpwnam('nobody').pw_uid if base.ROOT else os.getuid()
        self.told(r'web\.1 is ready: its readiness probe says: web\.1 %d /usr 0027 %d 123' % (pid, uid))
        self.stop()

    # readiness

    def test_readiness(self):
        """On and off; nobody is restarted for it."""
        server = self.serve(OK)
        self.pool('web', '[ReadinessProbe]\nProbeHttp=%d\nSuccessThreshold=2\n%s' % (server.port, FAST))
        self.start()
        first, = self.pids_of('web.1')
        self.assertEqual(self.ctl('wait', 'web', 'ready'), 'web: ready\n')
        for i in range(3):
            (self.log.expect if i > 0 else self.told)(r'web\.1 is ready')
            server.answer = b'HTTP/1.1 503 Busy\r\n\r\n'
            self.log.expect(r'web\.1 is not ready: its readiness probe says: status 503')
            self.assertIn('web.1 runs, but is not ready: its readiness probe says: status 503', self.ctl('why', 'web.1'))
            self.assertIn('\nReady=false\n', self.ctl('show', 'web.1'))
            self.assertIn("'web*' is not ready after 50.0ms: web is not ready with all workers",
                          self.ctl('wait', 'web*', 'ready', '--timeout=50ms', status=124))
            waits = base.subprocess.Popen([base.ARBITERCTL, '--runtime-dir=' + self.directory, 'wait', 'web.1', 'ready'],
                                          stdout=base.subprocess.PIPE, env=base.ENVIRONMENT)
            self.assertRegex(self.ctl('status'), r'web\.1 +running .* readiness: bad \(status 503\)')
            self.assertIn('arbiter_monitor_workers_ready{monitor="web"} 0\n', self.ctl('metrics'))
            server.answer = OK
            self.assertEqual(waits.communicate(timeout=PATIENCE)[0], b'web.1: ready\n')
        self.assertEqual(self.actors()['web.1']['pid'], first)
        self.stop()

    def test_roll(self):
        """The next worker is replaced only when the one before it is ready."""
        answers = {b'/1': OK, b'/2': OK}

        class Paths(Server):
            def serve(self, c):
                request = c.recv(65536)
                c.sendall(answers[request.split()[1]])
                c.close()

        server = Paths(None)
        self.addCleanup(server.close)
        probe = '[ReadinessProbe]\nProbeHttp=%d/%%i\n%s' % (server.port, FAST)
        self.pool('web', probe, monitor='Workers=2\n')
        self.start()
        self.told(r'web\.1 is ready', r'web\.2 is ready')
        before = self.actors()
        answers[b'/1'] = b'HTTP/1.1 503 Not yet\r\n\r\n'
        self.log.expect(r'web\.1 is not ready')
        self.pool('web', probe, 'Exec=/bin/sleep 1001\n', monitor='Workers=2\n')
        self.reload()
        self.log.expect(r'web\.1 is not ready')  # the new one, whatever has come between
        now = self.actors()
        self.assertNotEqual(now['web.1']['pid'], before['web.1']['pid'])
        self.assertEqual(now['web.2']['pid'], before['web.2']['pid'])
        answers[b'/1'] = OK
        self.log.expect(r'web\.1 is ready')
        self.log.expect(r'web\.2 is ready')
        self.assertNotEqual(self.actors()['web.2']['pid'], before['web.2']['pid'])
        self.stop()

    def test_roll_to_readiness(self):
        """Those that nobody asks yet serve, and those that are asked take their place; and the other way round."""
        server = self.serve(OK)
        probe = '[ReadinessProbe]\nProbeHttp=%d\n%s' % (server.port, FAST)
        self.pool('web', '', monitor='Workers=2\n')
        self.start()
        before = self.pids_of('web.1', 'web.2')
        self.pool('web', probe, 'Exec=/bin/sleep 1001\n', monitor='Workers=2\n')
        self.reload()
        self.log.expect_all(r'web\.1 is ready', r'web\.2 is ready')
        now = self.actors()
        between = [now[n]['pid'] for n in ('web.1', 'web.2')]
        self.assertFalse(set(before) & set(between))
        self.pool('web', '', monitor='Workers=2\n')
        self.reload()
        self.log.expect_all(r'web\.1 is running', r'web\.2 is running')
        self.assertFalse(set(between) & {a['pid'] for a in self.actors().values()})
        self.stop()

    def test_ping(self):
        """A module that answers; then its process is stopped, and does not."""
        for concurrency in 'process', 'thread':
            with self.subTest(concurrency=concurrency):
                self.monitor('m', 'Module=%s\nConcurrency=%s\nTimeoutSec=1h\nTimeoutStopSec=200ms\n[ReadinessProbe]\nProbePing=yes\n'
                             '%s[LivenessProbe]\nProbePing=yes\nIntervalSec=100ms\nTimeoutSec=300ms\nFailureThreshold=2\n'
                             % (base.SQUARES, concurrency, FAST), 'RestartIntensity=1000\nBackoffMinSec=1ms\nBackoffMaxSec=1ms\n')
                self.start()
                self.told(r'm\.1 is ready: its readiness probe says: pong')
                pid = self.actors()['m.1']['pid'] or self.actors()['m-host']['pid']
                os.kill(pid, base.signal.SIGSTOP)
                self.log.expect(r'm\.1 is stopped, for it is unhealthy: its liveness probe says: no answer within 0\.3 s')
                self.log.expect(r'm\.1 has ended: unhealthy')
                self.log.expect(r'm\.1 is ready')
                self.stop()
                os.unlink(os.path.join(self.etc, 'm.monitor'))

    def test_all_kinds(self):
        """In order: the others are asked when it runs."""
        server, order = self.serve(OK), []
        probes = ''.join('[%sProbe]\nProbeHttp=%d/%s\n%s' % (k, server.port, k, FAST) for k in ('Start', 'Readiness', 'Liveness'))
        self.pool('web', probes)
        self.start()
        self.told(r'web\.1 is running')
        while not {'Readiness', 'Liveness'} <= set(order):
            order.append(re.match(rb'GET /(\w+)', server.asked.get(timeout=PATIENCE)).group(1).decode())
        self.assertEqual(order.count('Start'), 1)
        self.assertEqual(order[0], 'Start')
        self.stop()

    # changes

    def test_reload(self):
        """Another probe touches no worker; a lone actor's neither."""
        first, second = self.serve(OK), self.serve(OK)
        probe = '[LivenessProbe]\nProbeHttp=%d\n' + FAST
        self.pool('web', probe % first.port, monitor='Workers=2\n')
        self.actor('lone', SLEEP + probe % first.port)
        self.start()
        pids = self.pids_of('web.1', 'web.2', 'lone')
        first.asked.get(timeout=PATIENCE)
        self.pool('web', probe % second.port, monitor='Workers=2\n')
        self.actor('lone', SLEEP + probe % second.port)
        plan = self.ctl('daemon-reload', '--dry-run')
        self.assertRegex(plan, r'lone\s+probe')
        self.assertRegex(plan, r'web\s+probe')
        self.ctl('daemon-reload')
        for _ in range(20):
            second.asked.get(timeout=PATIENCE)
        while not first.asked.empty():
            first.asked.get()
        for _ in range(10):
            second.asked.get(timeout=PATIENCE)
        self.assertTrue(first.asked.empty())
        # none at all, and then one for readiness where there was none
        self.pool('web', '[ReadinessProbe]\nProbeHttp=%d/ready\n%s' % (first.port, FAST), monitor='Workers=2\n')
        self.actor('lone', SLEEP)
        self.ctl('daemon-reload')
        first.asked.get(timeout=PATIENCE)
        now = self.actors()
        self.assertEqual([now[n]['pid'] for n in ('web.1', 'web.2', 'lone')], pids)
        self.stop()

    def test_together(self):
        """Hundreds that start together: all are asked, and no more are under way than may be."""
        n, most, lock = 300, [0, 0], threading.Lock()

        def answer(server, c):
            with lock:
                most[0] += 1
                most[1] = max(most)
            c.sendall(OK)
            c.close()
            with lock:
                most[0] -= 1

        server = self.serve(answer)
        self.pool('web', '[StartProbe]\nProbeHttp=%d/%%i\nTimeoutSec=10min\n[LivenessProbe]\nProbeHttp=%d/%%i\nIntervalSec=500ms\n'
                  'TimeoutSec=10min\n' % (server.port, server.port), monitor='Workers=%d\n' % n)
        self.start()
        self.pids_of(*['web.%d' % (i + 1) for i in range(n)])
        asked = {}
        while len(asked) < n or min(asked.values()) < 3:
            path = server.asked.get(timeout=PATIENCE).split()[1]
            asked[path] = asked.get(path, 0) + 1
        self.stop()

    def test_many_programs(self):
        """They wait in line, no more than 64 run at a time, and all have their turn."""
        fifo = os.path.join(self.top, 'fifo')
        os.mkfifo(fifo)
        os.chmod(fifo, 0o666)
        count = os.path.join(self.top, 'counted')
        os.mkfifo(count)
        os.chmod(count, 0o666)
        reader = os.open(count, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        os.set_blocking(reader, True)
        writer = os.open(count, os.O_WRONLY)
        self.addCleanup(os.close, writer)
        # tells that it has begun, and goes on when it is let
        line = '/bin/sh %s' % self.write('probe.sh', 'echo x > %s\nread line < %s\n' % (count, fifo))
        self.pool('web', '[ReadinessProbe]\nProbeExec=%s\nIntervalSec=1h\nTimeoutSec=1h\n' % line, monitor='Workers=100\n')
        self.start()
        seen = b''
        while seen.count(b'x') < 64:
            seen += os.read(reader, 65536)
        self.ctl('why')  # some turns of its loop
        os.set_blocking(reader, False)
        with self.assertRaises(BlockingIOError):
            os.read(reader, 65536)
        release = os.open(fifo, os.O_RDWR)
        self.addCleanup(os.close, release)
        for i in range(100):
            os.write(release, b'\n' * 100)
            self.told(r'web\.%d is ready' % (i + 1))
        self.stop()

    # mistakes

    def test_taken_back(self):
        """By a drop-in: then there is none, as if it had never been written."""
        self.pool('web', '[LivenessProbe]\nProbeTcp=1\n%s[StartProbe]\nProbePing=no\n' % FAST)
        os.mkdir(os.path.join(self.etc, 'web.monitor.d'))
        self.write('web.monitor.d/no.conf', '[LivenessProbe]\nProbeTcp=\n')
        self.start()
        self.told(r'web\.1 is running')
        self.assertIn('\nProbeStatus=\n', self.ctl('show', 'web.1'))
        self.stop()

    def test_mistakes(self):
        rows = (
            ('[StartProbe]\nIntervalSec=1s\n', r'web\.monitor:\d+: error: Section \[StartProbe\] asks nothing; write exactly one of ProbeExec='),
            ('[ReadinessProbe]\nProbeTcp=1\nProbeHttp=1\n', r'Section \[ReadinessProbe\] asks in more than one way'),
            ('[LivenessProbe]\nProbePing=yes\n', r'ProbePing= in section \[LivenessProbe\] is for actors that have a mailbox'),
            ('[LivenessProbe]\nProbeTcp=1\nSuccessThreshold=2\n', r'SuccessThreshold= in section \[LivenessProbe\] can only be 1'),
            ('[LivenessProbe]\nProbeTcp=example.org:80\n', r'names of hosts are not looked up'),
            ('[LivenessProbe]\nProbeHttp=https://127.0.0.1/\n', r'https is not spoken'),
            ('[LivenessProbe]\nProbeHttp=/run/x\n', r'unix:/PATH/OF/SOCKET'),
            ('[LivenessProbe]\nProbeHttp=80/%x\n', r'%x in ProbeHttp= is not a known specifier'),
            ('[LivenessProbe]\nProbeHttp=80\nProbeHttpHost=a b\n', r'the header Host cannot hold'),
            ('[LivenessProbe]\nProbeExec="/bin/x\n', r'a command line'),
            ('[LivenessProbe]\nProbeTcp=1\nIntervalSec=1ms\n', r'IntervalSec='),
        )
        for probes, pattern in rows:
            self.pool('web', probes)
            p = base.subprocess.run([base.ARBITERCTL, 'verify', os.path.join(self.etc, 'web.monitor')], text=True, timeout=PATIENCE,
                                    stdout=base.subprocess.PIPE, stderr=base.subprocess.STDOUT, check=False)
            self.assertNotEqual(p.returncode, 0, probes)
            self.assertRegex(p.stdout, pattern)


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], *sys.argv[6:]], verbosity=2)
