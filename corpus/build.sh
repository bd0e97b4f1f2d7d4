#!/usr/bin/env bash
# Regenerates corpus/dwarf/<compiler>-<arch>/ from corpus/src; README.md tells what the `//#` directives mean.
#
#   corpus/build.sh             # everything whose compiler is installed; says what it leaves out
#   corpus/build.sh gcc-x86_64  # only the named folders
#
# Compilers are Debian's: gcc, clang, lld, dwz, gcc-aarch64-linux-gnu, gcc-s390x-linux-gnu, gcc-arm-linux-gnueabihf; Rust is
# rustc. The objects do not name the folder they were built in. Other compiler versions make other objects, so a
# regenerated folder comes with new snapshots and a new row in README.md.
set -euo pipefail
cd "$(dirname "$0")/src"
export LC_ALL=C SOURCE_DATE_EPOCH=0
LIMIT=$((64 * 1024))
COMMON=(-g -O2 -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -fno-ident -fno-pie -frandom-seed=corpus -w
    "-ffile-prefix-map=$PWD=.")
FEW="functions percpu program"

# directive FILE NAME: the value of `//# NAME:` in FILE.
directive() { sed -n "s|^//# $2: *||p" "$1"; }

# has WORD LIST...: whether WORD is one of LIST.
has() {
    local word=$1 item
    shift
    for item; do [[ $item == "$word" ]] && return 0; done
    return 1
}

# variant_flags NAME: the compiler flags of a variant.
variant_flags() {
    case $1 in
    dwarf2) echo "-gdwarf-2 -gstrict-dwarf" ;;
    dwarf3) echo "-gdwarf-3 -gstrict-dwarf" ;;
    dwarf4) echo "-gdwarf-4" ;;
    strict4) echo "-gdwarf-4 -gstrict-dwarf" ;;
    dwarf5) echo "-gdwarf-5" ;;
    dwarf64-4) echo "-gdwarf-4 -gdwarf64" ;;
    dwarf64-5) echo "-gdwarf-5 -gdwarf64" ;;
    types4) echo "-gdwarf-4 -fdebug-types-section" ;;
    types5) echo "-gdwarf-5 -fdebug-types-section" ;;
    gz-zlib) echo "-gz=zlib" ;;
    gz-zstd) echo "-gz=zstd" ;;
    gz-zlib-gnu) echo "" ;; # by objcopy afterwards: compilers no longer make .zdebug_*
    lto) echo "-flto" ;;
    O0 | Og) echo "-$1" ;;
    *) echo "unknown variant: $1" >&2 && exit 2 ;;
    esac
}

# compile FOLDER COMPILER SOURCE [VARIANT]
compile() {
    local folder=$1 compiler=$2 source=$3 variant=${4:-}
    local out="../dwarf/$folder/${source%.*}${variant:+.$variant}.o" flags
    # shellcheck disable=SC2046,SC2086
    flags="$(directive "$source" flags) ${variant:+$(variant_flags "$variant")}"
    [[ $folder == clang-* && $flags == *-gdwarf-[23]* ]] && flags=${flags/-gstrict-dwarf/}
    # shellcheck disable=SC2086
    $compiler "${COMMON[@]}" $flags -c "$source" -o "$out"
    [[ $variant == gz-zlib-gnu ]] && objcopy --compress-debug-sections=zlib-gnu "$out"
    return 0
}

