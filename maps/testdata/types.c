/* Maps whose keys and values have every kind of C type: what Go types are
 * compared with, and what dumps print. */
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name

enum {
	HASH = 1,
	ARRAY = 2,
	PERCPU_HASH = 5,
	PERCPU_ARRAY = 6,
	LRU_HASH = 9,
	LPM_TRIE = 11,
	QUEUE = 22,
};

enum color { RED = 1, GREEN = 2, BLUE = -3 };
enum wide { FAR = 1ULL << 40, FARTHER };

struct bpf_spin_lock {
	__u32 val;
};

struct flow {
	__u32 src_addr, dst_addr;
	__u16 port;
	__u8 proto; /* one byte of padding follows */
};

struct stats {
	__u8 seen;
	__u64 packets; /* after seven bytes of padding */
	__u64 bytes;
	__u16 last_ports[3];
	_Bool blocked;
};

struct everything {
	signed char s8;
	__u8 u8;
	short s16;
	int s32;
	long long s64;
	__u64 u64;
	unsigned __int128 u128;
	_Bool yes;
	char letter;
	char name[12];
	__u8 mac[6];
	char exact[4];
	enum color color;
	enum wide wide;
	void *pointer;
	struct flow *flow;
	__u32 low : 3, mid : 11;
	int : 2;
	int negative : 5;
	union {
		__u32 word;
		__u16 halves[2];
	};
	union {
		__u64 id;
		struct flow nested;
	} named;
	struct {
		__u8 inner;
	};
	const volatile __u32 qualified;
	__u16 matrix[2][3];
	struct flow flows[2];
	__u32 none[0];
};

enum plain { NONE, SOME };
typedef char letter;

struct odd {
	enum plain plain;
	letter letters[4];
	signed char signed_chars[4];
	const char strings[2][4];
	__u8 text[4];
	_Bool flags[3];
	enum color colors[2];
	enum wide wides[2];
	unsigned __int128 large[2];
	long long bits : 40, rest : 24;
	enum plain few : 2;
	_Bool bit : 1;
	union {
		struct {
			__u32 deep;
		};
	};
	struct {
		int single;
	} one[2];
	void *pointers[2];
};

struct locked {
	struct bpf_spin_lock lock;
	__u32 count;
};

struct route {
	__u32 prefixlen;
	__u8 addr[4];
};

#define MAP(name, kind, entries, k, v) \
	struct { \
		__uint(type, kind); \
		__uint(max_entries, entries); \
		__type(key, k); \
		__type(value, v); \
	} name SEC(".maps")

MAP(flows, HASH, 16, struct flow, struct stats);
MAP(everything, ARRAY, 3, __u32, struct everything);
MAP(odd, HASH, 16, enum plain, struct odd);
MAP(cpus, PERCPU_ARRAY, 2, __u32, struct stats);
MAP(cpu_flows, PERCPU_HASH, 16, struct flow, __u16);
MAP(locked, ARRAY, 2, __u32, struct locked);
MAP(recent, LRU_HASH, 16, __u64, enum color);
MAP(words, HASH, 16, int, long long);

struct {
	__uint(type, LPM_TRIE);
	__uint(max_entries, 16);
	__uint(map_flags, 1);
	__type(key, struct route);
	__type(value, __u32);
} routes SEC(".maps");

struct {
	__uint(type, QUEUE);
	__uint(max_entries, 4);
	__type(value, struct flow);
} queue SEC(".maps");

struct {
	__uint(type, HASH);
	__uint(max_entries, 4);
	__uint(key_size, 6);
	__uint(value_size, 10);
} untyped SEC(".maps");

__u64 total;
int last = -1;
const volatile __u32 limit = 7;

SEC("socket")
int keep(void)
{
	total += limit;
	last++;
	return 0;
}

char _license[] SEC("license") = "Apache-2.0";
