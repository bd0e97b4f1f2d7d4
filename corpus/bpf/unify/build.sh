#!/usr/bin/env bash
# Makes the objects of this folder. Needs clang 22 as CLANG and GCC 16 for BPF as GCC.
set -euo pipefail
cd "$(dirname "$0")"
for name in a b; do
    "${CLANG:-clang-22}" --target=bpf -mcpu=v3 -O2 -g -ffile-prefix-map="$PWD=." -c "$name.c" -o "clang-$name.o"
    "${GCC:-bpf-gcc}" -mcpu=v3 -O2 -gbtf -ffile-prefix-map="$PWD=." -c "$name.c" -o "gcc-$name.o"
done
