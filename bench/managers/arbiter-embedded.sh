# SPDX-License-Identifier: LGPL-2.1-or-later
# A program with an embedded arbiter and forked workers, for the managers kit: compare with "FLOOR_NOEXEC=1 floor". Its workers do not
# crash, so that there is no crash test.
[ "$1" = prepare ] || exit 2
[ "$MODE" = idle ] || exit 2
printf '%s\n' "$ARBITER_BUILD/bench/bench-embedded" "$N" "$SOCK" start > "$DIR/cmd"
echo 0.1 > "$DIR/minlife"
