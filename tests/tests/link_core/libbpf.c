/*
 * Goes with a program as far as libbpf goes without the kernel's verifier, with BTF in the place of the kernel's, and prints all
 * that libbpf has to say: what it puts into each instruction.
 *
 * usage: libbpf OBJECT BTF
 */
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	return vprintf(format, args);
}

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_object_open_opts, options);
	struct bpf_object *object;
	struct bpf_program *program;

	if (argc != 3)
		return 2;
	libbpf_set_print(print);
	options.btf_custom_path = argv[2];
	object = bpf_object__open_file(argv[1], &options);
	if (!object)
		return 2;
	bpf_object__for_each_program(program, object)
		bpf_program__set_autoload(program, true);
	bpf_object__prepare(object);
	return 0;
}
