# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine with a real systemd, booted in about two seconds in namespaces over this machine's own files, with arbiter
installed. What happens in it stays in it; when the harness ends, however it does, all of it is gone.

        with Box(build, bus='broker') as box:
            box.run(['systemctl', 'start', 'arbiter'])

box-guard starts and removes it, box-init makes its mounts. Used by case.py for the tests, and by the command `box`.
"""

import ctypes
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import uuid

LIBC, PR_SET_PDEATHSIG = ctypes.CDLL(None), 1
HERE = os.path.dirname(os.path.abspath(__file__))
# Only a failing test waits that long. The kernel of a machine that is very busy has been seen to leave its own threads
# without a processor for 59 s ("rcu_preempt kthread starved"), and each command in the box waits for those: it is moved
# into a cgroup, which takes a grace period of RCU.
PATIENCE = 90
BUSES = {'daemon': '/usr/bin/dbus-daemon', 'broker': '/usr/bin/dbus-broker-launch'}
NEEDED = {'systemd': '/lib/systemd/systemd', 'util-linux': '/usr/bin/nsenter', 'iproute2': '/usr/sbin/ip',
          'polkitd': '/usr/lib/polkit-1/polkitd', 'dbus-user-session': '/usr/lib/systemd/user/dbus.socket',
          'libpam-systemd': '/usr/share/pam-configs/systemd'}
UNPRIVILEGED = {'alice': 2000, 'bob': 2001}
PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
# They would only cost time, look for a network and devices that are not there, or show the kernel of the machine outside.
MASKED = ['getty.target', 'timers.target', 'remote-fs.target', 'systemd-timesyncd.service', 'systemd-networkd.service',
          'systemd-udevd.service', 'systemd-pstore.service', 'e2scrub_reap.service', 'networking.service', 'modprobe@.service',
          'systemd-modules-load.service', 'systemd-update-utmp.service', 'systemd-update-utmp-runlevel.service',
          'sys-kernel-debug.mount', 'sys-kernel-tracing.mount', 'sys-kernel-config.mount', 'sys-fs-fuse-connections.mount',
          'dev-hugepages.mount']


def missing():
    """Why no box can be had here, or None."""
    if os.geteuid() != 0:
        return 'it takes root to boot a systemd in namespaces'
    for package, path in NEEDED.items():
        if not os.path.exists(path):
            return '%s is missing (Debian package %s)' % (path, package)
    p = subprocess.run(['unshare', '--mount', '--pid', '--fork', '--uts', '--ipc', '--net', '--cgroup', 'mount', '-t', 'tmpfs',
                        'box', '/mnt'], stderr=subprocess.PIPE, text=True, check=False)
    if p.returncode != 0:
        return 'no namespaces here: ' + p.stderr.strip()
    with open('/proc/self/mounts', encoding='utf-8') as f:
        if not any(line.split()[2] == 'cgroup2' for line in f):
            return 'no cgroup2 hierarchy is mounted'
    return None


def die_with_us():
    """In a child, before it becomes nsenter. Nothing of it may be left when the harness is killed."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def text(output):
    """Of a command that has not ended it may be bytes, or None."""
    return output if isinstance(output, str) else (output or b'').decode(errors='replace')


def whereabouts(leaf):
    """Of a command that does not end: where in the kernel it is, and how busy the machine."""
    def read(path):
        try:
            with open(path, encoding='utf-8', errors='replace') as f:
                return f.read().strip()
        except OSError as e:
            return e.strerror

    pids = re.findall(r'^\d+$', read(leaf + '/cgroup.procs'), re.M)
    places = ['%s at %s' % (read('/proc/%s/comm' % pid), read('/proc/%s/wchan' % pid)) for pid in pids]
    return 'In its cgroup: %s; load: %s.' % (', '.join(places) or 'nothing yet', read('/proc/loadavg'))


class Failed(AssertionError):
    """A command in the box has ended with another status than it should have."""


