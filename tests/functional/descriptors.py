#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""descriptors.py PID: has all descriptors of a process besides it, until its standard input ends. As a child that has been
forked, and has not executed its program yet. Takes root."""

import ctypes
import os
import sys


def main():
    pid = int(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    for fd in map(int, os.listdir('/proc/%d/fd' % pid)):
        if libc.pidfd_getfd(process, fd, 0) < 0:
            raise OSError(ctypes.get_errno(), 'pidfd_getfd')
    print('taken', flush=True)
    sys.stdin.read()


if __name__ == '__main__':
    main()
