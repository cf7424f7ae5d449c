/* Types that core.c is compiled against, and that core_target.c changes:
 * CO-RE has to bridge the difference. */
#ifndef CORE_H
#define CORE_H

#ifdef TARGET
struct point {
	long extra;
	int y;
	short x;
	int z : 5, w : 9;
	int moved[4];
};
enum colour { BLUE = 7, RED = 2, HUGE = 0x123456789abull };
typedef int number_t;
struct present {
	char bytes[40];
};
#else
struct point {
	short x;
	int y;
	int gone;
	int z : 7, w : 3;
	int moved[4];
} core_access;
enum colour { RED = 1, BLUE = 5, GREEN = 9, HUGE = 0x100000000ull };
typedef int number_t;
typedef int missing_t;
struct present {
	char bytes[4];
};
struct absent {
	int a;
};
#endif
#endif
