#!/usr/bin/env bash
# Builds two kernels with our program as PAHOLE, boots them, and lets them judge their BTF.
#
#   tests/kernel/build-and-boot.sh DIR             # all files go below DIR (5 GB); what is built is kept and used again
#   tests/kernel/build-and-boot.sh DIR /usr/bin/pahole     # the same checks of another pahole
#   VERSIONS=6.12 JOBS=8 tests/kernel/build-and-boot.sh DIR
#
# Linux 6.12, whose build writes .BTF in place, and the newest of Debian's sid, whose build has it apart and gives it to
# resolve_btfids. What is checked, and what the machine needs, is in README.md beside this file.
set -euo pipefail
export LC_ALL=C
HERE=$(dirname "$(realpath "$0")")
ROOT=$(realpath "$HERE/../..")
JOBS=${JOBS:-$(nproc)}
LEVELS="reachable forward members"
# A guest that needs longer than this many seconds hangs: emulated, on a busy machine, one takes a minute or two.
BOOT_LIMIT=${BOOT_LIMIT:-900}

fail() {
    echo "build-and-boot: FAILED: $*" >&2
    exit 1
}

# step MESSAGE…: says what begins, and when (seconds from the start).
step() {
    printf '[%4d s] %s\n' "$SECONDS" "$*"
}

ok() {
    echo "         ok: $*"
}

[[ $# -ge 1 && $# -le 2 ]] || fail "usage: $0 DIR [PAHOLE]"
[[ $(uname -m) == x86_64 ]] || fail "only x86_64 has these kernels"
PACKAGES="bc bison clang cpio flex gcc kmod libbpf-dev libelf-dev make perl python3 qemu-system-x86 xz-utils zlib1g-dev busybox-static"
for tool in bc bison clang cpio flex gcc depmod make objcopy perl python3 qemu-system-x86_64 readelf xz busybox; do
    PATH=$PATH:/sbin:/usr/sbin command -v "$tool" >/dev/null || fail "$tool is needed: apt-get install $PACKAGES"
done
[[ -f /usr/include/bpf/bpf_helpers.h && -f /usr/include/libelf.h ]] || fail "headers are needed: apt-get install $PACKAGES"
! ldd "$(command -v busybox)" >/dev/null 2>&1 || fail "busybox must be static: apt-get install busybox-static"
mkdir -p "$1/bin"
DIR=$(realpath "$1")
cd "$DIR"

step "the programs"
(cd "$ROOT" && cargo build --quiet --release -p dwarf2btf -p btf-link)
ours=$(cd "$ROOT" && cargo metadata --format-version 1 --no-deps |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/release
program=$(realpath "${2:-$ours/dwarf2btf}")
# The program of a build is a copy: a new one that is compiled meanwhile is not taken into it.
rm -f bin/pahole bin/program
cp "$program" bin/program
cp "$ours/btf-link" bin/
ln -s program bin/pahole
PAHOLE=$DIR/bin/pahole
[[ $("$PAHOLE" --version) == v1.* ]] || fail "$program does not answer as pahole"

step "sources and bpftool"
BTF_PEERS_DIR="$DIR/peers" "$ROOT/.ci/peers" --sources >peers.log || fail "see $DIR/peers.log"
BPFTOOL=$DIR/peers/bin/bpftool
versions=$(cd peers/sources && ls linux-source-*.tar.xz | sed 's/linux-source-//; s/\.tar\.xz//' | sort -V)
VERSIONS=${VERSIONS:-$versions}

# kbuild VERSION ARGUMENT…: make for the kernel of that version.
kbuild() {
    local version=$1
    shift
    make -C "linux-source-$version" O="$DIR/build-$version" PAHOLE="$PAHOLE" "$@"
}

# configure VERSION: unpacks the source and makes .config; every line of our fragment must be in it.
configure() {
    local version=$1 line
    if [[ ! -f linux-source-$version/unpacked ]]; then
        rm -rf "linux-source-$version"
        tar -xf "peers/sources/linux-source-$version.tar.xz"
        # What the second kernel has first: see other_ids.
        sed -i "1i #include \"../../other-ids-$version.h\"" "linux-source-$version/init/main.c"
        touch "linux-source-$version/unpacked"
    fi
    mkdir -p "build-$version"
    # Made again only for another fragment, so that make has nothing to do for the same one.
    if ! cmp -s "$HERE/config" "build-$version/fragment"; then
        kbuild "$version" -s KCONFIG_ALLCONFIG="$HERE/config" allnoconfig >"configure-$version.log" 2>&1 ||
            fail "see $DIR/configure-$version.log"
        cp "$HERE/config" "build-$version/fragment"
    fi
    while read -r line; do
        case $line in
        '#'* | '') ;;
        *=n) ! grep -q "^${line%n}" "build-$version/.config" || fail "$version has ${line%=n}" ;;
        *) grep -qxF "$line" "build-$version/.config" || fail "$version has not $line" ;;
        esac
    done <"$HERE/config"
}

