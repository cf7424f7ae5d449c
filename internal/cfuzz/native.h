// The main of a unit on the host: runs programs[i] on each packet of the file
// argv[1], and prints program, packet, result, and digests of the packet and of
// memory; with argv[2] all the bytes.
struct state st;

static u64 fnv(u64 h, const void *p, u64 n) {
	for (u64 i = 0; i < n; i++)
		h = (h ^ ((const u8 *)p)[i]) * 0x100000001b3ull;
	return h;
}
static const u64 basis = 0xcbf29ce484222325ull;

static struct map *const all[] = {&array, &hash, &hash4, &hash12, &percpu, &percpuh};

static void key_at(struct map *m, u32 i, void *key) {
	u32 a = i;
	if (m->hash && m->key == 4)
		a = key4(i);
	u64 b = key8(i);
	struct key c = {i, i * 3, 7, ~i};
	memcpy(key, m->key == 4 ? (void *)&a : m->key == 8 ? (void *)&b : (void *)&c, m->key);
}

static void reset(void) {
	memset(&st, 0, sizeof st);
	for (u32 k = 0; k < 6; k++) {
		struct map *m = all[k];
		memset(m->present, 0, m->n);
		memset(m->values, 0, m->n * m->value);
		for (u32 i = 0; m->hash && i < 8; i += 2) { // half of the keys are there
			u64 key[2] = {}, value[16];
			for (u32 j = 0; j < 16; j++)
				value[j] = (i + 1) * 0x0102030405060708ull * (j + 1);
			if (k == 5)
				memset(value, 0, sizeof value);
			key_at(m, i, key);
			bpf_map_update_elem(m, key, value, 0);
		}
	}
}

static u64 memory(int show) {
	u64 h = fnv(basis, &st, sizeof st);
	for (u32 j = 0; show && j < sizeof st; j++)
		printf("%s%02x", j % 8 ? "" : j ? "." : " st ", ((u8 *)&st)[j]);
	for (u32 k = 0; k < 6; k++) {
		struct map *m = all[k];
		for (u32 i = 0; i < (m->hash ? 8 : m->n); i++) {
			u64 key[2] = {};
			key_at(m, i, key);
			u8 *v = bpf_map_lookup_elem(m, key);
			h = fnv(h, v ? "1" : "0", 1);
			if (v)
				h = fnv(h, v, m->value);
			for (u32 j = 0; show && v && j < m->value; j++)
				printf("%s%02x", j % 8 ? "" : j ? "." : " map ", v[j]);
		}
	}
	return h;
}

int main(int argc, char **argv) {
	static u8 file[1 << 16];
	FILE *f = fopen(argv[1], "rb");
	u64 n = fread(file, 1, sizeof file, f);
	for (u32 p = 0; p < sizeof programs / sizeof *programs; p++) {
		u32 k = 0;
		for (u64 at = 0; at + 2 <= n; k++) {
			u64 len = file[at] | file[at + 1] << 8;
			static u8 packet[4096];
			memset(packet, 0, sizeof packet);
			memcpy(packet, file + at + 2, len);
			at += 2 + len;
			reset();
			struct CTX ctx = {.data = packet, .data_end = packet + len};
			LENGTH;
			u32 r0 = programs[p](&ctx);
			printf("%u %u %x %llx", p, k, r0, fnv(basis, packet, len));
			u64 h = memory(argc > 2);
			printf(" %llx\n", h);
		}
	}
}
