# SPDX-License-Identifier: Apache-2.0
# A disk with a system on it: some of it is used, some free, and files take room.
df -k / /tmp | awk 'NR>1{print ($3 > 0), ($4 > 0)}'; df -i / | awk 'NR>1{print ($3 > 0)}'
python3 -c 'import shutil; u = shutil.disk_usage("/"); print(u.total >= u.used + u.free, u.used > 0, u.free > 0)'
dd if=/dev/zero of=big bs=1M count=5 2>/dev/null; a=$(stat -f -c %f .); rm big; b=$(stat -f -c %f .); echo $(( (b - a) * $(stat -f -c %S .) >= 5 << 20 ))
