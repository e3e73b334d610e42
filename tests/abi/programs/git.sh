# SPDX-License-Identifier: Apache-2.0
# abi-needs: git
# abi-env: GIT_AUTHOR_NAME=A
# abi-env: GIT_AUTHOR_EMAIL=a@example.org
# abi-env: GIT_COMMITTER_NAME=C
# abi-env: GIT_COMMITTER_EMAIL=c@example.org
# abi-env: GIT_AUTHOR_DATE=2020-01-01T00:00:00Z
# abi-env: GIT_COMMITTER_DATE=2020-01-01T00:00:00Z
# abi-timeout: 60
# A repository from init to merge.
mkdir repo && cd repo
git init -q -b main . && echo one >file && mkdir dir && echo two >dir/other && ln -s file link
git add . && git commit -q -m first && git log --format='%H %an %s'
echo more >>file; git status --short; git diff --stat; git diff
git commit -q -a -m second; git log --oneline
git checkout -q -b side HEAD~1; echo side >side; git add side; git commit -q -m side
git checkout -q main; git merge -q -m merge side; git log --oneline --graph
git tag v1; git describe; git ls-tree -r HEAD; git rev-parse HEAD
git stash list; echo dirty >file; git stash -q; cat file; git stash pop -q; cat file; git checkout -q file
git clone -q . ../clone && ls ../clone; git -C ../clone log -1 --format=%s
git gc -q; git fsck --no-progress 2>&1; git count-objects -v | grep -E 'in-pack|packs'
git grep -n o HEAD -- dir; git show HEAD:dir/other; git nonsense; echo "status $?"
cd ..; rm -rf repo clone
