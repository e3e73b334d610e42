/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* statmount(2), listmount(2), and the numbers that statx(2) gives. */
#include "mounts.h"
#include <linux/types.h>

struct request {
	uint32_t size, spare;
	uint64_t mnt_id, param, mnt_ns_id;
};

struct answer {
	uint32_t size, mnt_opts;
	uint64_t mask;
	uint32_t sb_dev_major, sb_dev_minor;
	uint64_t sb_magic;
	uint32_t sb_flags, fs_type;
	uint64_t mnt_id, mnt_parent_id;
	uint32_t mnt_id_old, mnt_parent_id_old;
	uint64_t mnt_attr, mnt_propagation, mnt_peer_group, mnt_master, propagate_from;
	uint32_t mnt_root, mnt_point;
	uint64_t mnt_ns_id;
	uint32_t fs_subtype, sb_source;
	uint32_t rest[100];
	char text[3584];
};

#define ROOT (~0UL)

static uint64_t unique(const char *name)
{
	struct {
		char before[0x90];
		uint64_t mnt_id;
		char after[0x100 - 0x98];
	} stx;

	memset(&stx, 0, sizeof(stx));
	if (syscall(SYS_statx, AT_FDCWD, name, 0, 0x4000, &stx) < 0)
		say("statx %s: %s\n", name, strerrorname_np(errno));
	return stx.mnt_id;
}

static int statmount(uint64_t id, uint64_t mask, void *buf, size_t size, int flags)
{
	struct request r = { 24, 0, id, mask, 0 };

	return syscall(457, &r, buf, size, flags);
}

static int listmount(uint64_t id, uint64_t last, uint64_t *ids, size_t n, int flags)
{
	struct request r = { 24, 0, id, last, 0 };

	return syscall(458, &r, ids, n, flags);
}

static void tell(const char *name)
{
	static struct answer a;
	const char *text = (char *)&a + 512;

	memset(&a, 0, sizeof(a));
	if (SHOW(statmount(unique(name), 0x27f, &a, 4096, 0)) < 0)
		return;
	say("%s: mask %#lx magic %#lx sb_flags %u attr %#lx prop %#lx group %d master %d from %d\n", name,
	    a.mask, a.sb_magic, a.sb_flags & 1, a.mnt_attr, a.mnt_propagation,
	    a.mnt_peer_group ? number(a.mnt_peer_group) : 0, a.mnt_master ? number(a.mnt_master) : 0,
	    a.propagate_from ? number(a.propagate_from) : 0);
	say("%s %s %s %s, size as it must be: %d\n", text + a.fs_type, text + a.mnt_root,
	    text + a.mnt_point + strlen(top), text + a.sb_source,
	    a.size == 512 + 1 + strlen(text + a.fs_type) + 1 + strlen(text + a.mnt_root) + 1 +
			      strlen(text + a.mnt_point) + 1 + strlen(text + a.sb_source) + 1);
	IS(a.mnt_id == unique(name));
	IS(a.mnt_parent_id == unique("."));
}

int main(void)
{
	struct request short_one = { 23 }, long_one = { 5000 }, wrong = { 24, 0, 77 };
	uint64_t ids[64], some[64];
	struct answer a;
	int n;

	own_mounts();
	mkdir("a", 0755);
	mkdir("b", 0755);
	mkdir("c", 0755);
	mkdir("d", 0755);
	mount("from here", "a", "tmpfs", MS_NOSUID | MS_RDONLY | MS_NOATIME, NULL);
	tmpfs("b");
	mkdir("b/x", 0755);
	type("b", MS_SHARED);
	bind("b/x", "c");
	type("c", MS_SLAVE);
	bind("c", "d");
	type("d", MS_UNBINDABLE);
	tell("a");
	tell("b");
	tell("c");
	tell("d");
	SHOW(statmount(unique("a"), 1, &a, 4096, 1));
	SHOW(statmount(unique("a"), 0x20, &a, 512, 0));
	SHOW(statmount(unique("a"), 1, &a, 512, 0));
	SHOW(statmount(unique("a"), 1, NULL, 512, 0));
	SHOW(statmount(5, 1, &a, 512, 0));
	SHOW(statmount((1UL << 31) + 100000000, 1, &a, 512, 0));
	SHOW(syscall(457, &short_one, &a, 512, 0));
	SHOW(syscall(457, &long_one, &a, 512, 0));
	SHOW(syscall(457, &wrong, &a, 512, 0));
	SHOW(syscall(457, NULL, &a, 512, 0));
	n = SHOW(listmount(unique("."), 0, ids, 64, 0));
	IS(ids[0] == unique("a") && ids[1] == unique("b") && ids[2] == unique("c") && ids[3] == unique("d"));
	SHOW(listmount(unique("."), ids[1], some, 64, 0));
	IS(some[0] == ids[2] && some[1] == ids[3]);
	SHOW(listmount(unique("."), 0, some, 2, 0));
	SHOW(listmount(unique("."), 0, some, 64, 1));
	IS(some[0] == ids[3] && some[3] == ids[0]);
	SHOW(listmount(unique("a"), 0, some, 64, 0));
	SHOW(listmount(ROOT, 0, some, 64, 0) > n);
	SHOW(listmount(ROOT, 0, some, 64, 6));
	SHOW(listmount(ROOT, 7, some, 64, 0));
	SHOW(listmount(ROOT, 0, some, 1000001, 0));
	SHOW(listmount(7, 0, some, 64, 0));
	chdir("..");
	umount2("m", MNT_DETACH);
	rmdir("m");
	return n < 0;
}
