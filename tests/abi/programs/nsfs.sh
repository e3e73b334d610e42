# SPDX-License-Identifier: Apache-2.0
# abi-as: root
# abi-needs: unshare nsenter lsns setpriv bwrap capsh ps
# abi-timeout: 90
# Namespaces with util-linux' and other tools, as root and as an ordinary user.
chmod 755 .
plain() { awk '{ $1 = $1; print }'; }
as_user() { setpriv --reuid=1001 --regid=1001 --clear-groups "$@"; }

echo > secret
chmod 600 secret

echo "== ps sees only its own"
unshare -pf --mount-proc ps -eo pid,ppid,comm | plain
unshare -pf --mount-proc sh -c 'sleep 100 & echo $$ $!; until [ "$(cat /proc/2/comm)" = sleep ]; do :; done; ps -eo comm; kill $!; wait; echo $?' | plain

echo "== names"
unshare -u sh -c 'hostname inside; hostname'
test "$(hostname)" = inside && echo leaked

echo "== mounts"
unshare -m sh -c 'mount -t tmpfs none /mnt && echo x > /mnt/file && cat /mnt/file'
ls /mnt | grep -c file

echo "== nsenter"
mkfifo fifo
unshare -u sh -c 'hostname held; echo $$; read line < fifo' > out &
until pid=$(grep . out 2>/dev/null); do sleep 0.01; done
nsenter -t "$pid" -u hostname
nsenter --uts="/proc/$pid/ns/uts" hostname
[ "$(readlink /proc/$pid/ns/uts)" = "$(readlink /proc/self/ns/uts)" ] && echo same
lsns -n -t uts -o TYPE,NPROCS -p "$pid" | sed 's/ *[0-9]*$//'
echo > fifo
wait
rm out fifo

echo "== users"
as_user unshare -U id -u
as_user unshare -Ur id
as_user unshare -Ur cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups
as_user unshare -Ur sh -c 'grep ^CapEff /proc/self/status | sed s/e/f/; capsh --has-p=cap_sys_admin && echo mighty'
as_user unshare -Ur sh -c 'cat secret; touch /etc/none; chown 1 /; kill -9 1' 2>&1 | sed 's/.*: //'
as_user unshare -Urpf --mount-proc ps -eo pid,user,comm | plain
as_user unshare -Urm sh -c 'mount -t tmpfs none /mnt && grep -c " /mnt tmpfs" /proc/self/mounts; umount /mnt && echo gone; umount /proc' 2>&1 | sed 's/:.*//'
as_user unshare -Uru sh -c 'hostname mine && hostname'
as_user unshare --map-user=7 --map-group=8 sh -c 'id -u; id -g'
as_user unshare -Ur unshare -Ur unshare -Ur cat /proc/self/uid_map
as_user unshare -Ur --keep-caps sh -c 'setpriv --dump | grep -c "Inheritable.*none"'

echo "== time"
unshare -T --boottime 864000 --monotonic 432000 cat /proc/self/timens_offsets
[ "$(unshare -Tf --boottime 864000000 cut -d. -f1 /proc/uptime)" -ge 864000000 ] && echo later

echo "== bubblewrap"
as_user bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --unshare-all --share-net \
    sh -c 'id -u; ps -eo pid,comm; ls /dev /tmp; touch /etc/none; echo x > /tmp/x && cat /tmp/x' 2>&1 | plain
as_user bwrap --ro-bind / / --unshare-user --uid 33 --gid 34 id -u
as_user bwrap --ro-bind / / --unshare-uts --hostname jail hostname
as_user bwrap --ro-bind /usr /usr --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
    --symlink usr/bin /bin --dir /empty ls /
