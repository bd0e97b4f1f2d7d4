//# about: with homonyms_b.c: names that mean different types in two files, and what reaches them; forwards that the other file completes
//# link: image
//# variants: lto
//# expect: STRUCT:homonym STRUCT:reaches_homonym FUNC:homonym_a
typedef long word;

struct leaf {
	int value;
};
struct homonym {
	int a;
	struct leaf *leaf;
};
struct reaches_homonym {
	struct homonym *homonym;
	struct reaches_homonym *next;
};
struct far_from_homonym {
	struct reaches_homonym *(*callback)(struct far_from_homonym *);
};
struct completed_in_b;
struct same_in_both {
	struct completed_in_b *pointer;
	struct leaf leaf;
	word word;
};
enum mode { MODE_A = 1 };
union overlay {
	struct homonym h;
	int raw;
};

int homonym_a(struct far_from_homonym *f, struct same_in_both *s, union overlay *o, enum mode m)
{
	return f->callback(f)->homonym->a + s->leaf.value + o->raw + m;
}
