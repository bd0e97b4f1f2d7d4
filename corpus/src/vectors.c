//# about: vector types, which become arrays
//# expect: TYPEDEF:v4si STRUCT:vectors
typedef int v4si __attribute__((vector_size(16)));
typedef float v2sf __attribute__((vector_size(8)));
typedef unsigned char v16qi __attribute__((vector_size(16)));

struct vectors {
	v4si a;
	v2sf b[2];
	v16qi *c;
};

struct vectors vectors;

void add_vectors(v4si *to, const v4si *from) { *to += *from; }
