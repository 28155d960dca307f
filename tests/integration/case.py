# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests in a booted systemd have in common: one box for a program, its journal when a test fails, and short words
for what an administrator does.

test-X.py --bus=daemon|broker BUILD_DIRECTORY [unittest arguments]
"""

import json
import os
import re
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
import box as boxes

SKIP = 77
# Of the bus itself, while nobody has the arbiter's name. The last one: it has tried to start an arbiter, which is not
# enabled in the box.
BUS_ERRORS = {'error org.freedesktop.' + name for name in
              ('DBus.Error.NoReply', 'DBus.Error.ServiceUnknown', 'DBus.Error.NameHasNoOwner', 'systemd1.NoSuchUnit')}
# As they are in the journal: systemd has started a unit; an arbiter goes on with what another one had started.
UNIT_STARTED = 'MESSAGE_ID=39f53479d3a045ac8e11786248231fbf'
TAKEN_OVER = 'MESSAGE_ID=240cb95e45b940699bd0691329c840e1'


class Case(unittest.TestCase):
    box = None
    maxDiff = None

    def setUp(self):
        # Who reads the journal of a failure must see where a test begins.
        self.box.run(['systemd-cat', '--identifier=test', 'echo', '== ' + self.id()])
        self.cursor = self.box.cursor()

    def run_in(self, *argv, **options):
        return self.box.run(list(argv), **options)

    def out(self, *argv, **options):
        return self.box.out(*argv, **options)

    def write(self, path, text, mode=0o644, owner='root'):
        self.box.write_file(path, text, mode, owner)

    def cgroups(self, path, **options):
        """The names of the cgroups below that one."""
        return self.out('find', '/sys/fs/cgroup' + path, '-mindepth', '1', '-type', 'd', '-printf', '%P\n', **options).split()

    def ctl(self, *argv, **options):
        return self.box.run(['arbiterctl', '--no-pager', *argv], **options)

    def actors(self, *where, **options):
        return {a['name']: a for a in json.loads(self.ctl(*where, 'list-actors', '--json=short', **options).stdout)}

    def monitors(self, *where, **options):
        return {m['name']: m for m in json.loads(self.ctl(*where, 'list-monitors', '--json=short', **options).stdout)}


class Service(Case):
    """With arbiter.service, from an empty configuration each time. What a test has started ends with the service, and
    without a failed unit."""

    UNIT, KEEPER, SCOPE = 'arbiter.service', 'arbiter-keeper.service', 'arbiter-system-actors.scope'
    ETC = '/etc/arbiter'

    def setUp(self):
        super().setUp()
        self.run_in('rm', '-rf', self.ETC)
        self.run_in('mkdir', '-p', self.ETC)
        self.addCleanup(self.stop)

    def monitor(self, name, actor, monitor='', directory=None):
        self.write('%s/%s.monitor' % (directory or self.ETC, name), '[Monitor]\n%s[Actor]\nUser=nobody\n%s' % (monitor, actor))

    def nap(self, workers=2, **more):
        self.monitor('nap', 'Exec=/bin/sleep 1000\n', 'Workers=%d\nDescription=Naps\n' % workers, **more)

    def squares(self, actor='', monitor='Workers=2\n'):
        self.box.copy(os.path.join(self.box.build, 'examples/squares.so'), '/usr/local/lib/squares.so', 0o755)
        self.monitor('squares', 'Module=/usr/local/lib/squares.so\n' + actor, monitor)

    def start(self):
        self.run_in('systemctl', 'start', self.UNIT)

    def stop(self):
        self.run_in('systemctl', 'stop', self.UNIT)
        self.assertEqual(self.workers(), [])
        self.assertEqual(self.property('ActiveState'), 'inactive')
        self.assertEqual(self.out('systemctl', '--failed', '--no-legend', '--plain'), '')

    def end(self):
        """For who removes then what both have used: stop() comes last."""
        self.run_in('systemctl', 'stop', self.UNIT)
        self.keeper_ends()

    def keeper_ends(self):
        """By itself, when nobody is left."""
        self.box.wait_for(lambda: self.box.property(self.KEEPER, 'ActiveState') == 'inactive', 'the end of the keeper')

    def crash(self, signal=9):
        """Ends the arbiter, and waits for the next one. Its pid."""
        pid, cursor = self.pid(), self.box.cursor()
        self.box.kill(pid, signal)
        self.entry('UNIT=' + self.UNIT, UNIT_STARTED, cursor=cursor)
        self.assertNotEqual(self.pid(), pid)
        return self.pid()

    def begin_calls(self, *actors):
        """Two of them, by the arbiter's own socket and by the bus, without end."""
        for name in 'load.py', 'peer.py':
            self.box.copy(os.path.join(boxes.HERE, name), '/run/test/' + name)
        self.calls = [self.box.popen(['/usr/bin/python3', '/run/test/load.py', path, bus, *actors], stdin=-1)
                      for path, bus in (('/run/arbiter/private', 'private'), ('/run/dbus/system_bus_socket', 'system'))]
        for process in self.calls:
            process.expect('answered')

    def end_calls(self, n):
        """Each had an answer, n hundred at least, or an error that says why there is none."""
        for process in self.calls:
            process.end_input()
            self.assertEqual(process.wait()[0], 0, process.seen[-5:])
            self.assertGreater(process.seen.count('answered'), n, process.seen[-5:])
            self.assertLessEqual({line for line in process.seen if line.startswith('error ')}, BUS_ERRORS)

    def report(self, name):
        """What an actor of module-flow.c has sent, and has got."""
        keys = 'sent', 'got', 'gaps', 'asked', 'answered', 'failed', 'outcome'
        words = self.ctl('send', name, 'report').stdout.split()[1:]
        return {k: int(v) if v.isdigit() else v for k, v in zip(keys, words)}

    def property(self, name):
        return self.box.property(self.UNIT, name)

    def pid(self):
        return int(self.property('MainPID'))

    def workers(self):
        """The pids of all that runs as nobody: nothing else does in the box."""
        return sorted(map(int, self.run_in('pgrep', '-u', 'nobody', check=False).stdout.split()))

    def cgroup(self, pid):
        return re.search(r'^0::(.*)$', self.out('cat', '/proc/%d/cgroup' % pid), re.M).group(1)

    def entry(self, *matches, cursor=None, **more):
        return self.box.wait_for_entry(cursor or self.cursor, *matches, **more)

    def running(self, name, cursor=None):
        """Waits until the journal says so; the pid."""
        pattern = re.compile(r'%s is running \(pid (\d+)\)' % re.escape(name))
        entry = self.entry('_SYSTEMD_UNIT=' + self.UNIT, cursor=cursor, predicate=lambda e: pattern.search(e['MESSAGE']))
        return int(pattern.search(entry['MESSAGE']).group(1))


