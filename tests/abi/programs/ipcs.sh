# SPDX-License-Identifier: Apache-2.0
# abi-as: root
# abi-needs: ipcs ipcmk ipcrm unshare lsipc
# abi-hide: 0x[0-9a-f]{8}
# abi-hide: [A-Z][a-z]{2} +[0-9]+ [0-9:]+
# abi-hide: -?[0-9]{9,10}
# The tools of util-linux, in an IPC namespace of their own.
exec unshare -i bash -c '
ipcs
ipcmk -M 65536 -p 0600
ipcmk -S 3
ipcmk -Q -p 0622
ipcs -m -i 0 | sed "s/cpid=[0-9]*/cpid=P/"
ipcs -s -i 0
ipcs -q -i 0
ipcs -a
ipcs -l
ipcs -u
ipcs -c
lsipc -m -b --noheadings -o ID,PERMS,SIZE,NATTCH,STATUS
lsipc -s -o ID,PERMS,NSEMS
lsipc -q -o ID,PERMS,USEDBYTES,MSGS
sed -E "s/^ *(-?[0-9]+|key) //" /proc/sysvipc/sem /proc/sysvipc/msg
awk "{ \$1 = \$5 = \$14 = \"\"; print }" /proc/sysvipc/shm
ipcrm -m 0
ipcrm -m 0
ipcrm -s 7
ipcrm -s 0 -q 0
ipcs
sysctl kernel.sem kernel.msgmax kernel.msgmnb kernel.msgmni kernel.shmmni kernel.shmall
ipcmk -S 1; ipcmk -S 1; ipcmk -Q
ipcrm -a
ipcs
'
