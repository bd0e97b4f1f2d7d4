#!/usr/bin/env bash
# Regenerates the objects of this folder: the BTF of three kernels, and a program by both compilers and in both byte orders.
#
# Compilers are Debian's clang-22 (or CLANG) and bpf-gcc 16 (or BPF_GCC). The objects do not name the folder they were built in.
set -euo pipefail
cd "$(dirname "$0")"
CLANG=${CLANG:-clang-22} BPF_GCC=${BPF_GCC:-bpf-gcc}
FLAGS=(-g -O2 -w "-ffile-prefix-map=$PWD=.")
for kernel in 1 2 3; do
    "$CLANG" --target=bpf "${FLAGS[@]}" -DKERNEL=$kernel -c kernel.c -o "kernel-$kernel.o"
done
"$CLANG" --target=bpfel -mcpu=v3 "${FLAGS[@]}" -c program.c -o program.clang.o
"$CLANG" --target=bpfeb -mcpu=v3 "${FLAGS[@]}" -c program.c -o program.clang-be.o
# It would name the folder in `.BTF.ext`, whatever the options say.
here=$PWD
{ echo '# 1 "program.c"' && cat program.c; } |
    (cd / && "$BPF_GCC" -mcpu=v4 -mco-re "${FLAGS[@]}" -iquote "$here" -x c - -c -o "$here/program.gcc.o")
