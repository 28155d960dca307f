#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The metrics as a real parser reads them: prometheus_client's of OpenMetrics, which is strict.

test-metrics.py TEST_METRICS TEST_METRICS_SOCKET
"""

import os
import socket
import subprocess
import sys
import tempfile
import unittest
import uuid

sys.path.append('/usr/lib/python3/dist-packages')  # where Debian's package is, whichever Python runs this
try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
except ImportError:
    print('skipped: there is no python3-prometheus-client here; tools/install-deps installs it')
    sys.exit(77)

PRINTER, SERVER = map(os.path.abspath, sys.argv[1:3])
LABELS = {'version', 'arbiter_instance', 'arbiter_state', 'state', 'concurrency', 'reason', 'monitor'}


def parse(text):
    """Samples by name and labels; each family has help, units are the ends of names, no label is of a life."""
    samples = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        assert family.name.startswith('arbiter_'), family.name
        for unit in 'seconds', 'bytes':
            assert family.name.endswith('_' + unit) == (family.unit == unit), family.name
        for sample in family.samples:
            assert set(sample.labels) <= LABELS, sample
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in samples, key
            samples[key] = sample.value
    return samples


def value(samples, name, **labels):
    return samples[name, tuple(sorted(labels.items()))]


def cgroup_mount():
    """A writable cgroup2 mount, or None."""
    with open('/proc/self/mounts', encoding='utf-8') as f:
        for line in f:
            _, where, kind = line.split()[:3]
            if kind == 'cgroup2' and os.access(where, os.W_OK) and os.geteuid() == 0:
                return where
    return None


class Text(unittest.TestCase):
    def test_print(self):
        samples = parse(subprocess.check_output([PRINTER, '--print'], encoding='utf-8'))
        self.assertEqual(value(samples, 'arbiter_build_info', version='1.2"3\\4\n5', arbiter_instance='sch\u00f6n'), 1)
        self.assertEqual(value(samples, 'arbiter_monitor_cpu_seconds_total', monitor='web'), 60.000001)
        self.assertEqual(value(samples, 'arbiter_monitor_start_seconds_count', monitor='web'), 10)
        self.assertEqual(value(samples, 'arbiter_state', arbiter_state='running'), 1)

    def test_parser_is_strict(self):
        for bad in 'arbiter_x 1\n', '# TYPE a counter\na 1\n# EOF\n', '# TYPE a gauge\na{b="\\x"} 1 # EOF\n':
            with self.assertRaises(ValueError):
                list(text_string_to_metric_families(bad))


class Live(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix='metrics-')
        self.addCleanup(temporary.cleanup)
        self.path = os.path.join(temporary.name, 'metrics')

    def serve(self, *cgroup):
        self.server = subprocess.Popen([SERVER, '--serve', self.path, *cgroup], stdin=subprocess.PIPE)
        self.addCleanup(self.end)

    def end(self):
        self.server.stdin.close()
        self.assertEqual(self.server.wait(30), 0)

    def scrape(self):
        while not os.path.exists(self.path):
            self.assertIsNone(self.server.poll())
        with socket.socket(socket.AF_UNIX) as s:
            while True:
                try:
                    s.connect(self.path)
                    break
                except ConnectionRefusedError:  # bound, and not listening yet
                    self.assertIsNone(self.server.poll())
            data = b''
            while chunk := s.recv(65536):
                data += chunk
        return parse(data.decode())

    @unittest.skipUnless(cgroup_mount(), 'no cgroup2 hierarchy to delegate')
    def test_cgroup(self):
        subtree = os.path.join(cgroup_mount(), 'metrics-' + uuid.uuid4().hex)
        os.mkdir(subtree)
        self.addCleanup(os.rmdir, subtree)  # fails if a leaf is left
        self.serve(subtree)
        samples = self.scrape()
        while value(samples, 'arbiter_monitors_failed') == 0:  # the dead have used some, too
            after = self.scrape()
            for name in 'bad', 'web':
                self.assertGreaterEqual(value(after, 'arbiter_monitor_cpu_seconds_total', monitor=name),
                                        value(samples, 'arbiter_monitor_cpu_seconds_total', monitor=name))
            samples = after
        self.assertGreater(value(samples, 'arbiter_monitor_cpu_seconds_total', monitor='bad'), 0)

    def test_live(self):
        self.serve()
        before = self.scrape()
        samples = before
        while value(samples, 'arbiter_monitors_failed') == 0:
            samples = self.scrape()
        self.assertEqual(value(samples, 'arbiter_monitor_workers', monitor='bad', state='failed'), 2)
        self.assertEqual(value(samples, 'arbiter_monitor_workers', monitor='web', state='running'), 2)
        self.assertEqual(value(samples, 'arbiter_monitor_workers_wanted', monitor='web'), 2)
        self.assertEqual(value(samples, 'arbiter_monitor_deaths_total', monitor='bad', reason='exit-code'), 6)
        self.assertEqual(value(samples, 'arbiter_deaths_total', reason='exit-code'), 6)
        self.assertEqual(value(samples, 'arbiter_monitor_restarts_total', monitor='bad'), 4)
        self.assertEqual(value(samples, 'arbiter_restarts_total'), 4)
        self.assertEqual(value(samples, 'arbiter_actors', state='running', concurrency='process'), 2)
        self.assertEqual(value(samples, 'arbiter_actors_failed'), 2)
        self.assertEqual(value(samples, 'arbiter_state', arbiter_state='running'), 1)
        self.assertEqual(value(samples, 'arbiter_monitor_start_seconds_count', monitor='web'), 2)
        version = [dict(labels) for (name, labels) in samples if name == 'arbiter_build_info'][0]
        self.assertEqual(version['arbiter_instance'], 'te"st\\')
        for key, n in before.items():
            if key[0].endswith('_total'):
                self.assertGreaterEqual(samples[key], n, key)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
