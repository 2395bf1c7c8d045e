#!/bin/bash
# git gc of a repository with loose objects, several packs, dead objects and a full reflog, while others read it.
set -uo pipefail
export LC_ALL=C HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_CEILING_DIRECTORIES=${PWD%/*}
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.org
export GIT_AUTHOR_DATE='1600000000 +0000' GIT_COMMITTER_DATE='1600000000 +0000'
git config --global pack.threads 1 # several would choose deltas by luck
git config --global gc.auto 0
git config --global init.defaultBranch main

git init -q work
cd work || exit
for commit in $(seq 24); do
    for file in 1 2 3 4; do seq $((commit * file)) $((commit * file + 900)) >"file-$file-$((commit % 5))"; done
    head -c $((commit * 9000)) <(seq 1 60000) >big
    git add -A
    git commit -q -m "commit $commit"
    # Packs of their own, to be united.
    if ((commit % 8 == 0)); then git repack -q -d; fi
    # Objects nobody needs any more.
    if ((commit % 6 == 0)); then
        git checkout -q -b "gone-$commit"
        seq "$commit" 4000 >dead
        git add dead
        git commit -q -m dead
        git checkout -q main
        git branch -q -D "gone-$commit"
    fi
done
git rev-list --objects --all | cksum
git count-objects -v | grep -E '^(count|packs|in-pack)'
git gc -q
git count-objects -v | grep -E '^(count|packs|in-pack)'
git fsck --full --strict --no-dangling
# Readers, which have the old packs open or mapped, while those are replaced.
for reader in 1 2 3; do
    git log -p --all | cksum >"../read-$reader" &
    git cat-file --batch-all-objects --batch-check --buffer | wc -l >"../counted-$reader" &
done
git reflog expire --expire=now --all
git gc -q --aggressive --prune=now
wait
cat ../read-*
cksum .git/objects/pack/*.pack
git fsck --full --strict
git count-objects -v | grep -E '^(count|packs|in-pack|garbage)'
git -c gc.auto=1 -c gc.autoDetach=false gc --auto -q
git commit-graph write --reachable
git multi-pack-index write
git multi-pack-index verify && git commit-graph verify && echo "verified"
git rev-list --objects --all | cksum
git clone -q --no-local --mirror . ../mirror && git -C ../mirror gc -q && git -C ../mirror fsck --full
cd ..
rm -f counted-* # how many objects the readers met depends on when they came
find . -name index -path '*.git*' -delete
