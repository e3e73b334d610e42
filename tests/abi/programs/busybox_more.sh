# SPDX-License-Identifier: Apache-2.0
# abi-needs: busybox
# abi-timeout: 60
# The less common applets of static busybox: archives, links, processes, settings, pagers.
b() { busybox "$@"; }
b seq 300 >n; b ascii | b head -3; b arch; b linux64 busybox arch; b linux32 true; echo $?
b cp n a; b ar -r x.a a 2>/dev/null; b ar t x.a; b bzip2 -k a; b bzcat a.bz2 | b md5sum; b lzop -c n | b lzop -dc | b md5sum
b gzip -k a; b zcat a.gz | b md5sum; b uncompress -h 2>&1 | b head -1 | b cut -c1-8; b gunzip -t a.gz; echo $?
python3 -c 'import lzma; d = open("n", "rb").read(); open("n.xz", "wb").write(lzma.compress(d, check=lzma.CHECK_CRC32)); open("n.lzma", "wb").write(lzma.compress(d, format=lzma.FORMAT_ALONE))'
b xz -dc n.xz | b md5sum; b unxz -c n.xz | b md5sum; b xzcat n.xz | b md5sum; b lzcat n.lzma | b md5sum; b unlzma -c n.lzma | b md5sum; b lzma -dc n.lzma | b md5sum
python3 -c 'import zipfile; z = zipfile.ZipFile("z.zip", "w"); z.writestr(zipfile.ZipInfo("in"), "zipped\n"); z.close()'
b unzip -p z.zip in; b unzip -l z.zip | b tail -1
b link n l2; b unlink l2; b ls l2 2>/dev/null; echo $?; b fallocate -l 5000 f; b stat -c %s f; b shred -u f; b ls f 2>/dev/null; echo $?
b chown "$(b id -u)" n; echo $?; b chgrp "$(b id -g)" n; echo $?; b groups >/dev/null; echo $?
b dc -e '2 3 + p'; b hostname >/dev/null; echo $?; b tty </dev/null; echo $?; b clear | b od -c | b head -1
b less n </dev/null | b tail -1; b more n </dev/null | b tail -1; b last >/dev/null 2>&1; b mkpasswd -m sha512 -S saltsalt word
b uudecode -o u </dev/null 2>/dev/null; echo $?; b uuencode n n | b uudecode -o u; b cmp n u; echo $?; b ts x <d 2>/dev/null; echo line | b ts x
b unix2dos <n | b md5sum; b run-parts --test .; b mkdir parts; printf '#!/bin/sh\necho part\n' >parts/one; b chmod +x parts/one; b run-parts parts
b ionice -c 3 true; echo $?; b taskset 1 true; echo $?; b setpriv --nnp true; echo $?; b renice -n 1 -p $$ >/dev/null; echo $?
b sleep 5 & pid=$!; b kill -0 $pid; echo $?; b kill $pid; wait $pid 2>/dev/null; echo $?; b killall nosuchprogram 2>/dev/null; echo $?; b pidof nosuchprogram; echo $?
b start-stop-daemon -S -x /bin/busybox -- true; echo $?; b sysctl -n kernel.ostype; b top -b -n 1 | b head -1 | b cut -c1-4
b crontab -l 2>/dev/null; b who; b nuke parts; b ls; b svok . 2>/dev/null; echo $?; b rpm2cpio n 2>/dev/null; echo $?
b dpkg-deb -h 2>&1 | b head -1 | b cut -c1-7; b tc -h 2>/dev/null; b ipcalc -b 10.0.0.1/24; b microcom 2>/dev/null; echo $?
b mkdosfs 2>/dev/null; echo $?; b truncate -s 1M img; b mke2fs -F img >/dev/null 2>&1; echo $?; b mkswap img >/dev/null 2>&1; echo $?; b rm img