class Process:
    """A command in the box that goes on. Its stdout and stderr are one; each line is looked at once."""

    def __init__(self, argv, leaf, **options):
        self.argv, self.leaf, self.rest, self.seen = argv, leaf, b'', []
        self.popen = subprocess.Popen(argv, stdout=subprocess.PIPE, preexec_fn=die_with_us, **{'stderr': subprocess.STDOUT, **options})
        self.fd = self.popen.stdout.fileno()

    def line(self, deadline=None):
        deadline = deadline or time.monotonic() + PATIENCE
        while b'\n' not in self.rest or time.monotonic() > deadline:
            if time.monotonic() > deadline or not select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Failed('%s: what was awaited has not come; so far:\n%s' % (self.argv, '\n'.join(self.seen[-100:])))
            data = os.read(self.fd, 65536)
            if not data:
                raise Failed('%s has ended:\n%s' % (self.argv, '\n'.join(self.seen + [self.rest.decode()])))
            self.rest += data
        line, _, self.rest = self.rest.partition(b'\n')
        self.seen.append(line.decode(errors='replace'))
        return self.seen[-1]

    def expect(self, pattern):
        deadline = time.monotonic() + PATIENCE
        while True:
            match = re.search(pattern, self.line(deadline))
            if match:
                return match

    def expect_all(self, *patterns):
        """In any order, each in a line of its own."""
        found, deadline = {}, time.monotonic() + PATIENCE
        while len(found) < len(patterns):
            line = self.line(deadline)
            for p in patterns:
                match = re.search(p, line)
                if match and p not in found:
                    found[p] = match
                    break
        return [found[p] for p in patterns]

    def end_input(self):
        self.popen.stdin.close()
        self.popen.stdin = None

    def wait(self, timeout=PATIENCE):
        """Its exit status, and all that it has said since the last line that was looked at."""
        out, _ = self.popen.communicate(timeout=timeout)
        self.seen += (self.rest + out).decode(errors='replace').splitlines()
        return self.popen.returncode, (self.rest + out).decode(errors='replace')

    def kill(self):
        """With all that it has started in the box, unless that has left for a unit."""
        with open(self.leaf + '/cgroup.kill', 'w', encoding='ascii') as f:
            f.write('1')
        self.close()

    def close(self):
        # nsenter stops itself when what it has started is stopped, as systemd does to all that is left at the end.
        self.popen.kill()
        self.popen.wait(PATIENCE)
        self.popen.stdout.close()


