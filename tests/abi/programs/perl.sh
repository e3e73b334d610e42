# SPDX-License-Identifier: Apache-2.0
# abi-needs: perl
# perl: files, processes, pipes, regular expressions.
perl -e 'print "perl ", join(",", map { $_ ** 2 } 1 .. 5), "\n"'
perl -MList::Util=sum -e 'print sum(1 .. 100), "\n"'
printf 'b 2\na 1\n' | perl -lane 'push @l, "$F[1]$F[0]"; END { print for sort @l }'
perl -e 'open my $f, ">", "out" or die; print $f "text\n" x 3; close $f; print -s "out", "\n"'
perl -i.bak -pe 's/text/TEXT/' out; cat out out.bak
perl -e 'my $pid = fork; if (!$pid) { exit 7 } waitpid $pid, 0; print $? >> 8, "\n"'
perl -e 'print `echo from a shell`; open my $p, "-|", "seq 3"; print while <$p>'
perl -e '$SIG{ALRM} = sub { print "alarm\n"; exit 2 }; alarm 1; sleep 10'; echo $?
perl -e 'local $SIG{USR1} = sub { print "usr1\n" }; kill "USR1", $$'
perl -MPOSIX -e 'print strftime("%F %T", gmtime(86400 * 365)), " ", (uname)[0], "\n"'
perl -e 'die "dead\n"'; echo $?
perl -MSocket -e 'print "ok\n"'
