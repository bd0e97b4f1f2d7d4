//# about: the other half of homonyms_a.c
//# link: image
//# variants: lto
//# expect: STRUCT:homonym STRUCT:reaches_homonym FUNC:homonym_b
typedef int word;

struct leaf {
	int value;
};
struct homonym {
	struct leaf *leaf;
	int a, b;
};
struct reaches_homonym {
	struct homonym *homonym;
	struct reaches_homonym *next;
};
struct far_from_homonym {
	struct reaches_homonym *(*callback)(struct far_from_homonym *);
};
struct completed_in_b {
	struct homonym *homonym;
};
struct same_in_both {
	struct completed_in_b *pointer;
	struct leaf leaf;
	word word;
};
enum mode { MODE_B = 2 };
union overlay {
	struct homonym h;
	int raw;
};

int homonym_b(struct far_from_homonym *f, struct same_in_both *s, union overlay *o, enum mode m)
{
	return f->callback(f)->homonym->b + s->leaf.value + o->raw + m;
}
