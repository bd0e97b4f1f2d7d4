#!/usr/bin/env bash
# many.sh FOLDER COUNT: makes so many objects that belong together, for benchmarks. Needs clang for BPF as CLANG.
set -euo pipefail
folder=$(realpath -m "$1") count=$2
cd "$(dirname "$0")/src"
mkdir -p "$folder"
for ((number = 0; number < count; number++)); do
    before=$((number > 0 ? number - 1 : 0))
    "${CLANG:-clang}" --target=bpf -mcpu=v3 -O2 -g -DNUMBER=$number $( ((number)) && echo "-DBEFORE=$before") -c many.c -o "$folder/$(printf %04d $number).o"
done
