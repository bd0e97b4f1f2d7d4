//# about: arrays: one to four dimensions, flexible, of length zero, of pointers, of arrays through typedefs, of variable length
//# variants: dwarf2 dwarf4
//# expect: STRUCT:flexible STRUCT:dimensions TYPEDEF:grid FUNC:sum_rows
typedef int row[4];
typedef row grid[3];

struct element {
	long key;
	char name[16];
};

struct dimensions {
	int one[5];
	int two[2][3];
	int four[2][3][4][5];
	row rows[6];
	grid grid;
	const char *strings[7];
	struct element elements[2][2];
	const volatile short qualified[9];
	int (*pointer_to_array)[8];
	int *(*array_of_arrays[2])[3];
};

struct flexible {
	int count;
	struct element tail[];
};

struct zero_length {
	int count;
	int tail[0];
};

struct flexible_matrix {
	int count;
	int tail[][4];
};

struct zero_inside {
	int a[0][3];
	int b[3][0];
	int end;
};

struct dimensions dimensions;
struct flexible *flexible;
struct zero_length zero_length;
struct flexible_matrix *flexible_matrix;
struct zero_inside zero_inside;
const char text[] = "text";
extern int unknown_bound[];
int *unknown_bound_user(void) { return unknown_bound; }

int sum_rows(int rows, int columns, int matrix[rows][columns])
{
	int scratch[rows];
	int sum = 0;

	for (int i = 0; i < rows; i++) {
		scratch[i] = 0;
		for (int j = 0; j < columns; j++)
			scratch[i] += matrix[i][j];
	}
	for (int i = 0; i < rows; i++)
		sum += scratch[i];
	return sum;
}
