# SPDX-License-Identifier: Apache-2.0
# abi-as: root
# abi-needs: setcap getcap capsh setpriv getfattr
# abi-timeout: 60
# Capabilities of files and of those who execute them, with libcap's own tools.
# The host may lack CAP_SYS_RESOURCE: nobody has it here.
[ -n "$INNER" ] || INNER=1 exec capsh --drop=cap_sys_resource -- "$0"

as_user() { setpriv --reuid=1001 --regid=1001 --clear-groups "$@"; }
show() { grep -E "^(Cap|Uid|NoNew)" "$@"; }

cp "$(command -v cat)" c
as_user ./c /proc/self/status | show
setcap cap_net_raw,cap_dac_read_search+ep c
getcap c
getfattr -n security.capability -e hex c
as_user ./c /proc/self/status | show
as_user --no-new-privs ./c /proc/self/status | show
echo secret > secret
chmod 600 secret
as_user ./c secret
as_user --no-new-privs ./c secret
setcap cap_net_raw+p c
as_user ./c /proc/self/status | show
setcap cap_net_raw+i c
as_user ./c /proc/self/status | show
as_user --inh-caps +net_raw ./c /proc/self/status | show
setcap cap_net_raw+ei c
as_user --inh-caps +net_raw ./c /proc/self/status | show

# Forced ones that the bounding set lacks: no execution.
setcap cap_net_raw+ep c
capsh --drop=cap_net_raw -- -c './c secret'; echo $?
setcap cap_net_raw+p c
capsh --drop=cap_net_raw -- -c 'grep CapPrm /proc/self/status'; echo $?

# Changing the file takes them away.
setcap cap_net_raw+ep c
printf '' >> c
getcap c
echo >> c
getcap c
cp "$(command -v cat)" c
setcap cap_net_raw+ep c
chown 1001 c
getcap c
setcap cap_net_raw+ep c
chmod 711 c
getcap c
truncate -s +1 c
getcap c

# Version 3: of the root of some other namespace.
cp "$(command -v cat)" c
setcap -n 1001 cap_net_raw+ep c
getcap -n c
getfattr -n security.capability -e hex c
as_user ./c /proc/self/status | show
setcap -r c
getcap c
setfattr -n security.capability -v 0x01 c
setfattr -n security.capability -v 0x0100000200000000000000000000000000000000ff c
setfattr -n security.capability -v 0x0100000100000000000000000 c
as_user setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 c

# Ambient ones, and what ends them.
as_user --inh-caps +net_raw --ambient-caps +net_raw ./c /proc/self/status | show
setcap cap_chown+ep c
as_user --inh-caps +net_raw --ambient-caps +net_raw ./c /proc/self/status | show
setcap -r c
chown 0 c
chmod 4755 c
as_user --inh-caps +net_raw --ambient-caps +net_raw ./c /proc/self/status | show

# A set-id root program with capabilities of its own gets just these.
setcap cap_net_raw+ep c
as_user ./c /proc/self/status | show
./c /proc/self/status | show
setcap -r c
chgrp 1002 c
chmod 2755 c
as_user ./c /proc/self/status | grep -E "^(Gid|Cap)"

# Root without its special treatment.
capsh --secbits=0x2f -- -c 'grep -E "^(Cap|Uid)" /proc/self/status'
setcap cap_net_raw+ep c
capsh --secbits=0x1 -- -c './c /proc/self/status' | show
setcap -r c
capsh --keep=1 --user=nobody --inh=cap_net_raw --addamb=cap_net_raw -- -c 'grep ^Cap /proc/self/status'
