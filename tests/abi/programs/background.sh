# SPDX-License-Identifier: Apache-2.0
# abi-hide: line \d+: +\d+ 
# Jobs, process groups, orphans that hold nothing open.
sleep 0.02 & first=$!
(sleep 0.01; exit 5) & second=$!
wait $second; echo "second $?"
wait $first; echo "first $?"
wait 99999; echo "stranger $?"
sleep 60 & kill %1; wait $! 2>/dev/null; echo "killed $?"
set -m
sleep 60 & kill -STOP %1; sleep 0.02; kill -CONT %1; kill -TERM %1; wait %1 2>/dev/null; echo "job $?"
( ( sleep 0.01; echo orphan >orphan.txt ) & )
while ! [ -s orphan.txt ]; do sleep 0.01; done
cat orphan.txt
