#!/usr/bin/env bash
# Makes the objects of this folder from src/. Needs clang 22 as CLANG and GCC 16 for BPF as GCC.
set -euo pipefail
cd "$(dirname "$0")/src"
CLANG=${CLANG:-clang-22} GCC=${GCC:-bpf-gcc}
for order in little big; do
    [[ $order == little ]] && suffix= || suffix=-eb
    for source in *.c; do
        name=${source%.c} debug=-g gcc_debug=-gbtf
        [[ $name == many ]] && continue # for many.sh
        [[ $name == plain ]] && debug= gcc_debug=
        [[ $name == split ]] && debug+=" -ffunction-sections" gcc_debug+=" -ffunction-sections"
        mkdir -p "../clang$suffix" "../gcc$suffix"
        cpu="-mcpu=v3"
        [[ $name == jumps ]] && cpu="-mcpu=v4 -mllvm -bpf-min-jump-table-entries=3"
        "$CLANG" --target="bpf${suffix:+eb}" $cpu -O2 $debug -ffile-prefix-map="$PWD=." -c "$source" -o "../clang$suffix/$name.o"
        if [[ ! $name =~ ^(ids|arena|jumps)$ ]]; then # GCC has no such builtin, address space and tables
            "$GCC" -m$order-endian -mcpu=v3 -O2 $gcc_debug -ffile-prefix-map="$PWD=." -c "$source" -o "../gcc$suffix/$name.o"
        fi
    done
done
