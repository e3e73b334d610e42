# SPDX-License-Identifier: Apache-2.0
"""The kinds of namespaces, in the order in which Linux makes them. See kernel/nsproxy.py."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi import sched as uapi

#: CLONE_NEW* flag -> the module with NS_OPS, imported at the first use.
NS_MODULES: Final = {
    uapi.CLONE_NEWNS: "pygos.fs.mntns",
    uapi.CLONE_NEWUTS: "pygos.kernel.utsname",
    uapi.CLONE_NEWIPC: "pygos.ipc.namespace",
    uapi.CLONE_NEWPID: "pygos.kernel.pid_namespace",
    uapi.CLONE_NEWCGROUP: "pygos.kernel.cgroup.namespace",
    uapi.CLONE_NEWNET: "pygos.net.netns",
    uapi.CLONE_NEWTIME: "pygos.kernel.time.namespace",
    uapi.CLONE_NEWUSER: "pygos.kernel.user_namespace",
}
