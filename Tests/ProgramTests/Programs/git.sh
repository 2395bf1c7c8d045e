#!/bin/bash
# A repository's life on the mount: commits, branches, merge, clone, repack, gc, fsck, bundle, worktree.
set -uo pipefail
export LC_ALL=C HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_CEILING_DIRECTORIES=${PWD%/*}
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.org
export GIT_AUTHOR_DATE='1600000000 +0000' GIT_COMMITTER_DATE='1600000000 +0000'
# Several threads would choose deltas by luck.
git config --global pack.threads 1
git config --global gc.auto 0
git config --global init.defaultBranch main
git config --global advice.detachedHead false

git init -q origin
cd origin || exit
for commit in $(seq 12); do
    mkdir -p "directory-$((commit % 4))"
    seq "$commit" $((commit * 500)) >"directory-$((commit % 4))/file-$commit"
    seq $((commit * 3)) 9000 >big
    printf 'binary\0%d\0' "$commit" >binary
    git add -A
    git commit -q -m "commit $commit"
done
git tag -a -m "a tag" v1
git checkout -q -b side HEAD~4
echo side >side-file
git add side-file
git commit -q -m side
git mv side-file renamed
git commit -q -m rename
git checkout -q main
git merge -q -m merge side
git log --format='%h %s' --graph | cat
git diff --stat HEAD~6 | cat
git status --short
cd ..

git clone -q origin cloned
git clone -q --no-local --depth 3 "file://$PWD/origin" shallow
git clone -q --bare origin bare.git
cd cloned || exit
echo more >>big
git commit -q -a -m "in the clone"
git push -q origin HEAD:refs/heads/pushed
git stash list
echo unfinished >>big
git stash -q
git stash pop -q
git diff | cksum
git checkout -q -- big
git gc -q --prune=now --aggressive
git fsck --full --strict
git count-objects -v | grep -v size
git blame -s big | head -n 3
git grep -c 4999 | cat
git archive HEAD | tar -tf - | cksum
git bundle create -q ../all.bundle --all
git bundle verify -q ../all.bundle >/dev/null && echo "bundle verified"
git worktree add -q ../worktree HEAD~1
git rebase -q --onto HEAD~3 HEAD~2 2>/dev/null || git rebase --abort
git reset -q --hard HEAD~1
git reflog --format='%gs' | cat
cd ..
git -C origin gc -q
git -C origin repack -q -a -d -f
git -C origin verify-pack origin/.git/objects/pack/*.idx 2>/dev/null
git -C origin fsck --full
git -C bare.git fetch -q ../origin '+refs/heads/*:refs/heads/*'
git -C bare.git rev-parse main side pushed
git -C shallow log --format=%s | cat
git -C nowhere status
echo "missing: $?"
# Times and inode numbers of this very run are in the index and in the names of nothing else.
find . -name index -path '*.git*' -delete
find . -name index -path '*worktrees*' -delete