class Box:
    def __init__(self, build, bus='broker'):
        """build: what to install; None: nothing."""
        self.build, self.bus = build and os.path.abspath(build), bus
        self.guard = self.pid = None
        self.processes, self.count = [], 0

    # What it is made of

    def put(self, path, text='', mode=0o644):
        """Before the boot: a file of the box."""
        path = self.directory + '/root' + path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        os.chmod(path, mode)

    def link(self, path, target):
        path = self.directory + '/root' + path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)

    def add_users(self):
        def lines(path, more):
            with open(path, encoding='utf-8') as f:
                self.put(path, f.read().rstrip('\n') + '\n' + more, os.stat(path).st_mode & 0o777)

        users = UNPRIVILEGED.items()
        lines('/etc/passwd', ''.join('%s:x:%d:%d::/home/%s:/bin/bash\n' % (u, i, i, u) for u, i in users))
        lines('/etc/group', ''.join('%s:x:%d:\n' % u for u in users))
        lines('/etc/shadow', ''.join('%s:!:19000::::::\n' % u for u, _ in users))
        for user, uid in users:
            home = self.directory + '/root/home/' + user
            os.makedirs(home)
            os.chown(home, uid, uid)
        self.put('/var/lib/systemd/linger/alice')

    def merge_usr(self):
        """As / has it: what is installed to /lib goes where that leads."""
        for name in 'bin', 'sbin', 'lib', 'lib32', 'lib64':
            if os.path.islink('/' + name):
                target = os.path.relpath(os.path.join('/', os.readlink('/' + name)), '/')
                os.makedirs(os.path.join(self.directory, 'root', target), exist_ok=True)
                os.symlink(target, os.path.join(self.directory, 'root', name))

    def install(self):
        options = ['--destdir', self.directory + '/root', '--no-rebuild', '--quiet']
        p = subprocess.run(['meson', 'install', '-C', self.build, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, check=False)
        if p.returncode != 0:
            raise Failed('meson install -C %s:\n%s' % (self.build, p.stdout))
        # As the package does after it has unpacked its files.
        sysusers = self.directory + '/root/usr/lib/sysusers.d'
        if os.path.isdir(sysusers):
            subprocess.run(['systemd-sysusers', '--root=' + self.directory + '/root', *os.listdir(sysusers)], check=True)

    def fill(self):
        # Files that are made inherit nothing of the harness's umask or directory.
        umask = os.umask(0o022)
        try:
            os.chmod(self.directory + '/root', 0o755)
            self.merge_usr()
            service = 'dbus.service' if self.bus == 'daemon' else 'dbus-broker.service'
            self.link('/etc/systemd/system/dbus.service', '/lib/systemd/system/' + service)
            self.link('/etc/systemd/user/dbus.service', '/usr/lib/systemd/user/' + service)
            for unit in MASKED:
                self.link('/etc/systemd/system/' + unit, '/dev/null')
            self.put('/etc/machine-id', uuid.uuid4().hex + '\n')
            self.put('/etc/hostname', 'box\n')
            self.put('/etc/fstab')
            self.put('/etc/systemd/journald.conf.d/box.conf', '[Journal]\nStorage=volatile\nRateLimitBurst=0\n')
            self.add_users()
            if self.build:
                self.install()
        finally:
            os.umask(umask)

    # Its life

    def answer(self):
        line = self.guard.stdout.readline()
        answer = json.loads(line) if line else {'error': 'the guard has ended with status %s' % self.guard.wait()}
        if 'error' in answer:
            raise Failed(answer['error'])
        return answer

    def boot(self):
        self.guard = subprocess.Popen([sys.executable, HERE + '/box-guard'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True, start_new_session=True)
        try:
            answer = self.answer()
            self.directory, self.cgroup = answer['directory'], answer['cgroup']
            self.fill()
            self.guard.stdin.write('\n')
            self.guard.stdin.flush()
            self.pid = self.answer()['pid']
            self.run(['systemctl', 'is-system-running', '--wait'], check=False)
            self.run(['journalctl', '--update-catalog'])  # a package has a trigger for that
            self.run(['systemctl', 'start', 'user@%d.service' % UNPRIVILEGED['alice']])  # logind has asked for it: waits
        except BaseException:
            self.close()
            raise

    def close(self):
        self.guard.stdin.close()
        status = self.guard.wait()
        self.guard.stdout.close()
        for process in self.processes:
            process.close()
        if status != 0:
            raise Failed('the guard of the box has failed: status %d' % status)

    def __enter__(self):
        self.boot()
        return self

    def __exit__(self, *_):
        self.close()

    # Commands in it

    def command(self, argv, user):
        """What runs it, and the cgroup that it gets for itself: what it leaves behind is found by that. Only inside it
        moves there: a process that is not of the box's pid namespace is one that systemd cannot make sense of."""
        self.count += 1
        leaf = '/commands/%d' % self.count
        os.mkdir(self.cgroup + leaf)
        enter = ['nsenter', '-t', str(self.pid), '-m', '-p', '-u', '-i', '-n', '-C', '-r', '-w', '--', '/bin/sh', '-ec',
                 'echo $$ >/sys/fs/cgroup%s/cgroup.procs; exec "$@"' % leaf, 'sh']
        if user:
            enter += ['setpriv', '--reuid=' + user, '--regid=' + user, '--init-groups', '--']
        return enter + argv, self.cgroup + leaf

    def environment(self, user, more):
        environment = {'PATH': PATH, 'LC_ALL': 'C.UTF-8', 'HOME': '/home/' + user if user else '/root', 'USER': user or 'root',
                       'SYSTEMD_PAGER': 'cat', 'SYSTEMD_COLORS': '0', **(more or {})}
        if user in UNPRIVILEGED:
            run = '/run/user/%d' % UNPRIVILEGED[user]
            environment.update(XDG_RUNTIME_DIR=run, DBUS_SESSION_BUS_ADDRESS='unix:path=%s/bus' % run)
        return environment

    def popen(self, argv, user=None, env=None, **options):
        """A Process. stdin= and stderr= as of subprocess.Popen."""
        process = Process(*self.command(argv, user), env=self.environment(user, env), **{'stdin': subprocess.DEVNULL, **options})
        self.processes.append(process)
        return process

    def run(self, argv, user=None, check=True, input=None, timeout=PATIENCE, env=None):
        """Its subprocess.CompletedProcess. check is the exit status that it must have, True is 0, False is any."""
        stdin = {'stdin': subprocess.DEVNULL} if input is None else {'input': input}
        command, leaf = self.command(argv, user)
        try:
            p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout,
                               errors='replace', env=self.environment(user, env), preexec_fn=die_with_us, check=False, **stdin)
        except subprocess.TimeoutExpired as e:
            raise Failed('%s: no end in %d s. %s\n%s%s' % (' '.join(argv), timeout, whereabouts(leaf), text(e.stdout),
                                                           text(e.stderr))) from None
        wanted = 0 if check is True else check
        if check is not False and p.returncode != wanted:
            raise Failed('%s: status %d, not %d\n%s%s' % (' '.join(argv), p.returncode, wanted, p.stdout, p.stderr))
        return p

    def out(self, *argv, **options):
        return self.run(list(argv), **options).stdout

    def shell(self, argv=None):
        """By hand: with the terminal of the harness."""
        environment = {**self.environment(None, None), 'TERM': os.environ.get('TERM', 'dumb')}
        return subprocess.run(self.command(argv or ['/bin/bash'], None)[0], env=environment, check=False).returncode

    def write_file(self, path, text, mode=0o644, owner='root'):
        self.run(['/bin/sh', '-ec', 'mkdir -p "${1%/*}"; cat >"$1"; chmod "$2" "$1"; chown "$3:" "$1"', 'sh', path,
                  '%o' % mode, owner], input=text)

    def copy(self, source, path, mode=0o644):
        """A file of the machine outside."""
        with open(source, 'rb') as f:
            subprocess.run(self.command(['/bin/sh', '-ec', 'mkdir -p "${1%/*}"; cat >"$1"; chmod "$2" "$1"', 'sh', path, '%o' % mode],
                                        None)[0], stdin=f, check=True, timeout=PATIENCE, env=self.environment(None, None))

    def kill(self, pid, number):
        """A process of the box, by the pid that it has in there."""
        self.run(['kill', '-%d' % number, str(pid)])

    # What to wait for

    def wait_for(self, predicate, what='it'):
        """Only for what no event tells: looks again every 20 ms. Returns what the predicate did."""
        deadline = time.monotonic() + PATIENCE
        while True:
            value = predicate()
            if value:
                return value
            if time.monotonic() > deadline:
                raise Failed('%s has not come in %d s' % (what, PATIENCE))
            time.sleep(0.02)

    def cursor(self):
        """Of the journal as it is now."""
        self.run(['journalctl', '--sync'])
        return re.search(r'^-- cursor: (.*)$', self.out('journalctl', '-n', '1', '--quiet', '--show-cursor'), re.M).group(1)

    # With matches, --after-cursor of systemd 252 drops the first entry where that of the cursor does not match itself.
    QUERY = ['journalctl', '--output=json', '--all', '--quiet']

    def wait_for_entry(self, cursor, *matches, predicate=lambda entry: True):
        """The first entry of the journal after the cursor with those FIELD=VALUE, and for which the predicate is true."""
        process = self.popen([*self.QUERY, '--follow', '--lines=all', '--cursor=' + cursor, *matches])
        deadline = time.monotonic() + PATIENCE
        try:
            while True:
                entry = json.loads(process.line(deadline))
                if entry['__CURSOR'] != cursor and predicate(entry):
                    return entry
        finally:
            process.kill()

    def entries(self, cursor, *matches):
        """All of them so far."""
        self.run(['journalctl', '--sync'])
        entries = map(json.loads, self.out(*self.QUERY, '--cursor=' + cursor, *matches).splitlines())
        return [e for e in entries if e['__CURSOR'] != cursor]

    def journal(self, *arguments):
        return self.out('journalctl', '--quiet', '--no-hostname', '--output=short-precise', *arguments)

    # D-Bus and systemd, in short

    def property(self, unit, name, user=None):
        where = ['--user'] if user else []
        return self.out('systemctl', *where, 'show', '--value', '-p', name, unit, user=user).rstrip('\n')
