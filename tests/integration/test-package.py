#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian packages: built from the tree, installed into a booted system, used, replaced, removed, purged.

test-package.py --bus=daemon|broker BUILD_DIRECTORY [unittest arguments]
"""

import glob
import os
import subprocess
import sys
import tempfile

import case

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))
PACKAGES = ['libarbiter0', 'libarbiter-dev', 'arbiter']
PROGRAM = '''#include <arbiter/arbiter.h>
#include <stdio.h>
int main(void) { return puts(arbiter_version()) < 0; }
'''


class Bare(case.boxes.Box):
    """A system that has never heard of arbiter."""

    def install(self):
        pass


class Packages(case.Case):
    directory = None

    def install(self):
        files = []
        for name in PACKAGES:
            source, = glob.glob('%s/%s_*.deb' % (self.directory, name))
            files.append('/tmp/' + os.path.basename(source))
            self.box.copy(source, files[-1])
        self.run_in('dpkg', '--install', *files, timeout=120)

    def active(self, unit):
        return self.box.property(unit, 'ActiveState')

    def test_life(self):
        self.run_in('rm', '-f', '/usr/sbin/policy-rc.d')  # of the machine around it: nothing to be started
        self.install()
        self.assertEqual(self.active('arbiter.service'), 'active')
        self.assertEqual(self.out('systemctl', 'is-enabled', 'arbiter.service').strip(), 'enabled')
        self.assertEqual(self.active('arbiter-metrics.socket'), 'active')
        self.assertEqual(self.out('systemctl', '--failed', '--no-legend', '--plain'), '')

        self.write('/etc/arbiter/nap.monitor', '[Monitor]\nWorkers=2\n[Actor]\nUser=root\nExec=/bin/sleep 1000\n')
        self.run_in('systemctl', 'reload', 'arbiter.service')
        self.assertEqual(set(self.actors()), {'nap.1', 'nap.2'})
        self.assertIn('io.arbiter.Arbiter1.Manager', self.out('busctl', 'introspect', 'io.arbiter.Arbiter1',
                                                              '/io/arbiter/Arbiter1'))
        self.assertIn('arbiterctl', self.out('man', '-P', 'cat', '1', 'arbiterctl'))
        self.assertIn('arbiter_future_wait', self.out('man', '-P', 'cat', '3', 'arbiter_future_wait'))

        self.write('/tmp/program.c', PROGRAM)
        self.run_in('sh', '-c', 'cc -Wall -Werror -o /tmp/program /tmp/program.c $(pkg-config --cflags --libs libarbiter)')
        self.assertIn(self.out('/tmp/program').strip(), self.out('arbiterctl', '--version'))

        before = self.box.property('arbiter.service', 'MainPID')
        self.install()  # as an upgrade does
        self.assertNotEqual(self.box.property('arbiter.service', 'MainPID'), before)
        self.assertEqual(set(self.actors()), {'nap.1', 'nap.2'})

        self.run_in('dpkg', '--remove', *reversed(PACKAGES))
        self.assertEqual(self.active('arbiter.service'), 'inactive')
        self.assertEqual(self.run_in('pgrep', '-x', 'sleep', check=False).stdout, '')
        self.assertEqual(self.out('sh', '-c', 'ls /usr/bin/arbiter* 2>/dev/null || true'), '')
        self.run_in('dpkg', '--purge', *reversed(PACKAGES))
        self.assertEqual(self.out('systemctl', 'list-unit-files', '--no-legend', 'arbiter*', check=False), '')
        self.assertIn('nap.monitor', self.out('ls', '/etc/arbiter'))  # an administrator's file is nobody else's


def main():
    case.skip()
    with tempfile.TemporaryDirectory() as Packages.directory:
        built = subprocess.run([ROOT + '/tools/build-deb', Packages.directory], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, check=False)
        if built.returncode != 0:
            sys.exit(built.stdout)
        case.boxes.Box = Bare
        return case.main()


if __name__ == '__main__':
    sys.exit(main())
