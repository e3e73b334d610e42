# SPDX-License-Identifier: Apache-2.0
# Perl: interpreter threads with shared variables and queues, timers, signals, children; Tcl:
# the event loop, file events of a pipe to a child, coroutines.
# abi-needs: perl tclsh
# abi-hide: CHILDSTATUS \d+
cat > t.pl <<'END'
use strict; use warnings; use threads; use threads::shared; use Thread::Queue; use Time::HiRes qw(sleep alarm setitimer ITIMER_REAL);
my $n :shared = 0; my $q = Thread::Queue->new; my @t = map { my $i = $_; threads->create(sub { for (1..100) { lock $n; $n += $i; } $q->enqueue($i); return $i * 2; }) } 1..6;
print join(",", map { $_->join } @t), " $n\n"; $q->end; my @a; while (defined(my $x = $q->dequeue)) { push @a, $x } print join(",", sort @a), "\n";
my $c = 0; $SIG{ALRM} = sub { $c++ }; setitimer(ITIMER_REAL, 0.01, 0.01); 1 while $c < 5 and sleep 0.05; setitimer(ITIMER_REAL, 0); print "alarms ", $c >= 5 ? 1 : 0, "\n";
local $SIG{CHLD} = sub { }; my $p = fork; if (!$p) { exit 5 } waitpid $p, 0; print $? >> 8, "\n"; print `echo sub; exit 2`; print $? >> 8, "\n";
open my $h, "-|", "cat", "/etc/hostname" or die; my @l = <$h>; close $h; print scalar(@l), "\n"; kill 'USR1', $$ if $SIG{USR1} = sub { print "usr1\n" }; print $!{EINTR} ? "" : "ok\n";
END
perl t.pl
cat > t.tcl <<'END'
package require Tcl 8.6
catch {package require Thread} v; puts [string length $v]
set log {}; after 30 {lappend log b}; after 5 {lappend log a}; after 60 {set done 1}; vwait done; puts $log
set f [open "|sh -c {cat; exit 3}" r+]; puts $f hello; flush $f; chan configure $f -blocking 0; set got {}
chan event $f readable { if {[gets $f line] >= 0} { set ::got $line; set ::d2 1 } }; vwait d2; puts $got; chan configure $f -blocking 1; chan close $f write; puts [catch {close $f} e o]; puts [dict get $o -errorcode]
puts [exec sh -c {echo x | tr x y}]; puts [catch {exec false} e]; puts [clock format 0 -gmt 1]; coroutine c apply {{} {yield 1; yield 2}}; puts [c]; puts [file exists /etc/passwd]
END
tclsh t.tcl
