#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# bench/managers/run.sh KIT BUILD [ADAPTER...]   the tests of the managers kit (a directory with bench.py and adapters/) for
# arbiter beside others: its floor, and those of s6, runit and supervisord that are installed. JSON lines on stdout.
# TESTS: which ones (respawn storm start idle crash). The respawn test kills workers at random: SAMPLES stays below what the
# default restart limit takes.
set -e
here=$(cd "$(dirname "$0")" && pwd)
kit=$(cd "$1" && pwd)
export ARBITER_BUILD=$(cd "$2" && pwd)
shift 2
export O=${O:-$(mktemp -d)}
make -s -C "$kit" O="$O" "$O/worker" "$O/floor"
managers=("$@")
if [ ${#managers[@]} = 0 ]; then
  managers=(floor "$here/arbiterd.sh" "FLOOR_NOEXEC=1 floor" "$here/arbiter-embedded.sh")
  command -v s6-svscan > /dev/null && managers+=(s6)
  command -v runsvdir > /dev/null && managers+=(runit)
  command -v supervisord > /dev/null && managers+=(supervisord)
fi
exec 9> "${BENCH_LOCK:-/tmp/bench.lock}"
flock 9
for test in ${TESTS:-respawn storm start}; do
  for manager in "${managers[@]}"; do
    adapter=${manager##* } environment=
    [ "$adapter" = "$manager" ] || environment=${manager% *}
    case $test in
      respawn) arguments="-n 20 --samples ${SAMPLES:-15} --jitter 0.2" ;;
      storm) arguments="-n 100 --samples ${SAMPLES:-3}" ;;
      start) arguments="-n ${N:-1000} --samples ${SAMPLES:-3}" ;;
      idle) arguments="-n ${N:-1000}" ;;
      *) arguments="-n 20" ;;
    esac
    # shellcheck disable=SC2086
    env $environment "$kit/bench.py" "$adapter" $test $arguments 9>&- || echo "$manager: $test failed" >&2
  done
done