# link_images FOLDER COMPILER LINKER: the linked forms of the sources of group `image`.
link_images() {
    local folder=$1 compiler=$2 linker=$3 dir="../dwarf/$1" source objects=() sources=()
    for source in *.c; do
        [[ $(directive "$source" link) == image && -f $dir/${source%.c}.o ]] || continue
        objects+=("$dir/${source%.c}.o")
        sources+=("$source")
    done
    local script=(-T image.ld --unresolved-symbols=ignore-all --build-id=none -e 0 -z max-page-size=4096)
    $linker "${script[@]}" "${objects[@]}" -o "$dir/image.elf"
    $linker -r "${objects[@]}" -o "$dir/image.relocatable.o"
    [[ $folder == *-x86_64 ]] || return 0
    $linker "${script[@]}" --emit-relocs "${objects[@]}" -o "$dir/image.emit-relocs.elf"
    local wl
    printf -v wl ',%s' "${script[@]}"
    $compiler "${COMMON[@]}" -flto -nostdlib -static "-Wl$wl" homonyms_a.c homonyms_b.c inconsistent_a.c inconsistent_b.c \
        program.c -o "$dir/image.lto.elf" ${LTO_LINK_FLAGS:-}
    local whole=() order=()
    for source in *.c; do
        [[ $(directive "$source" link) != whole ]] || whole+=("$source")
    done
    [[ $folder == clang-* ]] || order=(-fno-toplevel-reorder) # LTO leaves variables where they are, as clang's does.
    for source in lto.elf lto.whole.elf; do
        local lto=()
        [[ $source == lto.elf ]] || lto=(-flto)
        $compiler "${COMMON[@]}" "${order[@]}" "${lto[@]}" -nostdlib -static "-Wl$wl" "${whole[@]}" -o "$dir/$source" \
            ${LTO_LINK_FLAGS:-}
    done
    if [[ $folder == gcc-x86_64 ]] && command -v dwz >/dev/null; then
        cp "$dir/image.elf" "$dir/image.dwz.elf"
        dwz "$dir/image.dwz.elf"
    fi
}

# folder FOLDER COMPILER LINKER SOURCES...: builds one folder, if it is wanted and its compiler is there.
folder() {
    local folder=$1 compiler=$2 linker=$3 source variant
    shift 3
    if ((${#WANTED[@]})) && ! has "$folder" "${WANTED[@]}"; then return 0; fi
    if ! command -v "${compiler%% *}" >/dev/null; then
        echo "left out: $folder: ${compiler%% *} is not installed" >&2
        return 0
    fi
    echo "$folder: $(${compiler%% *} --version | head -n 1)"
    rm -rf "../dwarf/$folder" && mkdir -p "../dwarf/$folder"
    for source; do
        local compilers arches
        compilers=$(directive "$source" compilers) arches=$(directive "$source" arches)
        # shellcheck disable=SC2086
        [[ -n $compilers ]] && ! has "${folder%%-*}" $compilers && continue
        # shellcheck disable=SC2086
        [[ -n $arches ]] && ! has "${folder#*-}" $arches && continue
        compile "$folder" "$compiler" "$source"
        [[ $folder == *-x86_64 ]] || continue
        for variant in $(directive "$source" variants); do
            # Objects of clang's LTO are bitcode without DWARF; gcc's hold it, so that only the linked file is kept.
            [[ $variant == lto ]] || compile "$folder" "$compiler" "$source" "$variant"
        done
    done
    link_images "$folder" "$compiler" "$linker"
    local too_large
    too_large=$(find "../dwarf/$folder" -type f -size +"$LIMIT"c)
    [[ -z $too_large ]] || { echo "larger than $LIMIT bytes: $too_large" >&2 && exit 1; }
}

WANTED=("$@")
ALL=(*.c references.cpp)
few=()
for name in $FEW; do few+=("$name.c"); done
folder gcc-x86_64 gcc ld "${ALL[@]}"
LTO_LINK_FLAGS=-fuse-ld=lld folder clang-x86_64 clang ld.lld "${ALL[@]}"
folder gcc-aarch64 aarch64-linux-gnu-gcc aarch64-linux-gnu-ld *.c
folder gcc-s390x s390x-linux-gnu-gcc s390x-linux-gnu-ld *.c
folder gcc-arm arm-linux-gnueabihf-gcc arm-linux-gnueabihf-ld *.c
for arch in aarch64 riscv64 powerpc64le loongarch64; do
    folder "clang-$arch" "clang --target=$arch-linux-gnu" ld.lld "${few[@]}"
done
if ((${#WANTED[@]} == 0)) || has rustc-x86_64 "${WANTED[@]}"; then
    command -v rustc >/dev/null || { echo "left out: rustc-x86_64: rustc is not installed" >&2 && exit 0; }
    echo "rustc-x86_64: $(rustc --version)"
    mkdir -p ../dwarf/rustc-x86_64
    rustc --edition 2024 -C debuginfo=2 -C opt-level=1 -C panic=abort "--remap-path-prefix=$PWD=." --emit=obj shapes.rs \
        -o ../dwarf/rustc-x86_64/shapes.o
fi
