# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the lints share: collecting complaints, reading C well enough, and proving that a lint can fail.

A lint is a program with a function check(root, ...) that yields complaints "path:line: text". Its self-test makes a
good tree that must pass, and one bad tree for each rule, which must be complained about in the expected words.
"""

import os
import re
import sys
import tempfile

SPDX = '/* SPDX-License-Identifier: LGPL-2.1-or-later */\n'


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def walk(root, directories, suffixes):
    """Paths relative to root of the files with these suffixes, in order."""
    for directory in directories:
        for where, names, files in os.walk(os.path.join(root, directory)):
            names.sort()
            names[:] = [n for n in names if n != '__pycache__']
            for name in sorted(files):
                if name.endswith(tuple(suffixes)):
                    yield os.path.relpath(os.path.join(where, name), root)


def blank_comments(text, strings=False):
    """The text with comments (and, if asked, the contents of strings) blanked out, lines kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        s = match.group()
        if s[0] == '/' or strings:
            return re.sub(r'[^\n]', ' ', s) if s[0] == '/' else s[0] + ' ' * (len(s) - 2) + s[0]
        return s
    return pattern.sub(blank, text)


def make_tree(root, files):
    for path, text in files.items():
        path = os.path.join(root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)


def self_test(good, bad, check):
    """good: {path: text}; bad: [(what, {path: text laid over the good tree}, expected pattern)]."""
    failures = 0
    for what, changes, expected in [('the good tree', {}, None)] + bad:
        with tempfile.TemporaryDirectory(prefix='lint-') as root:
            make_tree(root, {**good, **changes})
            complaints = list(check(root))
        if expected is None:
            ok = not complaints
        else:
            ok = any(re.search(expected, c) for c in complaints)
        print('%s: %s' % ('ok' if ok else 'NOT OK', what))
        if not ok:
            failures += 1
            print('  wanted: %s' % (expected or 'no complaint'))
            for c in complaints:
                print('  got: %s' % c)
    return 1 if failures else 0


def report(complaints):
    complaints = list(complaints)
    for c in complaints:
        print(c, file=sys.stderr)
    if complaints:
        print('%d complaints' % len(complaints), file=sys.stderr)
    return 1 if complaints else 0