# other_ids VERSION STATE: with STATE `on` the kernel has types of its own before all others, so that other ids follow.
other_ids() {
    local text="/* Nothing: the first kernel. */"
    if [[ $2 == on ]]; then
        text='struct btf_other_ids { struct btf_other_ids *next; char bytes[77]; };
extern struct btf_other_ids btf_other_ids;
struct btf_other_ids btf_other_ids;'
    fi
    # Not written when it is the same: make would take it for new.
    [[ $(cat "other-ids-$1.h" 2>/dev/null) == "$text" ]] || echo "$text" >"other-ids-$1.h"
}

# build VERSION LOG TARGET…: makes the targets; what was said of BTF must be no more than that it is made.
build() {
    local version=$1 log=$2
    shift 2
    kbuild "$version" -j"$JOBS" "$@" >"$log" 2>&1 || fail "the build of $version: see $DIR/$log"
    # Lines such as "  BTF [M] net/llc/llc.ko" and "  CC      kernel/bpf/btf.o" name a step and a file; the build of
    # resolve_btfids shows a command or two.
    if grep -iE 'btf|pahole' "$log" |
        grep -vE '^( +[A-Z0-9_]+ (\[M\] )? *[^ ]+|ln -sf .*|make.*: (Entering|Leaving) directory .*)$'; then
        fail "a message about BTF in the build of $version"
    fi
}

# listing BASE FILE: the sum of bpftool's listing of the BTF of FILE, as the guest's init makes it.
listing() {
    "$BPFTOOL" ${1:+-B "$1"} btf dump file "$2" | md5sum
}

# id_of NAME FILE: the id of a structure.
id_of() {
    "$BPFTOOL" btf dump file "$2" | sed -n "s/^\[\([0-9]*\)\] STRUCT '$1' .*/\1/p"
}

# objects: the BPF programs, and one with its BTF pruned at each level.
objects() {
    local name level
    for name in core foreign; do
        clang -g -O2 -target bpf -Wall -Werror -I"/usr/include/$(uname -m)-linux-gnu" -c "$HERE/$name.bpf.c" -o "$name.bpf.o"
    done
    for level in $LEVELS; do
        bin/btf-link prune core.bpf.o --level "$level" -o "core-$level.bpf.o" >"prune-$level.log" 2>&1 ||
            fail "see $DIR/prune-$level.log"
    done
}

# foreign VERSION FOLDER VARIABLE…: the module outside the tree, made in that folder with other variables of make.
foreign() {
    local version=$1 into=$2
    shift 2
    rm -rf "$into" && cp -r "$HERE/foreign" "$into"
    build "$version" "$into.log" M="$DIR/$into" "$@" modules
}

# has_section FILE NAME: all of readelf's text is read, as a writer whose reader has gone is a failure here.
has_section() {
    readelf -SW "$1" | grep -E " \\$2 +PROGBITS " >/dev/null
}

# guest VERSION: a root directory with busybox, bpftool, our init and the programs.
guest() {
    local root=root-$1 libraries=peers/root/usr/lib/x86_64-linux-gnu library
    rm -rf "$root" && mkdir -p "$root"/{bin,lib64,lib/x86_64-linux-gnu,expected}
    cp "$(command -v busybox)" "$root/bin/busybox"
    cp "$HERE/init" "$root/init" && chmod +x "$root/init"
    # The program itself: what stands in its place starts it with the loader and libraries of its folder.
    cp peers/root/usr/sbin/bpftool.elf "$root/bin/bpftool"
    cp -L "$libraries/ld-linux-x86-64.so.2" "$root/lib64/"
    # Those that the program and its libraries need, found as the loader finds them.
    "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" --list "$root/bin/bpftool" >"$root.libraries" ||
        fail "the guest cannot have $root/bin/bpftool"
    while read -r library; do
        cp -L "$library" "$root/lib/x86_64-linux-gnu/"
    done < <(sed -n 's/.* => \(.*\) (.*/\1/p' "$root.libraries")
    cp core.bpf.o core-*.bpf.o foreign.bpf.o "$root/"
}

