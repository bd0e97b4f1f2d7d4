/* Merges BTF with libbpf: the peer of `btf-link merge` in `btf-bench --task merge`.
 *
 *   cc -O2 merge.c -o merge -lbpf && ./merge OUT LIST     # LIST names a file with BTF in each line
 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	char path[4096];
	const void *data;
	struct btf *all;
	__u32 size;
	FILE *file;

	if (argc == 2 && !strcmp(argv[1], "--version")) {
		printf("libbpf %s\n", libbpf_version_string());
		return 0;
	}
	all = btf__new_empty();
	file = argc == 3 ? fopen(argv[2], "r") : NULL;
	if (!all || !file)
		return 2;
	while (fgets(path, sizeof(path), file)) {
		struct btf *one;

		path[strcspn(path, "\n")] = 0;
		one = btf__parse(path, NULL);
		if (!one || btf__add_btf(all, one) < 0) {
			fprintf(stderr, "%s: cannot be added\n", path);
			return 2;
		}
		btf__free(one);
	}
	fclose(file);
	if (btf__dedup(all, NULL))
		return 2;
	data = btf__raw_data(all, &size);
	file = fopen(argv[1], "w");
	if (!data || !file || fwrite(data, 1, size, file) != size || fclose(file))
		return 2;
	return 0;
}
