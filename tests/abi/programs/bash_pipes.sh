# SPDX-License-Identifier: Apache-2.0
# abi-hide: line \d+: +\d+ 
# bash: loops, pipes, here-documents, traps, job control words, substitution.
ls -l /usr | sort | head
for i in 1 2 3; do echo $i; done | wc -c
x=$(echo one; echo two)
echo "[$x]"
cat <<END | tr a-z A-Z
here document $((6 * 7))
END
cat < <(echo process substitution)
(exit 9); echo "status $?"
false | true; echo "${PIPESTATUS[@]}"
trap 'echo leaving' EXIT
trap 'echo usr1' USR1
kill -USR1 $$
bash -c 'kill -SEGV $$' 2>/dev/null; echo "killed: $?"
yes | head -3
echo "to a file" >out; echo more >>out; cat out
[[ -f out && ! -d out ]] && echo is a file
sleep 0.01 & wait $!; echo "waited $?"
coproc cat; echo through >&"${COPROC[1]}"; read -r line <&"${COPROC[0]}"; echo "$line"
echo {a..e} $((2 ** 40)) "${x/one/1}"
type cd | head -1
no_such_command_here; echo "status $?"
ulimit -n >/dev/null && echo limited
mkdir -p deep/er && cd deep/er && echo "${PWD##*/}" && cd ../.. && rmdir -p deep/er
exit 3
