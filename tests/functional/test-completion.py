#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The completions of arbiterctl in the shells themselves, with an arbiter that they can ask (fake-arbiterd). A shell that is
not installed is skipped; bash always is.

test-completion.py ARBITERCTL FAKE_ARBITERD COMPLETIONS_DIRECTORY
"""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

ARBITERCTL, FAKE, COMPLETIONS = map(os.path.abspath, sys.argv[1:4])

BASH = '''
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_arbiterctl
printf '%s\\n' "${COMPREPLY[@]}"
'''

# An interactive shell that prints what it would offer instead of offering it, between two marks. It is ended from outside: what
# a terminal has not handed on is lost when its shell exits.
ZSH = '''
PS1= PS2= RPS1=
bindkey -e
fpath=(%s $fpath)
autoload -Uz compinit && compinit -D -u
null-line () { print -n '\\001'; }
compprefuncs=( null-line )
comppostfuncs=( null-line )
zstyle ':completion:*' list-grouped false
zstyle ':completion:*' force-list always
compadd () {
        if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then
                builtin compadd "$@"
                return $?
        fi
        typeset -a __hits
        builtin compadd -A __hits "$@"
        (( $#__hits )) && print -l -- $__hits
        builtin compadd "$@"
}
print -n '\\002'
'''


class Shell(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix='completion-')
        self.addCleanup(temporary.cleanup)
        self.home = temporary.name
        self.directory = os.path.join(temporary.name, 'run')
        os.mkdir(self.directory, 0o700)
        etc = os.path.join(temporary.name, '.config', 'arbiter')
        os.makedirs(etc)
        for name in ['shop.monitor', 'tick.actor']:
            with open(os.path.join(etc, name), 'w', encoding='utf-8'):
                pass
        bin_directory = os.path.join(temporary.name, 'bin')
        os.mkdir(bin_directory)
        os.symlink(ARBITERCTL, os.path.join(bin_directory, 'arbiterctl'))
        self.environment = {'PATH': bin_directory + ':/usr/bin:/bin', 'LC_ALL': 'C.UTF-8', 'HOME': temporary.name,
                            'TERM': 'xterm', 'LD_LIBRARY_PATH': os.environ.get('LD_LIBRARY_PATH', '')}
        self.fake = subprocess.Popen([FAKE, self.directory, '2'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        self.assertEqual(self.fake.stdout.readline(), 'ready\n')

    def stop(self):
        self.fake.stdin.close()
        self.assertEqual(self.fake.wait(timeout=60), 0)
        self.fake.stdout.close()

    def complete(self, *words):
        raise NotImplementedError

    def offered(self, *words):
        return self.complete('arbiterctl', '--runtime-dir=' + self.directory, *words)

    def check(self):
        names = {'web', 'web.1', 'web.2'}
        verbs = self.complete('arbiterctl', '')
        self.assertLessEqual({'status', 'top', 'wait', 'daemon-reload', 'why'}, verbs)
        self.assertEqual(self.complete('arbiterctl', 'li'), {'list-actors', 'list-children', 'list-monitors'})
        for verb in ['stop', 'status', 'why', 'send', 'wait', 'log']:
            self.assertEqual(self.offered(verb, ''), names, verb)
        self.assertEqual(self.offered('stop', 'web.'), {'web.1', 'web.2'})
        self.assertEqual(self.offered('restart', 'web.1', ''), names)
        self.assertEqual(self.offered('scale', ''), {'web'})
        self.assertEqual(self.offered('spawn', ''), {'clock', 'web'})
        self.assertLessEqual({'square', 'pair', 'ping'}, self.offered('send', 'web.1', ''))
        self.assertEqual(self.offered('send', 'web.1', 'squ'), {'square'})
        self.assertLessEqual({'running', 'failed', 'gone'}, self.offered('wait', 'web', ''))
        self.assertLessEqual({'shop', 'tick'}, self.offered('cat', ''))
        self.assertLessEqual({'--system', '--since', '--batch'}, {x.rstrip('=') for x in self.offered('status', '--')})
        # nobody answers: nothing is offered, nothing is said
        self.assertEqual(self.complete('arbiterctl', '--runtime-dir=/nonexistent', 'stop', ''), set())


class Bash(Shell):
    def complete(self, *words):
        split = []
        for word in words:  # as readline does
            split += [x for x in re.split('(=)', word) if x] or [word]
        p = subprocess.run(['bash', '--norc', '-c', BASH, 'bash', os.path.join(COMPLETIONS, 'bash/arbiterctl'), *split],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment, timeout=60)
        self.assertEqual((p.returncode, p.stderr), (0, ''), words)
        return set(p.stdout.split())

    def test_completion(self):
        self.check()
        self.assertEqual(self.complete('arbiterctl', '--json='), {'pretty', 'short', 'off'})
        self.assertEqual(self.complete('arbiterctl', '--json', 'p'), {'pretty'})
        self.assertIn('SIGKILL', self.complete('arbiterctl', 'kill', '-s', ''))
        self.assertEqual(self.complete('arbiterctl', 'log', '-p', 'e'), {'emerg', 'err'})
        self.assertIn('MailboxQueued', self.offered('show', 'web.1', '-p', 'Mail'))


@unittest.skipUnless(shutil.which('fish'), 'no fish')
class Fish(Shell):
    def complete(self, *words):
        script = 'source %s; complete -C (string join " " -- $argv)' % os.path.join(COMPLETIONS, 'fish/arbiterctl.fish')
        p = subprocess.run(['fish', '--no-config', '-c', script, '--', *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, env=self.environment, timeout=60)
        self.assertEqual((p.returncode, p.stderr), (0, ''), words)
        return {line.split('\t')[0] for line in p.stdout.splitlines()}

    def test_completion(self):
        self.check()
        self.assertEqual({x.removeprefix('--json=') for x in self.complete('arbiterctl', '--json=')}, {'pretty', 'short', 'off'})
        self.assertIn('SIGKILL', self.complete('arbiterctl', 'kill', '-s', ''))


@unittest.skipUnless(shutil.which('zsh'), 'no zsh')
class Zsh(Shell):
    def complete(self, *words):
        pid, fd = pty.fork()
        if pid == 0:
            try:
                os.execvpe('zsh', ['zsh', '-f', '-i'], {**self.environment, 'COLUMNS': '200', 'TERM': 'dumb'})
            finally:
                os._exit(127)
        try:
            init = os.path.join(self.home, 'init.zsh')
            with open(init, 'w', encoding='utf-8') as f:
                f.write(ZSH % os.path.join(COMPLETIONS, 'zsh'))
            os.write(fd, b'source %s\r' % init.encode())
            self.read_until(fd, b'\x02')
            os.write(fd, ' '.join(words).encode() + b'\t')
            self.read_until(fd, b'\x01')
            text = self.read_until(fd, b'\x01').decode()
        finally:
            os.close(fd)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        text = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', text)
        return {line.strip() for line in text.replace('\r', '\n').split('\n') if line.strip()}

    @staticmethod
    def read_until(fd, mark):
        data = b''
        while mark not in data:
            try:
                more = os.read(fd, 1)
            except OSError as e:
                raise AssertionError('zsh has ended: %r' % data) from e
            data += more
        return data[:-1]

    def test_completion(self):
        self.check()


del Shell  # is no test of its own

if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=1)
