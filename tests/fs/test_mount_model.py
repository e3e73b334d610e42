# SPDX-License-Identifier: Apache-2.0
"""Random mounts, binds, moves and types in several namespaces: the trees stay whole."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pygos.fs.mount import mount
from pygos.fs.mount_tree import reap_detached, umount_propagated
from pygos.fs.namei_calls import mkdir
from pygos.fs.namespace import copy_mnt_ns, mountpoints, subtree
from pygos.fs.proc_namespace import mounts_text
from pygos.fs.umount import umount
from pygos.include.errno import EBUSY, EINVAL, ELOOP, ENOENT, ENOTDIR
from pygos.include.linux.fs import MntNamespace
from tests.support.kernel import Kernel, boot

MS_BIND, MS_MOVE, MS_REC = 4096, 8192, 16384
TYPES = (1 << 17, 1 << 18, 1 << 19, 1 << 20)
MNT_DETACH = 2
NAMES = (b"/a", b"/b", b"/c", b"/a/x", b"/b/x", b"/c/x", b"/a/x/x", b"/b/x/x", b"/a/y", b"/c/y")
PLACES = st.sampled_from(NAMES)
EXPECTED = {-e.errno for e in (EBUSY, EINVAL, ELOOP, ENOENT, ENOTDIR)} | {0}
#: Random rbinds double a tree each time; the limit is part of what is tested.
MOUNT_MAX = 60
ENOSPC = -28


class Mounts(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        k = self.k = boot()
        k.machine.sysctl["fs.mount-max"] = MOUNT_MAX
        for name in NAMES:
            k.call(mkdir, name, 0o755)
        self.tasks = [k.task]
        self.actor = 0

    def call(self, *args: object) -> int:
        k, task = self.k, self.tasks[self.actor % len(self.tasks)]
        result = k.call(*args, task=task)  # type: ignore[arg-type]
        assert result in EXPECTED | {ENOSPC}, result
        return result

    @rule(which=st.integers(0, 3))
    def act_as(self, which: int) -> None:
        self.actor = which

    @rule(place=PLACES)
    def new(self, place: bytes) -> None:
        if self.call(mount, b"none", place, b"tmpfs", 0, 0) == 0:
            task = self.tasks[self.actor % len(self.tasks)]
            for name in (b"/x", b"/y"):
                self.k.call(mkdir, place + name, 0o755, task=task)

    @rule(old=PLACES, place=PLACES, recurse=st.booleans())
    def bind(self, old: bytes, place: bytes, recurse: bool) -> None:
        self.call(mount, old, place, None, MS_BIND | MS_REC * recurse, 0)

    @rule(old=PLACES, place=PLACES)
    def move(self, old: bytes, place: bytes) -> None:
        self.call(mount, old, place, None, MS_MOVE, 0)

    @rule(place=st.one_of(PLACES, st.just(b"/")), kind=st.sampled_from(TYPES), rec=st.booleans())
    def propagation(self, place: bytes, kind: int, rec: bool) -> None:
        self.call(mount, None, place, None, kind | MS_REC * rec, 0)

    @rule(place=PLACES, flags=st.sampled_from((0, MNT_DETACH)))
    def umount(self, place: bytes, flags: int) -> None:
        self.call(umount, place, flags)

    @rule()
    def namespace(self) -> None:
        if len(self.tasks) < 3:
            child = self.k.child(10 + len(self.tasks))
            child.mm = self.k.mem
            child.nsproxy.mnt = self.tasks[0].nsproxy.mnt
            child.nsproxy.mnt = copy_mnt_ns(child, None, child.fs)
            self.tasks.append(child)

    def namespaces(self) -> list[MntNamespace]:
        return [task.nsproxy.mnt for task in self.tasks]

    @invariant()
    def trees_and_tables_agree(self) -> None:
        for ns in self.namespaces():
            tree = subtree(ns.root)
            assert len(tree) == len(set(tree)) <= MOUNT_MAX
            assert set(tree) == {ns.root, *ns.table.values()}
            for (parent, dentry), mnt in ns.table.items():
                assert mnt.mnt_parent.mnt_id == parent
                assert mnt.mnt_mountpoint is dentry
            assert all(mnt.mnt_ns is ns for mnt in tree)
        index = mountpoints(self.k.machine)
        assert index.total == sum(len(on) for on in index.on.values())
        assert all(dentry.d_mounted == len(on) for dentry, on in index.on.items())

    @invariant()
    def groups_have_who_they_say(self) -> None:
        for ns in self.namespaces():
            for mnt in subtree(ns.root):
                for group in (mnt.mnt_group, mnt.mnt_master):
                    if group is None:
                        continue
                    assert all(peer.mnt_group is group and peer.mnt_ns for peer in group.peers)
                    assert all(one.mnt_master is group and one.mnt_ns for one in group.slaves)
                assert mnt.mnt_group is None or mnt in mnt.mnt_group.peers
                assert mnt.mnt_master is None or mnt in mnt.mnt_master.slaves
                assert mnt.mnt_master is None or mnt.mnt_master.peers

    @invariant()
    def instances_count_their_mounts(self) -> None:
        counts: dict[int, int] = {}
        for ns in self.namespaces():
            for mnt in subtree(ns.root):
                counts[id(mnt.mnt_sb)] = counts.get(id(mnt.mnt_sb), 0) + 1
        waiting = self.k.machine.misc.get("detached_mounts", [])
        for mnt in waiting:
            counts[id(mnt.mnt_sb)] = counts.get(id(mnt.mnt_sb), 0) + 1
        assert all(sb.s_active == counts[id(sb)] for sb in self.k.machine.supers)

    def teardown(self) -> None:
        k: Kernel = self.k
        for task in self.tasks:
            assert mounts_text(task.nsproxy.mnt, task.fs.root)
        for ns in self.namespaces()[1:]:
            ns.ns_free(k.machine)
        k.task = self.tasks[0]
        k.call(mount, None, b"/", None, TYPES[1] | MS_REC, 0)
        root = self.tasks[0].fs.root.mnt
        while root.mnt_children:
            umount_propagated(k.machine, root.mnt_children[-1])
        del self.tasks[1:]
        k.machine.pids.tasks.clear()
        reap_detached(k.machine)
        assert len(k.machine.supers) == 1
        assert mountpoints(k.machine).total == 1


TestMounts = Mounts.TestCase
TestMounts.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
