/* CO-RE relocations of every kind. */
#include "bpf.h"
#include "core.h"

#define field(kind, expr) __builtin_preserve_field_info(expr, kind)
#define type(kind, t) __builtin_preserve_type_info(*(typeof(t) *)0, kind)
#define type_id(kind, t) __builtin_btf_type_id(*(typeof(t) *)0, kind)
#define value(kind, t, v) __builtin_preserve_enum_value(*(typeof(t) *)v, kind)

enum { BYTE_OFFSET, BYTE_SIZE, EXISTS, SIGNED, LSHIFT, RSHIFT };

SEC("socket") __u64 byte_off(struct __sk_buff *skb)
{
	struct point *p = (void *)skb;

	return p->y;
}

SEC("socket") __u64 x_off(struct __sk_buff *skb)
{
	struct point *p = (void *)skb;

	return field(BYTE_OFFSET, p->x);
}

SEC("socket") __u64 array_off(struct __sk_buff *skb)
{
	struct point *p = (void *)skb;

	return field(BYTE_OFFSET, p->moved[2]);
}

SEC("socket") __u64 y_size(struct __sk_buff *skb)
{
	struct point *p = (void *)skb;

	return field(BYTE_SIZE, p->y);
}

SEC("socket") __u64 y_exists(struct __sk_buff *skb)
{
	struct point *p = (void *)skb;

	return field(EXISTS, p->y);
}

SEC("socket") __u64 gone_exists(struct __sk_buff *skb)
{
	struct point *p = (void *)skb;

	return field(EXISTS, p->gone);
}

SEC("socket") __u64 z_lshift(struct __sk_buff *skb)
{
	struct point *p = (void *)skb;

	return field(LSHIFT, p->z);
}

SEC("socket") __u64 w_rshift(struct __sk_buff *skb)
{
	struct point *p = (void *)skb;

	return field(RSHIFT, p->w);
}

SEC("socket") __u64 y_signed(struct __sk_buff *skb)
{
	struct point *p = (void *)skb;

	return field(SIGNED, p->y);
}

SEC("socket") __u64 present_exists(struct __sk_buff *skb)
{
	return type(0, struct present);
}

SEC("socket") __u64 absent_exists(struct __sk_buff *skb)
{
	return type(0, struct absent);
}

SEC("socket") __u64 present_size(struct __sk_buff *skb)
{
	return type(1, struct present);
}

SEC("socket") __u64 typedef_exists(struct __sk_buff *skb)
{
	return type(0, number_t) + 2 * type(0, missing_t);
}

SEC("socket") __u64 local_id(struct __sk_buff *skb)
{
	return type_id(0, struct present) != 0;
}

SEC("socket") __u64 blue_value(struct __sk_buff *skb)
{
	return value(1, enum colour, BLUE);
}

SEC("socket") __u64 huge_value(struct __sk_buff *skb)
{
	return value(1, enum colour, HUGE);
}

SEC("socket") __u64 green_exists(struct __sk_buff *skb)
{
	return value(0, enum colour, GREEN) + 2 * value(0, enum colour, RED);
}

SEC("socket") __u64 poisoned(struct __sk_buff *skb)
{
	struct point *p = (void *)skb;

	if (!field(EXISTS, p->gone))
		return 77;
	return p->gone;
}

SEC("socket") __u64 plain(struct __sk_buff *skb)
{
	return skb->len;
}
