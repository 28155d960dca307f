# SPDX-License-Identifier: LGPL-2.1-or-later
"""For tools/check: reads meson's record of a test run, and finds processes that outlived it.

lib-check.py summary LOG_DIRECTORY RESULTS    prints for people; writes RESULTS, a line "result<TAB>name" each
lib-check.py leftovers MARK PID               kills processes with MARK in their environment but PID's own, and names them
"""

import glob
import json
import os
import signal
import sys
import time

PASSED = {'OK', 'EXPECTEDFAIL'}
HEAD, TAIL = 4000, 16000


def shortened(text):
    n = len(text) - HEAD - TAIL
    return text if n <= 0 else '%s\n[... %d characters]\n%s' % (text[:HEAD], n, text[-TAIL:])


def records(directory):
    for path in sorted(glob.glob(os.path.join(directory, 'testlog*.json'))):
        with open(path, encoding='utf-8', errors='replace') as f:
            for line in f:
                try:
                    record = json.loads(line)
                    yield record['name'], record['result'], record
                except (ValueError, KeyError, TypeError):
                    yield 'testlog', 'unreadable', {'stdout': line}


def summary(directory, results):
    slowest = []
    with open(results, 'w', encoding='utf-8') as out:
        for name, result, record in records(directory):
            duration = record.get('duration', 0)
            word = 'passed' if result in PASSED else 'skipped' if result == 'SKIP' else result.lower()
            out.write('%s\t%s\n' % (word, name.replace('\n', ' ')))
            slowest.append((duration, name))
            if word in ('passed', 'skipped'):
                print('%-8s%s %.2f s' % (word, name, duration))
                continue
            print('\nFAILED  %s: %s after %.2f s, exit status %s' % (name, word, duration, record.get('returncode')))
            for stream in 'stdout', 'stderr':
                if record.get(stream):
                    print('--- %s\n%s' % (stream, shortened(record[stream]).rstrip('\n')))
            print('---\n')


def marked(mark, ours):
    for pid in filter(str.isdigit, os.listdir('/proc')):
        if int(pid) in ours:
            continue
        try:
            with open('/proc/%s/environ' % pid, 'rb') as f:
                if mark.encode() not in f.read().split(b'\0'):
                    continue
            with open('/proc/%s/cmdline' % pid, 'rb') as f:
                yield int(pid), f.read().replace(b'\0', b' ').decode(errors='replace').strip()
        except OSError:
            continue


def ancestors():
    """We, the shells that started us, and so on: all of them bear the mark."""
    found, pid = set(), os.getpid()
    while pid > 1:
        found.add(pid)
        with open('/proc/%d/stat' % pid) as f:
            pid = int(f.read().rsplit(')', 1)[1].split()[1])
    return found


def leftovers(mark, caller):
    # A subshell of the caller is no leftover; it is gone a moment later.
    for _ in range(20):
        found = list(marked(mark, ancestors() | {caller}))
        if not found:
            return
        time.sleep(0.1)
    for pid, command in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        print('%d %s' % (pid, command))


if __name__ == '__main__':
    if sys.argv[1] == 'summary':
        summary(sys.argv[2], sys.argv[3])
    else:
        leftovers(sys.argv[2], int(sys.argv[3]))
