# SPDX-License-Identifier: LGPL-2.1-or-later
"""Inside the box, as an unprivileged user: asks to kill a worker, without and with the flag that allows to be asked for a
password. There is no agent that could. Says the names of both errors."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from peer import INTERACTIVE, MANAGER, NAME, PATH, Peer

peer = Peer('/run/dbus/system_bus_socket', hello=True)
for flags in 0, INTERACTIVE:
    print(peer.call(NAME, PATH, MANAGER, 'Kill', 'si', ['nap.1', 9], flags=flags).error)
