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
        "$CLANG" --target="bpf${suffix:+eb}" -mcpu=v3 -O2 $debug -ffile-prefix-map="$PWD=." -c "$source" -o "../clang$suffix/$name.o"
        if [[ $name != ids && $name != arena ]]; then # GCC has no such builtin, and no such address space
            "$GCC" -m$order-endian -mcpu=v3 -O2 $gcc_debug -ffile-prefix-map="$PWD=." -c "$source" -o "../gcc$suffix/$name.o"
        fi
    done
done
