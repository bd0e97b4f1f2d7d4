//! Goal: the running kernel accepts our BTF.
//! Method: `BPF_BTF_LOAD` through a small C program, for every object of this machine's kind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use btf_tests::corpus;
use btf_tests::program::{TestDir, ours, peer, run, skip};

/// Loads the BTF in each file named; prints the file and the verifier's log for those that the kernel refuses.
///
/// Exit status: 0 all accepted, 1 some refused, 77 not permitted or not supported.
const LOADER: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct btf_load { unsigned long long btf, log; unsigned int btf_size, log_size, log_level, true_size, flags, token; };

int main(int count, char **files)
{
	static char data[16 << 20], log[1 << 20];
	int status = 0;

	for (int i = 1; i < count; i++) {
		int fd = open(files[i], O_RDONLY);
		long size = read(fd, data, sizeof(data));
		struct btf_load load = { .btf = (unsigned long)data, .log = (unsigned long)log, .btf_size = size,
					 .log_size = sizeof(log), .log_level = 1 };

		close(fd);
		log[0] = 0;
		fd = syscall(SYS_bpf, 18, &load, sizeof(load));
		if (fd >= 0) {
			close(fd);
			continue;
		}
		if (errno == EPERM || errno == ENOSYS)
			return 77;
		printf("%s: %s\n%s\n", files[i], strerror(errno), strlen(log) > 2000 ? log + strlen(log) - 2000 : log);
		status = 1;
	}
	return status;
}
"#;

fn loader(dir: &TestDir) -> Option<PathBuf> {
    let cc = peer("cc")?;
    let source = dir.write("load.c", LOADER.as_bytes());
    let program = dir.path("load");
    let _ = run(
        &cc,
        ["-o".as_ref(), program.as_os_str(), source.as_os_str()],
    )
    .success();
    Some(program)
}

/// The kernel takes C's names only, so that C++ and Rust are left out.
fn is_loadable(object: &Path) -> bool {
    let folder = corpus::name(object.parent().unwrap());
    let is_native = cfg!(target_arch = "x86_64") && folder.ends_with("-x86_64");
    is_native && !folder.starts_with("rustc") && corpus::name(object) != "references.o"
}

#[test]
fn the_running_kernel_accepts_the_corpus() {
    let dir = TestDir::new();
    let Some(loader) = loader(&dir) else { return };
    let program = ours("dwarf2btf");
    let mut blobs = Vec::new();
    for object in corpus::objects()
        .into_iter()
        .filter(|object| is_loadable(object))
    {
        let folder = corpus::name(object.parent().unwrap());
        let blob = dir.path(&format!("{folder}-{}.btf", corpus::name(&object)));
        let args = [
            object.as_os_str(),
            "-q".as_ref(),
            "-o".as_ref(),
            blob.as_os_str(),
        ];
        let _ = run(&program, args).success();
        blobs.push(blob);
    }
    let outcome = run(&loader, &blobs);
    if outcome.status == Some(77) {
        skip("this process may not load BTF, or the kernel has no BPF");
        return;
    }
    assert_eq!(outcome.status, Some(0), "{outcome}");
    assert!(!blobs.is_empty() || !cfg!(target_arch = "x86_64"));
}
