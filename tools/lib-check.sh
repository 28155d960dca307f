# SPDX-License-Identifier: LGPL-2.1-or-later
# What tools/check is made of: builds, runs of tests, their sum. Sourced; wants source_root.

passed=0 failed=0 skipped=0
failures=()
declare -A built=()

check_begin() {
        export TMPDIR
        TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/check-XXXXXX") || exit 1
        # Every process of this run has this in its environment: by it those that outlive their test are found.
        export ARBITER_CHECK_RUN="$$-${TMPDIR##*/}"
        if [ -z "${BUILD_ROOT:-}" ]; then
                if [ -w "$source_root" ]; then
                        BUILD_ROOT=$source_root
                else
                        BUILD_ROOT=$TMPDIR
                fi
        fi
        mkdir -p "$BUILD_ROOT" || exit 1
        BUILD_ROOT=$(cd "$BUILD_ROOT" && pwd)
        # Tests that give up root must still be able to pass through it.
        chmod 0711 "$TMPDIR"
        started=$SECONDS
}

# Runs at every exit: kills what is left of this run, counts it as a failure, sums up.
check_end() {
        local status=$?
        trap - EXIT
        trap '' INT TERM HUP
        check_leftovers
        rm -rf "$TMPDIR"
        if [ $status -ne 0 ] && [ $failed -eq 0 ]; then
                check_failed 'check' "interrupted (status $status)"
        fi
        if [ ${#failures[@]} -gt 0 ]; then
                printf '\nfailed:\n'
                printf '  %s\n' "${failures[@]}"
        fi
        printf '\n%d s\n' $((SECONDS - started))
        if [ $skipped -gt 0 ]; then
                printf '%d passed, %d failed, %d skipped\n' $passed $failed $skipped
        else
                printf '%d passed, %d failed\n' $passed $failed
        fi
        [ $failed -eq 0 ] || exit 1
        exit 0
}

check_failed() {
        failed=$((failed + 1))
        failures+=("$1: $2")
        printf 'FAILED %s: %s\n' "$1" "$2"
}

check_leftovers() {
        command -v python3 >/dev/null || return 0
        local line
        while read -r line; do
                check_failed 'left running' "$line"
        done < <(python3 -B "$source_root/tools/lib-check.py" leftovers "ARBITER_CHECK_RUN=$ARBITER_CHECK_RUN" $$)
}

check_directory() {
        printf '%s/build-check-%s' "$BUILD_ROOT" "$1"
}

check_built() {
        [ -n "${built[$1]:-}" ]
}

# NAME COMPILER MESON-OPTIONS...: configures and builds; a failure counts as one failed test.
check_build() {
        local name=$1 compiler=$2 directory log="$TMPDIR/build.log" cxx=g++
        shift 2
        directory=$(check_directory "$name")
        [ "$compiler" != clang ] || cxx=clang++
        printf '\n== build %s\n' "$name"
        # A directory of an earlier run saves time, but must not decide the result: what cannot be reconfigured goes.
        if [ ! -d "$directory" ] || ! meson setup --reconfigure "$directory" "$source_root" "$@" >"$log" 2>&1; then
                rm -rf "$directory"
                if ! CC=$compiler CXX=$cxx meson setup "$directory" "$source_root" "$@" >"$log" 2>&1; then
                        tail -n 30 "$log"
                        check_failed "$name" 'cannot be configured'
                        return 1
                fi
        fi
        if ! ninja -C "$directory" -k 0 >"$log" 2>&1; then
                grep -vE '^\[[0-9]+/[0-9]+\]' "$log" | head -n 200
                check_failed "$name" 'does not build'
                return 1
        fi
        built[$name]=1
        printf 'built in %s\n' "$directory"
}

# NAME MESON-TEST-ARGUMENTS...: runs the tests of a build and adds them up from meson's own record.
check_tests() {
        local name=$1 directory summary status wrapper=()
        shift
        directory=$(check_directory "$name")
        printf '\n== test %s%s\n' "$name" "${*:+ ($*)}"
        # The sanitizers of clang 14 cannot map their shadow where the kernel randomises more than 28 bits.
        if [[ $name == [at]san ]] && [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)" -gt 28 ] &&
                        setarch -R true 2>/dev/null; then
                wrapper=(setarch -R)
        fi
        rm -f "$directory"/meson-logs/testlog*.json
        "${wrapper[@]}" meson test -C "$directory" --no-rebuild "$@" >"$TMPDIR/test.log" 2>&1
        status=$?
        summary=$(python3 -B "$source_root/tools/lib-check.py" summary "$directory/meson-logs" "$TMPDIR/summary")
        if [ -z "$summary" ] || [ ! -s "$TMPDIR/summary" ]; then
                cat "$TMPDIR/test.log"
                check_failed "$name" 'the tests left no record'
                return 1
        fi
        printf '%s\n' "$summary"
        local result rest bad=0 n=0
        while IFS=$'\t' read -r result rest; do
                case "$result" in
                passed) passed=$((passed + 1)) ;;
                skipped) skipped=$((skipped + 1)) ;;
                *) bad=$((bad + 1)); failed=$((failed + 1)); failures+=("$name${*:+ ($*)}: $rest: $result") ;;
                esac
                n=$((n + 1))
        done <"$TMPDIR/summary"
        if [ $status -ne 0 ] && [ $bad -eq 0 ]; then
                tail -n 30 "$TMPDIR/test.log"
                check_failed "$name" "meson test ended with status $status, after $n results"
        fi
}

# NAME SECONDS: each libFuzzer target for this long, from its corpus; what it finds new stays out of the tree.
check_fuzz() {
        local name=$1 seconds=$2 directory target short found
        directory=$(check_directory "$name")
        printf '\n== fuzz %s\n' "$name"
        for target in "$directory"/fuzz/fuzz-*; do
                [ -f "$target" ] && [ -x "$target" ] || continue
                short=${target##*/fuzz-}
                [[ $short != corpus-* ]] || continue
                found=$(mktemp -d "$TMPDIR/fuzz-XXXXXX")
                if (cd "$found" && "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
                                "$found" "$source_root/fuzz/corpus/$short") >"$TMPDIR/fuzz.log" 2>&1; then
                        passed=$((passed + 1))
                        printf 'passed  fuzz-%s %s s\n' "$short" "$seconds"
                else
                        tail -n 60 "$TMPDIR/fuzz.log"
                        find "$found" -maxdepth 1 \( -name 'crash-*' -o -name 'leak-*' -o -name 'oom-*' -o -name 'timeout-*' \) \
                                -exec sh -c 'echo "$1 (base64):"; base64 "$1"' - {} \;
                        check_failed "$name" "fuzz-$short"
                fi
        done
}