# boot VERSION CHECKS KERNEL: runs the guest, shows what it found, and fails unless all checks are ok. The timer is not
# tested, as on a busy machine the emulated one may be late, which the kernel takes for a defect.
boot() {
    local log=boot-$1-$2.log
    (cd "root-$1" && find . | cpio -o -H newc --quiet) >"root-$1.cpio"
    timeout "$BOOT_LIMIT" qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m 1G -nographic -no-reboot -nodefaults \
        -serial file:"$log" -kernel "$3" -initrd "root-$1.cpio" -append "console=ttyS0 panic=-1 quiet no_timer_check checks=$2" ||
        fail "the guest: see $DIR/$log"
    tr -d '\r' <"$log" | grep '^guest: ' | sed 's/^/         /' || true
    tr -d '\r' <"$log" | grep -x 'guest: done' >/dev/null || fail "the guest did not end: see $DIR/$log"
    ! grep -q '^guest: FAILED' "$log" || fail "checks in the guest: see $DIR/$log"
}

# tree VERSION: the kernel and its own modules.
tree() {
    local version=$1 build=build-$1 module name count=0
    step "$version: build"
    other_ids "$version" off
    configure "$version"
    # make would give modules that are there the BTF of a new vmlinux in place, and resolve_btfids, which has sorted their sets
    # of kfuncs once, would then give the flags of one to another.
    find "$build" -name '*.ko' -delete
    build "$version" "build-$version.log" bzImage modules
    ok "builds without a message about BTF"
    cp "$build/arch/x86/boot/bzImage" "bzImage-$version"

    step "$version: modules"
    guest "$version"
    kbuild "$version" -s INSTALL_MOD_PATH="$DIR/root-$version" INSTALL_MOD_STRIP=1 modules_install >"install-$version.log" 2>&1 ||
        fail "see $DIR/install-$version.log"
    rm -f "root-$version"/lib/modules/*/build
    listing "" "$build/vmlinux" >"root-$version/expected/vmlinux.md5"
    while read -r module; do
        has_section "$module" .BTF || fail "$module has no .BTF"
        name=$(basename "$module" .ko) name=${name//-/_}
        echo "$name" >>"root-$version/expected/modules"
        listing "$build/vmlinux" "$module" >"root-$version/expected/$name.md5"
        count=$((count + 1))
    done < <(find "$build" -name '*.ko' | sort)
    [[ $count -ge 20 ]] || fail "only $count modules"
    ok "$count modules have .BTF"

    step "$version: boot"
    boot "$version" tree "bzImage-$version"
}

# outside VERSION: a module built against that kernel on another that has its types under other ids.
outside() {
    local version=$1 build=build-$1 before after
    step "$version: a module outside the tree, and a kernel with other ids"
    foreign "$version" "foreign-$version"
    for section in .BTF .BTF.base; do
        has_section "foreign-$version/btf_foreign.ko" "$section" || fail "btf_foreign.ko has no $section"
    done
    ok "it has .BTF and .BTF.base"
    # The control: with the kernel's ids, as modules inside the tree have them.
    foreign "$version" "tied-$version" MODULE_PAHOLE_FLAGS= RESOLVE_BTFIDS_FLAGS=
    ! has_section "tied-$version/btf_foreign.ko" .BTF.base || fail "the control has .BTF.base"

    before=$(id_of task_struct "$build/vmlinux")
    other_ids "$version" on
    build "$version" "build-$version-other.log" bzImage
    after=$(id_of task_struct "$build/vmlinux")
    [[ -n $before && -n $after && $before != "$after" ]] || fail "task_struct is $before, and $after in the other kernel"
    ok "task_struct is type $before, and $after in the other kernel"

    step "$version: boot that"
    guest "$version"
    strip --strip-debug -o "root-$version/foreign.ko" "foreign-$version/btf_foreign.ko"
    strip --strip-debug -o "root-$version/tied.ko" "tied-$version/btf_foreign.ko"
    listing "" "$build/vmlinux" >"root-$version/expected/vmlinux.md5"
    boot "$version" foreign "$build/arch/x86/boot/bzImage"
}

objects
for version in $VERSIONS; do
    tree "$version"
    outside "$version"
done
step "all checks passed with $("$PAHOLE" --version) of $program: Linux $(tr '\n' ' ' <<<"$VERSIONS")"
