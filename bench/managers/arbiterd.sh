# SPDX-License-Identifier: LGPL-2.1-or-later
# arbiterd with exec'd plain workers, for the managers kit: compare with its "floor". run.sh sets ARBITER_BUILD.
[ "$1" = prepare ] || exit 2
mkdir -p "$DIR/config"
cat > "$DIR/config/pool.monitor" <<END
[Monitor]
Workers=$N
[Actor]
Exec=$WORKER $SOCK $MODE
Type=exec
StandardOutput=null
StandardError=null
END
[ "$(id -u)" != 0 ] || echo User=root >> "$DIR/config/pool.monitor"
printf '%s\n' "$ARBITER_BUILD/src/arbiterd/arbiterd" --runtime-dir="$DIR/run" --config-dir="$DIR/config" \
  --host-program="$ARBITER_BUILD/src/arbiter-host/arbiter-host" > "$DIR/cmd"
echo 0.1 > "$DIR/minlife"
