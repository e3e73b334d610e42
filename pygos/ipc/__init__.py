# SPDX-License-Identifier: Apache-2.0
"""System V IPC and POSIX message queues, as Linux's ipc/.

util.py       ids with sequence numbers, keys, permissions: what the three System V kinds share
namespace.py  struct ipc_namespace: ids, limits; the machine's memory budget for IPC
sem.py        semget, semop, semctl;   semarray.py: the sets, their waiters, SEM_UNDO
msg.py        msgget, msgsnd, msgrcv, msgctl;   msgqueue.py: the queues and their waiters
shm.py        shmget, shmctl;   shmat.py: attaching and detaching
mqueue.py     mq_open and its relatives;   mqueuefs.py: the file system behind them
proc.py       /proc/sysvipc;   sysctl.py: the tunables

Who may call: drivers, init. The kernel below reaches IPC only through objects it was given:
``task.sysvsem`` and ``task.sysvshm`` (exit, fork), the VmOperations of attached segments.
Who owns what: a namespace owns its objects; a segment owns one reference of its inode, each
attachment (VMA) one of a file of it. Sleepers stand in their object's queues by their
``task.restart`` and are skipped once they are dead.
"""

from typing import Final

#: System calls and the modules that have them, for init/calls.py.
SYSCALLS_LAZY: Final = {
    "semget": "pygos.ipc.sem", "semop": "pygos.ipc.sem", "semtimedop": "pygos.ipc.sem",
    "semctl": "pygos.ipc.sem",
    "msgget": "pygos.ipc.msg", "msgsnd": "pygos.ipc.msg", "msgrcv": "pygos.ipc.msg",
    "msgctl": "pygos.ipc.msg",
    "shmget": "pygos.ipc.shm", "shmctl": "pygos.ipc.shm",
    "shmat": "pygos.ipc.shmat", "shmdt": "pygos.ipc.shmat",
    "mq_open": "pygos.ipc.mqueue", "mq_unlink": "pygos.ipc.mqueue",
    "mq_timedsend": "pygos.ipc.mqueue", "mq_timedreceive": "pygos.ipc.mqueue",
    "mq_notify": "pygos.ipc.mqueue", "mq_getsetattr": "pygos.ipc.mqueue",
}  # fmt: skip