def save_journal(box, build, name):
    """Beside meson's own logs; its end is shown."""
    text = box.journal()
    directory = os.path.join(build, 'meson-logs')
    path = os.path.join(directory if os.path.isdir(directory) else build, name + '.journal')
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
    start = re.search(r'^.*test\[\d+\]: == ', text, re.M)
    lines = text[start.start() if start else 0:].splitlines()
    print('\n--- the journal, all of it is in %s\n%s' % (path, '\n'.join(lines[-300:])), file=sys.stderr, flush=True)


def skip():
    """Ends the program where there can be no box."""
    bus = boxes.BUSES[sys.argv[1][len('--bus='):]]
    why = boxes.missing() or (None if os.path.exists(bus) else '%s is missing' % bus)
    if why:
        print('skipped: ' + why)
        sys.exit(SKIP)


def main():
    bus, build, arguments = sys.argv[1][len('--bus='):], sys.argv[2], sys.argv[3:]
    skip()
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0] + '-' + bus
    with boxes.Box(build, bus) as Case.box:
        good = unittest.main(argv=[sys.argv[0], *arguments], verbosity=2, exit=False).result.wasSuccessful()
        if not good:
            try:
                save_journal(Case.box, build, name)
            except (boxes.Failed, subprocess.SubprocessError, OSError) as e:
                print('no journal: %s' % e, file=sys.stderr)
    sys.exit(0 if good else 1)
